"""Tracklets of a recipe without rendering: what a detector and a tracker would roughly have made of its videos.

Boxes come from the same geometry as the rendered truth. Visibility does not: it is the share of a box that no box of
a nearer vehicle covers (buildings, poles and people hide nothing), so labels differ from those of a rendered scene in
crowded places. The tracker's errors are drawn from :class:`TrackNoise`; appearance is a random vector per vehicle, of
which lookalikes share the greater part, with a bias per camera and noise per tracklet.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from mtmc.embed.config import EmbedConfig
from mtmc.embed.passages import embed_tracklets
from mtmc.files import atomic_path
from mtmc.formats.convert import tracklets_of
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.scene import Camera, Link, Scene, Zone, write_scene
from mtmc.settings import Settings
from mtmc.types import Array, Passage, class_index
from tools.synthcity.actors import Actor
from tools.synthcity.layout import calibrate, truth_table
from tools.synthcity.recipe import Recipe
from tools.synthcity.routes import Passing, find_links, find_passages, find_zones
from tools.synthcity.stage import CameraPlan, Mover, Stage, build_stage
from tools.synthcity.traffic import STEP_S
from tools.synthcity.truth import Record, amodal_box

__all__ = ["Simulation", "TrackNoise", "observe_boxes", "simulate_tracklets", "write_tracklets"]

_SIGHT_M = 150.0
_GRID = 10  # points per side at which a box is tested for being covered
_SLACK = 0.06  # a vehicle does not fill the corners of its box


class TrackNoise(Settings):
    """How far the tracklets are from the truth."""

    jitter: float = Field(0.03, ge=0, description="noise of box edges, share of the box's width or height")
    scale: float = Field(1.0, gt=0, description="size of the boxes, factor about their centre")
    miss: float = Field(0.05, ge=0, lt=1, description="share of boxes that the detector misses")
    min_visibility: float = Field(0.3, ge=0, le=1, description="less visible vehicles are not detected")
    min_area_px: float = Field(600.0, ge=0, description="smaller ones are not detected either, px²")
    max_age_s: float = Field(
        1.5, ge=0, description="a vehicle out of sight for longer begins a new tracklet, seconds"
    )
    split: float = Field(0.1, ge=0, le=1, description="share of tracklets cut in two somewhere in between")
    min_length: int = Field(6, ge=1, description="shorter tracklets are dropped, boxes")
    ghosts_per_min: float = Field(0.5, ge=0, description="tracklets of nothing, per camera and minute")
    parked: bool = Field(True, description="parked vehicles are tracked like others")
    appearance: float = Field(0.7, ge=0, description="noise of embeddings, 0 none; 0.7 gives a fair embedder")
    dim: int = Field(64, ge=2, description="size of embeddings")


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A scene's truth and its tracklets.

    Attributes:
        scene: The place as it is: clocks, homographies, zones, links with their travel times. Its files are those
            that :func:`write_tracklets` writes.
        truth: The ground truth's boxes of each camera.
        tracks: The tracker's boxes of each camera; ``id`` is the track.
        vehicle: (camera id, track id) → vehicle, the ``id`` of the truth; 0 for a ghost.
        embedding: (camera id, track id) → float32 (D,), unit length.
        passings: The true movements of vehicles through each camera's picture, as far as they are labelled.
    """

    scene: Scene
    truth: dict[str, Table]
    tracks: dict[str, Table]
    vehicle: dict[tuple[str, int], int]
    embedding: dict[tuple[str, int], Array]
    passings: dict[str, list[Passing]]

    def passages(self, scene: Scene | None = None) -> list[Passage]:
        """The tracklets as the pipeline would describe them, on ``scene`` (default: the true one)."""
        out = []
        for camera in (scene or self.scene).cameras:
            tracklets = tracklets_of(self.tracks[camera.id], camera.id, camera.clock)
            for p in embed_tracklets(tracklets, camera, EmbedConfig(), None, None).passages:
                embedding = self.embedding[camera.id, p.tracklet.track_id]
                out.append(Passage(p.tracklet, embedding, p.entry, p.exit, p.ground_m))
        return out


