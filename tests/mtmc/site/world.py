"""A tiny world with known truth: straight and turning roads, pinhole cameras, cars of one shape.

Written apart from the package (and from the scene generator), so that what is learned can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array, Passage, Tracklet

__all__ = ["ROADS", "SIZE", "Pinhole", "crossroads_traffic", "drive", "passage", "watch"]

SIZE = (1280, 720)

#: Forward, left and up of points on a car's skin, meters: a rounded body up to the belt, a cabin on it.
CAR = np.array(
    [
        (0.5 * length * np.cos(t) / bulge, 0.5 * width * np.sin(t) / bulge, up)
        for up, length, width in ((0.0, 4.6, 1.85), (0.9, 4.6, 1.85), (1.5, 2.2, 1.5))
        for t in np.arange(24) * np.pi / 12
        for bulge in [(np.cos(t) ** 6 + np.sin(t) ** 6) ** (1 / 6)]
    ]
)


@dataclass(frozen=True)
class Pinhole:
    """A camera at ``eye`` (meters) looking along ``heading`` (radians), tilted down, without roll."""

    eye: tuple[float, float, float]
    heading: float
    down: float
    focal_px: float = 1100.0

    def axes(self) -> Array:
        c, s, d = np.cos(self.heading), np.sin(self.heading), self.down
        ahead = np.array([c * np.cos(d), s * np.cos(d), -np.sin(d)])
        right = np.array([s, -c, 0.0])
        return np.stack([right, np.cross(ahead, right), ahead])

    def project(self, points: Array) -> tuple[Array, Array]:
        x, y, z = np.moveaxis((points - np.array(self.eye)) @ self.axes().T, -1, 0)
        safe = np.where(z > 1, z, 1.0)
        return np.stack([SIZE[0] / 2 + self.focal_px * x / safe, SIZE[1] / 2 + self.focal_px * y / safe], axis=-1), z

    def ground_from_image(self) -> Array:
        ground = np.array([[0.0, 0], [1, 0], [0, 1]])
        basis = np.concatenate([ground, np.zeros((3, 1))], axis=1)
        k = np.array([[self.focal_px, 0, SIZE[0] / 2], [0, self.focal_px, SIZE[1] / 2], [0, 0, 1]])
        origin, east, north = ((b - np.array(self.eye)) @ self.axes().T for b in basis)
        return np.asarray(np.linalg.inv(k @ np.stack([east - origin, north - origin, origin], axis=1)))


def drive(line: Array, start_s: float, speed: float, fps: float = 10.0) -> tuple[Array, Array]:
    """Times and places of a vehicle that follows a line (meters) at a speed that changes gently: (K,), (K, 2)."""
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    steps = np.arange(0, int(length[-1] / speed * fps * 1.5)) / fps
    along = speed * (steps + 0.8 * np.sin(0.6 * steps + start_s))
    along = along[(along >= 0) & (along <= length[-1])]
    time_s = start_s + np.arange(len(along)) / fps
    return time_s, np.stack([np.interp(along, length, line[:, k]) for k in range(2)], axis=1)


def watch(
    camera: Pinhole,
    camera_id: str,
    number: int,
    time_s: Array,
    place: Array,
    *,
    clock: tuple[float, float] = (0.0, 0.0),
    noise_px: float = 1.0,
    embedding: Array | None = None,
    flat: bool = False,
) -> Passage | None:
    """What a camera's tracker makes of a car: the box about all of it, from the nearest edge up.

    ``clock`` = (offset, rate) are put onto the times that the camera writes down. A ``flat`` vehicle is a board that
    always faces the camera, 1.8 m wide and 2.2 m high: its lower edge is where the vehicle is.
    """
    rng = np.random.default_rng([number, int(camera_id[1:])])
    if flat:
        right = camera.axes()[0]
        shape = np.stack([-0.9 * right, 0.9 * right, [0.0, 0.0, 2.2]])
    else:
        step = np.gradient(place, axis=0)
        ahead = step / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
        left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        around = CAR[:, 0, None] * ahead[:, None] + CAR[:, 1, None] * left[:, None]
        shape = np.concatenate([around, np.broadcast_to(CAR[:, 2:], (len(place), len(CAR), 1))], axis=2)
    center = np.concatenate([place, np.zeros((len(place), 1))], axis=1)
    px, z = camera.project(center[:, None] + shape)
    z = z.min(axis=1)
    bottom = px[:, :2, 1].mean(axis=1) if flat else px[..., 1].max(axis=1)
    boxes = np.stack([px[..., 0].min(axis=1), px[..., 1].min(axis=1), px[..., 0].max(axis=1), bottom], axis=1)
    boxes += rng.normal(0, noise_px, boxes.shape)
    seen = (z > 6) & (z < 90) & (boxes[:, 2] > 25) & (boxes[:, 0] < SIZE[0] - 25)
    seen &= (boxes[:, 3] > 25) & (boxes[:, 1] < SIZE[1] - 25)
    if seen.sum() < 12:
        return None
    rows = np.flatnonzero(seen)
    boxes = np.clip(boxes[rows], 0, [*SIZE, *SIZE])
    written = clock[0] + (1 + clock[1]) * time_s[rows]
    frame = np.round(10 * time_s[rows]).astype(np.int64)
    tracklet = Tracklet(
        camera_id, number, frame, written, boxes.astype(np.float32), np.ones(len(rows), np.float32), 1,
        np.zeros((len(rows), 0), np.float32),
    )  # fmt: skip
    return passage(tracklet, embedding)


def passage(tracklet: Tracklet, embedding: Array | None = None) -> Passage:
    """A passage of a tracklet (and its embedding), without zones and ground positions."""
    vector = np.zeros(0, np.float32) if embedding is None else np.asarray(embedding, np.float32)
    return Passage(tracklet, vector, "", "", np.full((len(tracklet), 2), np.nan))


#: A crossroads with two lanes each way and turns, in meters.
ROADS = [
    np.array([[-60.0, -1.8], [60, -1.8]]),
    np.array([[60.0, 1.8], [-60, 1.8]]),
    np.array([[1.8, -60.0], [1.8, 60]]),
    np.array([[-1.8, 60.0], [-1.8, -60]]),
    np.array([[-60.0, -1.8], [-6, -1.8], [-2.5, -3.5], [-1.8, -7], [-1.8, -60]]),
    np.array([[1.8, -60.0], [1.8, -7], [3, -3], [7, -1.8], [60, -1.8]]),
]


def crossroads_traffic(count: int, seed: int) -> list[tuple[Array, Array]]:
    """Vehicles on the crossroads: (times, places) of each."""
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0, 2.2 * count, count))
    out = []
    for start in starts:
        road = ROADS[int(rng.integers(len(ROADS)))]
        out.append(drive(road, round(float(start), 1), float(rng.uniform(7, 12))))
    return out
