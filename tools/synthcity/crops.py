"""Pictures of single vehicles: the same identities seen by several cameras, for re-identification.

The test part has its own identities and its own cameras, at other places::

    crops/train/0042/c003_7.jpg      identity, camera, number
    crops/query/…  crops/gallery/…   one picture per identity and camera asks, the others answer
    crops/index.csv                  path, view, identity, camera, look, class, shape, colour, weather, visibility

``view`` is the side that is seen: front, back, left, left front, left back, right, right front, right back (0 … 7).
``look`` is shared by vehicles that differ only in plate, dirt, decal, tint and driver.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import Array
from tools.synthcity.actors import Actor, Develop
from tools.synthcity.backdrop import World
from tools.synthcity.builder import Place, Site
from tools.synthcity.crop_plan import CropPlan
from tools.synthcity.gpu import close, open_context
from tools.synthcity.ground import draw_ground
from tools.synthcity.identity import Identity, draw_identity, lookalike_of
from tools.synthcity.lens import View
from tools.synthcity.light import make_light
from tools.synthcity.painter import Painter
from tools.synthcity.places import PLACES, build_place
from tools.synthcity.scenery import build_scenery
from tools.synthcity.truth import observe

__all__ = ["draw_looks", "open_station", "render_crops", "shoot"]

_VIEW_PX = 416
_WEATHERS = ("clear", "clear", "overcast", "low_sun", "overcast", "rain", "clear", "dusk", "night")
_MIN_VISIBILITY = 0.45
_COLUMNS = ("path", "view", "identity", "camera", "look", "vehicle_class", "shape", "colour", "weather", "visibility")
_SIDES = (0, 4, 2, 3, 1)  # front, left front, left, left back, back: as numbered in VeRi's annotation


def draw_looks(plan: CropPlan) -> tuple[list[Identity], list[int]]:
    """The vehicles, and for each the number of the look it shares: a lookalike has that of the vehicle it copies.

    Those of the test part follow after those of the training part and copy only each other.
    """
    rng = np.random.default_rng([plan.seed, 1009])
    vehicles: list[Identity] = []
    looks: list[int] = []
    for i in range(plan.identities + plan.test_identities):
        own = plan.seed * 1_000_003 + 500_000 + i
        if i not in (0, plan.identities) and rng.random() < plan.lookalike_share:
            first = plan.identities if i > plan.identities else 0
            k = int(rng.integers(first, len(vehicles)))
            vehicles.append(lookalike_of(vehicles[k], own))
            looks.append(looks[k])
        else:
            vehicles.append(draw_identity(own))
            looks.append(i)
    return vehicles, looks


@dataclass(frozen=True, slots=True, eq=False)
class _Station:
    """A camera that looks at one spot of a lane.

    Attributes:
        spot: float64 (2,), metres.
        heading_rad: Direction of the lane there.
        weather: Its light.
    """

    painter: Painter
    view: View
    spot: Array
    heading_rad: float
    weather: str


def render_crops(plan: CropPlan, out: Path) -> int:
    """Write ``out/crops/``; stations whose pictures are complete are kept, so a killed run goes on.

    Returns:
        How many crops there are.
    """
    vehicles, looks = draw_looks(plan)
    split = plan.identities
    stations = [(camera, range(split)) for camera in range(plan.cameras)]
    if plan.test_identities:
        tested = range(split, split + plan.test_identities)
        stations += [(plan.cameras + camera, tested) for camera in range(plan.test_cameras)]
    folder = out / "crops"
    rows: list[dict[str, Any]] = []
    with progress_bar("crops", "station") as progress:
        for done, (camera, numbers) in enumerate(stations, start=1):
            part = folder / "stations" / f"c{camera + 1:03d}.csv"
            if not part.is_file():
                test = camera >= plan.cameras
                shots = _shoot_station(plan, camera, [(i, vehicles[i], looks[i]) for i in numbers], folder, test)
                _write_rows(shots, part)
            rows += _read_rows(part)
            progress(done, len(stations))
    _drop_unanswered(rows, folder)
    _write_rows(rows, folder / "index.csv")
    return len(rows)


def _write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _drop_unanswered(rows: list[dict[str, Any]], folder: Path) -> None:
    """Move queries whose vehicle no other camera of the gallery shows into the gallery."""
    cameras: dict[str, set[str]] = {}
    for row in rows:
        if row["path"].startswith("gallery"):
            cameras.setdefault(row["identity"], set()).add(row["camera"])
    for row in rows:
        if row["path"].startswith("query") and not cameras.get(row["identity"], set()) - {row["camera"]}:
            old = folder / row["path"]
            row["path"] = row["path"].replace("query", "gallery", 1)
            if old.is_file():
                (folder / row["path"]).parent.mkdir(parents=True, exist_ok=True)
                old.replace(folder / row["path"])


def open_station(plan: CropPlan, camera: int) -> _Station:
    """A station whose spot can be seen; sites behind a wall or a tree are drawn again."""
    kind = list(PLACES)[camera % len(PLACES)]
    weather = _WEATHERS[camera % len(_WEATHERS)]
    seed = plan.seed * 1000 + camera
    rng = np.random.default_rng([plan.seed, 1013, camera])
    develop = Develop(
        exposure=float(np.exp(rng.normal(0, 0.18))),
        balance=(1 + float(rng.normal(0, 0.03)), 1 + float(rng.normal(0, 0.03)), 1 + float(rng.normal(0, 0.03))),
        colourfulness=float(rng.uniform(0.75, 1.15)),
        soft=float(rng.uniform(0.5, 1.2)),
        lift=float(rng.uniform(0, 0.03)),
    )
    place = build_place(kind, seed)
    ground = draw_ground(place)
    while True:
        site, spot, heading = _draw_site(place, rng, front=bool(camera % 2))
        place.sites = [site]
        context = open_context()
        world = World(context, place, ground, build_scenery(place, ground, seed), make_light(weather, seed))
        view = View(site, (_VIEW_PX, _VIEW_PX))
        backdrop = world.look(view)
        middle = slice(_VIEW_PX * 3 // 8, _VIEW_PX * 5 // 8)
        if np.abs(backdrop.points[middle, middle, 2]).max() < 0.5:
            painter = Painter(context, world)
            painter.aim(view, backdrop, view.size_wh, develop)
            return _Station(painter, view, spot, heading, weather)
        del world, backdrop
        close(context)


def _draw_site(place: Place, rng: np.random.Generator, front: bool) -> tuple[Site, Array, float]:
    """A camera that looks at a spot of a lane: the site, the spot (2,) and the lane's heading there."""
    lanes = [lane for lane in place.network.lanes.values() if not lane.junction and lane.length > 50]
    lane = lanes[int(rng.integers(len(lanes)))]
    s = float(rng.uniform(0.35, 0.65)) * lane.length
    spot, ahead = np.array(lane.at(s)), np.array(lane.at(s + 1.0))
    heading = float(np.arctan2(*(ahead - spot)[::-1]))
    # Traffic cameras see fronts or rears, sides seldom: the bearing keeps within 60 degrees of the lane.
    bearing = heading + (0.0 if front else np.pi) + float(rng.uniform(-1.05, 1.05))
    far, tilt = float(rng.uniform(13, 30)), np.deg2rad(float(rng.uniform(9, 30)))
    flat = far * np.cos(tilt) * np.array([np.cos(bearing), np.sin(bearing)])
    eye = (float(spot[0] + flat[0]), float(spot[1] + flat[1]), 0.7 + far * float(np.sin(tilt)))
    return (
        Site(eye, (float(spot[0]), float(spot[1]), 0.7), float(np.degrees(2 * np.arctan(4.4 / far)))),
        spot,
        heading,
    )