def simulate_tracklets(recipe: Recipe, noise: TrackNoise, root: Path = Path()) -> Simulation:
    """Everything about a recipe's tracklets; the same arguments give the same result.

    Args:
        recipe: The scene.
        noise: The tracker's errors.
        root: Folder of the scene, for the names of its files.
    """
    stage = build_stage(recipe)
    records = {plan.id: observe_boxes(stage, plan) for plan in stage.cameras}
    tracks: dict[str, Table] = {}
    vehicle: dict[tuple[str, int], int] = {}
    for plan in stage.cameras:
        tracks[plan.id], who = _track(stage, plan, records[plan.id], noise)
        vehicle |= {(plan.id, track): number for track, number in who.items()}
    passings = {plan.id: find_passages(stage, plan, records[plan.id]) for plan in stage.cameras}
    return Simulation(
        _scene(stage, passings, root),
        {plan.id: truth_table(records[plan.id], recipe) for plan in stage.cameras},
        tracks,
        vehicle,
        _embeddings(stage, vehicle, noise),
        passings,
    )


def write_tracklets(recipe: Recipe, noise: TrackNoise, out: Path) -> Path:
    """Write a recipe's tracklets into ``out/<name>``; returns that folder.

    ::

        S01/scene.yaml                    the true place, zones and links as a place learner should find them
        S01/c001/mtsc/mtsc_simulated.txt  tracklets; S01/c001/gt/gt.txt ground truth
        S01/vehicles.csv                  camera, track, vehicle (0: a ghost)
        S01/embeddings.npz                camera, track, embedding: parallel arrays
    """
    folder = out / recipe.name
    done = simulate_tracklets(recipe, noise, folder)
    for camera in done.scene.cameras:
        write_mot(done.truth[camera.id], folder / camera.id / "gt" / "gt.txt")
        write_mot(done.tracks[camera.id], folder / camera.id / "mtsc" / "mtsc_simulated.txt")
    with atomic_path(folder / "vehicles.csv") as path, path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("camera", "track", "vehicle"))
        rows.writerows((camera, track, number) for (camera, track), number in sorted(done.vehicle.items()))
    keys = sorted(done.embedding)
    with atomic_path(folder / "embeddings.npz") as path:
        np.savez(
            path,
            camera=np.array([camera for camera, _ in keys]),
            track=np.array([track for _, track in keys], np.int64),
            embedding=np.array([done.embedding[key] for key in keys], np.float32),
        )
    write_scene(done.scene, folder / "scene.yaml")
    return folder


# ---- boxes


def observe_boxes(stage: Stage, plan: CameraPlan) -> list[Record]:
    """Every vehicle in every frame of a camera, in order of frame and vehicle; visibility as the module says."""
    time_s = plan.clock.time_s(np.arange(plan.frames))
    rows: list[list[tuple[float, Record]]] = [[] for _ in range(plan.frames)]
    for mover in stage.movers:
        for frame, distance, record in _sightings(stage, plan, mover, time_s):
            rows[frame].append((distance, record))
    return [record for found in rows for record in _with_visibility(found)]