def _shoot_station(
    plan: CropPlan, camera: int, cast: list[tuple[int, Identity, int]], folder: Path, test: bool
) -> list[dict[str, Any]]:
    """All pictures of one camera; ``cast`` is (number, vehicle, look)."""
    station = open_station(plan, camera)
    rows = []
    for number, who, look in cast:
        part = "query" if test else "train"
        for v in range(plan.views):
            rng = np.random.default_rng([plan.seed, 1019, camera, number, v])
            neighbour = cast[int(rng.integers(len(cast)))][1] if rng.random() < plan.neighbour_share else None
            shot = shoot(station, who, neighbour, plan.size_px, rng)
            if shot is None:
                continue
            path = folder / part / f"{number:05d}" / f"c{camera + 1:03d}_{v}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))]
            cv2.imwrite(str(path), np.ascontiguousarray(shot[0][..., ::-1]), quality)
            values = (
                path.relative_to(folder).as_posix(), _side(station), number, camera + 1, look, who.vehicle_class,
                who.shape, who.colour, station.weather, shot[1],
            )  # fmt: skip
            rows.append(dict(zip(_COLUMNS, values, strict=True)))
            part = "gallery" if test else "train"
    context = station.painter.context
    del station
    close(context)
    return rows


def _side(station: _Station) -> int:
    """Which side of a vehicle in the lane the camera sees."""
    gap = station.view.eye[:2] - station.spot
    turn = float(np.arctan2(gap[1], gap[0])) - station.heading_rad
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    side = _SIDES[round(abs(turn) / (np.pi / 4))]
    return side if side in (0, 1) or turn > 0 else side + 3