def _sightings(stage: Stage, plan: CameraPlan, mover: Mover, time_s: Array) -> list[tuple[int, float, Record]]:
    """(frame, distance from the camera in metres, record) wherever a vehicle's box is in the picture."""
    rows = mover.journey.states
    place = (time_s + stage.recipe.warmup_s) / STEP_S - mover.journey.first_step
    if mover.parked:
        place = np.zeros_like(place)
    here = np.flatnonzero((place >= 0) & (place <= len(rows) - 1))
    lower = np.minimum(place[here].astype(int), max(len(rows) - 2, 0))
    share = (place[here] - lower)[:, None]
    states = (1 - share) * rows[lower] + share * rows[np.minimum(lower + 1, len(rows) - 1)]
    gap = np.concatenate([states[:, :2], np.zeros((len(states), 1))], axis=1) - plan.view.eye
    ahead = gap @ plan.view.axes[2]
    reach = 7.0 + np.maximum(ahead, 0) * plan.view.size_wh[0] / 2 / plan.view.focal_px * 1.25
    near = (ahead > -7.0) & (ahead < _SIGHT_M) & (np.abs(gap @ plan.view.axes[0]) < reach)
    looks = mover.journey.identity
    length, width, height = looks.size_m
    out, last, box = [], None, None
    for frame, state, at in zip(here[near], states[near], gap[near], strict=True):
        if last is None or not np.array_equal(state, last):
            pose = np.eye(4)
            c, s = np.cos(state[2]), np.sin(state[2])
            pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(looks.scale)
            pose[:2, 3] = state[:2]
            last, box = state, amodal_box(Actor(mover.id, looks, pose, state[3] * np.array([c, s])), plan.view)
        if box is None:
            continue
        x1, y1, x2, y2 = map(float, box[0])
        record = Record(
            plan.number, int(frame), round(float(time_s[frame]), 4), mover.id, looks.vehicle_class, looks.shape,
            looks.colour, mover.parked, x1, y1, x2, y2, int(x1), int(y1), int(np.ceil(x2)), int(np.ceil(y2)),
            1.0, round(box[1], 4), *(round(float(v), 3) for v in state[:2]), round(float(state[2]), 4),
            round(float(state[3]), 3), round(length, 3), round(width, 3), round(height, 3),
        )  # fmt: skip
        out.append((int(frame), float(np.linalg.norm(at)), record))
    return out


def _with_visibility(found: list[tuple[float, Record]]) -> list[Record]:
    """One frame's records with the share of each box that no box of a nearer vehicle covers."""
    if not found:
        return []
    boxes = np.array([(r.x1, r.y1, r.x2, r.y2) for _, r in found])
    distance = np.array([d for d, _ in found])
    inset = _SLACK * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] + inset, boxes[:, 2:] - inset
    step = (np.arange(_GRID) + 0.5) / _GRID
    x = low[:, :1] + step * (high - low)[:, :1]
    y = low[:, 1:] + step * (high - low)[:, 1:]
    in_x = (x[:, None] > low[None, :, :1]) & (x[:, None] < high[None, :, :1])  # (of, by, column)
    in_y = (y[:, None] > low[None, :, 1:]) & (y[:, None] < high[None, :, 1:])
    nearer = distance[None, :] < distance[:, None]
    hidden = ((in_x & nearer[..., None])[:, :, None, :] & in_y[..., None]).any(axis=1)
    visibility = 1 - hidden.mean(axis=(1, 2))
    return [_seen(record, share) for (_, record), share in zip(found, visibility.tolist(), strict=True)]


def _seen(record: Record, visibility: float) -> Record:
    values = {name: getattr(record, name) for name in Record.names()}
    return Record(**(values | {"visibility": round(visibility, 4)}))


# ---- tracks


def _track(stage: Stage, plan: CameraPlan, records: list[Record], noise: TrackNoise) -> tuple[Table, dict[int, int]]:
    """The tracker's boxes of a camera, and the vehicle of each track."""
    rng = np.random.default_rng([stage.recipe.seed, 907, plan.number])
    seen: dict[int, list[Record]] = {}
    for r in records:
        area = (r.x2 - r.x1) * (r.y2 - r.y1)
        if r.visibility >= noise.min_visibility and area >= noise.min_area_px and (noise.parked or not r.parked):
            seen.setdefault(r.id, []).append(r)
    parts: list[tuple[int, Table]] = []
    for number in sorted(seen):
        rows = [r for r in seen[number] if rng.random() >= noise.miss]
        cuts = [i for i in range(1, len(rows)) if rows[i].time_s - rows[i - 1].time_s > noise.max_age_s]
        for part in np.split(np.arange(len(rows)), cuts):
            for piece in _cut(rng, part, noise.split):
                if len(piece) >= noise.min_length:
                    parts.append((number, _boxes(rng, [rows[i] for i in piece], plan, noise)))
    parts += [
        (0, _ghost(rng, plan)) for _ in range(int(rng.poisson(noise.ghosts_per_min * plan.frames / plan.fps / 60)))
    ]
    # A tracker counts its tracks in the order they begin.
    parts.sort(key=lambda item: (int(item[1].frame[0]), item[0]))
    tables = [table.with_columns(id=np.full(len(table.id), k)) for k, (_, table) in enumerate(parts, start=1)]
    return Table.concatenate(tables), {k: number for k, (number, _) in enumerate(parts, start=1)}


def _cut(rng: np.random.Generator, part: Array, share: float) -> list[Array]:
    if rng.random() >= share or len(part) < 4:
        return [part]
    at = int(len(part) * rng.uniform(0.2, 0.8))
    return [part[:at], part[at + int(rng.integers(0, 4)) :]]


def _boxes(rng: np.random.Generator, rows: list[Record], plan: CameraPlan, noise: TrackNoise) -> Table:
    boxes = np.array([(r.x1, r.y1, r.x2, r.y2) for r in rows])
    size = boxes[:, 2:] - boxes[:, :2]
    wobble = rng.normal(0, noise.jitter, (len(rows), 4))
    for i in range(1, len(wobble)):  # errors of neighbouring frames are alike
        wobble[i] = 0.8 * wobble[i - 1] + 0.6 * wobble[i]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    boxes = np.concatenate([middle - noise.scale * size / 2, middle + noise.scale * size / 2], axis=1)
    boxes = np.clip(boxes + wobble * np.tile(size, 2), 0, np.tile(plan.view.size_wh, 2))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1.0)
    return Table.of(
        plan.number,
        np.zeros(len(rows), int),
        [r.frame for r in rows],
        np.round(boxes, 2),
        score=np.round([0.4 + 0.6 * r.visibility for r in rows], 3),
        class_id=[class_index(r.vehicle_class) for r in rows],
    )


def _ghost(rng: np.random.Generator, plan: CameraPlan) -> Table:
    count = int(rng.integers(8, 25))
    start = int(rng.integers(0, max(plan.frames - count, 1)))
    size = rng.uniform(0.03, 0.12) * plan.view.size_wh[0] * np.array([1.0, 0.75])
    corner = rng.random(2) * (np.array(plan.view.size_wh) - size) + np.cumsum(rng.normal(0, 0.5, (count, 2)), axis=0)
    corner = np.clip(corner, 0, np.array(plan.view.size_wh) - size - 1)
    boxes = np.round(np.concatenate([corner, corner + size], axis=1), 2)
    return Table.of(plan.number, np.zeros(count, int), start + np.arange(count), boxes, score=np.full(count, 0.4))


def _embeddings(stage: Stage, vehicle: dict[tuple[str, int], int], noise: TrackNoise) -> dict[tuple[str, int], Array]:
    def draw(*seed: int) -> Array:
        return np.random.default_rng(seed).normal(size=noise.dim)

    seed = stage.recipe.seed
    out = {}
    for (camera, track), number in sorted(vehicle.items()):
        place = int(camera[1:])
        vector = noise.appearance * (0.5 * draw(seed, 911, place) + draw(seed, 919, place, track))
        if number == 0:
            vector = vector + draw(seed, 929, place, track)
        else:
            looks = stage.movers[number - 1].journey.identity
            kind = [*looks.paint, looks.style, looks.wheel, *looks.shape.encode()]
            vector = vector + 0.85 * draw(941, *kind) + 0.5 * draw(seed, 937, number)
        out[camera, track] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return out


# ---- the place


def _scene(stage: Stage, passings: dict[str, list[Passing]], root: Path) -> Scene:
    cameras = tuple(
        Camera(
            id=plan.id,
            number=plan.number,
            clock=plan.clock,
            size_wh=plan.view.size_wh,
            frame_count=plan.frames,
            tracklets=(root / plan.id / "mtsc" / "mtsc_simulated.txt",),
            ground_truth=root / plan.id / "gt" / "gt.txt",
            ground_from_image=calibrate(plan, stage.recipe)[0],
            zones=tuple(
                Zone(name, corners, "in" if name.endswith(" in") else "out")
                for name, corners in find_zones(passings[plan.id], plan.view.size_wh)
            ),
        )
        for plan in stage.cameras
    )
    links = tuple(Link(*e["from"], *e["to"], e["min_s"], e["max_s"]) for e in find_links(passings))
    return Scene(stage.recipe.name, root, cameras, links)