def shoot(
    station: _Station, looks: Identity, neighbour: Identity | None, size_px: int, rng: np.random.Generator
) -> tuple[Array, float] | None:
    """One crop and its visibility; None where too little is seen."""
    along = float(rng.normal(0, 1.2))
    cast = [_placed(station, 1, looks, along, float(rng.normal(0, 0.25)), rng)]
    if neighbour is not None:
        lane = float(rng.choice([-3.4, 3.4, 0.0]))
        gap = (looks.size_m[0] + neighbour.size_m[0]) / 2 + float(rng.uniform(1.5, 4))
        shift = along + float(rng.choice([-1, 1])) * gap if lane == 0.0 else along + float(rng.uniform(-5, 5))
        cast.append(_placed(station, 2, neighbour, shift, lane, rng))
    image, ids = station.painter.paint(cast, float(rng.random()), (float(rng.random()), float(rng.random())))
    facts = [row for actor, row in observe(station.painter, station.view, cast, ids) if actor.id == 1]
    if not facts or facts[0]["visibility"] < _MIN_VISIBILITY:
        return None
    row = facts[0]
    width, height = row["x2"] - row["x1"], row["y2"] - row["y1"]
    # Boxes of a detector are never exact.
    edges = np.array([row["x1"], row["y1"], row["x2"], row["y2"]])
    edges = edges + rng.normal(0, 0.025, 4) * [width, height, width, height]
    x1, y1, x2, y2 = np.clip(np.round(edges), 0, _VIEW_PX).astype(int)
    if x2 - x1 < 16 or y2 - y1 < 16:
        return None
    crop = image[y1:y2, x1:x2]
    scale = min(1.0, size_px / max(crop.shape[:2]))
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    return cv2.resize(np.ascontiguousarray(crop), size, interpolation=cv2.INTER_AREA), row["visibility"]


def _placed(
    station: _Station, number: int, looks: Identity, along: float, aside: float, rng: np.random.Generator
) -> Actor:
    heading = station.heading_rad + float(rng.normal(0, 0.05))
    c, s = float(np.cos(station.heading_rad)), float(np.sin(station.heading_rad))
    pose = np.eye(4)
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    pose[:3, :3] = turn @ np.diag(looks.scale)
    pose[:2, 3] = station.spot + along * np.array([c, s]) + aside * np.array([-s, c])
    speed = float(rng.choice([0.0, 6.0, 12.0]))
    return Actor(
        number, looks, pose, speed * np.array([c, s]), float(rng.uniform(0, 3)), float(rng.normal(0, 0.06)),
        braking=bool(rng.random() < 0.25), lamps=bool(rng.random() < 0.4),
    )  # fmt: skip
