"""Pictures of what each association method does to the same few vehicles, for docs/association.

    python -m tools.bench.association_pictures            # writes docs/association/METHOD.png

Time goes to the right, cameras are rows along a road, a bar is a tracklet with the number of its true vehicle. Bars
are colored by the identity they were given, gray ones are alone, hollow ones were dropped. Lines join the tracklets
of an identity: gray where that is right, red where it is wrong; dashed ones are missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from mtmc.associate import AssociateConfig, associate
from mtmc.geometry.clock import Clock
from mtmc.render.style import vehicle_color
from mtmc.scene import Camera, Link, Scene
from mtmc.settings import parse_settings
from mtmc.types import Array, Passage, Tracklet

DOCS = Path(__file__).resolve().parents[2] / "docs" / "association"

_CAMERAS = 4
_BOXES, _FPS = 30, 10.0
_APART_M = 80.0  # cameras along the road
_WIDTH, _NAMES, _LANE, _BAR, _ROW, _TITLE, _PAD = 1200, 50, 22, 17, 22, 44, 12
_RED, _GRAY, _TEXT = (207, 34, 46), (150, 150, 150), (40, 40, 40)
Name = tuple[str, int]


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: What is written above it.
        settings: Of ``associate``.
        windows: Which pairs of cameras have one.
        ground: Whether the cameras are calibrated.
    """

    title: str
    settings: Mapping[str, Any]
    windows: Literal["neighbors", "all", "none"] = "neighbors"
    ground: bool = False


PICTURES: dict[str, tuple[Panel, ...]] = {
    "graph": (
        Panel("links between neighboring cameras, and appearance", {}),
        Panel("nothing known of the site: appearance, learned travel times", {"max_gap_s": 20}, windows="none"),
        Panel("calibrated cameras, no appearance", {"graph": {"appearance_weight": 0}}, windows="none", ground=True),
        Panel("calibrated cameras and appearance", {}, windows="none", ground=True),
    ),
    "electricity": (
        Panel(
            "strict, scale 5: as released", {"method": "electricity", "electricity": {"mode": "strict", "scale": 5}}
        ),
        Panel("fixed, scale 5: as meant", {"method": "electricity", "electricity": {"mode": "fixed", "scale": 5}}),
        Panel("calibrated: a threshold from the tracklets themselves", {"method": "electricity"}),
    ),
    "hierarchical": (
        Panel("a link between neighbors, all_pairs false: chains", {"method": "hierarchical"}),
        Panel(
            "a window for every two cameras, all_pairs true, complete linkage",
            {"method": "hierarchical", "hierarchical": {"linkage": "complete", "all_pairs": True}},
            windows="all",
        ),
    ),
    "crossroad_zones": (
        Panel("as published: what passes a camera twice is dissolved", {"method": "crossroad_zones"}),
        Panel(
            "drop_repeated_cameras false: the least similar link is cut instead",
            {"method": "crossroad_zones", "crossroad_zones": {"drop_repeated_cameras": False}},
        ),
    ),
}


def street(seed: int = 4, *, ground: bool = False) -> tuple[list[Passage], dict[Name, int]]:
    """Tracklets along a road of four cameras, some 9 s apart, and the true vehicle of each.

    Three vehicles look like another one, every camera tints what it sees, two drive faster and overtake, one
    misses a camera, and some come the other way.
    """
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(14, 24))
    for k in (5, 8, 11):
        looks[k] = 0.85 * looks[k - 1] + 0.35 * rng.normal(size=24)
    tint = 0.5 * rng.normal(size=(_CAMERAS, 24))
    seen: list[tuple[int, float, int]] = []
    way_m: dict[int, float] = {}  # per second, down the road or up
    for vehicle in range(14):
        pace = 5.0 if vehicle in (3, 9) else 9.0 + rng.normal() * 0.7
        order = range(_CAMERAS) if vehicle % 4 else range(_CAMERAS - 1, -1, -1)
        way_m[vehicle + 1] = _APART_M / pace * (1 if vehicle % 4 else -1)
        for step, camera in enumerate(order):
            if (vehicle, camera) != (6, 2):
                seen.append((camera, 4.0 * vehicle + pace * step, vehicle + 1))
    passages, truth = [], {}
    latest = [0] * _CAMERAS
    for camera, start, vehicle in sorted(seen, key=lambda s: (s[0], s[1])):
        latest[camera] += 1
        name = (f"c{camera}", latest[camera])
        look = looks[vehicle - 1] + tint[camera] + 0.65 * rng.normal(size=24)
        along_m = _APART_M * camera + way_m[vehicle] * np.arange(_BOXES) / _FPS
        side_m = np.full(_BOXES, 4.0 if way_m[vehicle] > 0 else 0.0)
        where = np.stack([along_m, side_m], axis=1) if ground else np.full((_BOXES, 2), np.nan)
        passages.append(_passage(name, start, (look / np.linalg.norm(look)).astype(np.float32), where))
        truth[name] = vehicle
    return passages, truth


def _passage(name: Name, start: float, embedding: Array, ground_m: Array) -> Passage:
    tracklet = Tracklet(
        camera_id=name[0],
        track_id=name[1],
        frame=np.arange(_BOXES),
        time_s=start + np.arange(_BOXES) / _FPS,
        xyxy=np.zeros((_BOXES, 4), np.float32),
        score=np.ones(_BOXES, np.float32),
        class_id=1,
        appearance=np.zeros((_BOXES, 0), np.float32),
    )
    return Passage(tracklet, embedding, "", "", ground_m)


def place(windows: str) -> Scene:
    """The road: links between neighbors, between all of its cameras, or none."""
    cameras = tuple(Camera(f"c{k}", k, Clock(_FPS)) for k in range(_CAMERAS))
    links = [
        Link(a.id, "", b.id, "", 1.0 * far, 9.0 * far)
        for a in cameras
        for b in cameras
        if (far := abs(a.number - b.number)) and (windows == "all" or (windows == "neighbors" and far == 1))
    ]
    return Scene("road", Path(), cameras, tuple(links))


def draw(panel: Panel) -> Array:
    """One panel: uint8 (H, W, 3) RGB."""
    passages, truth = street(ground=panel.ground)
    config = parse_settings(AssociateConfig, panel.settings)
    tracks = associate(passages, place(panel.windows), config)
    given = {_name(p): t.global_id for t in tracks for p in t.passages}
    alone = {_name(t.passages[0]) for t in tracks if len(t.passages) == 1}
    latest = max(p.tracklet.end_s for p in passages)
    lane = _lanes(passages)
    tops = _TITLE + np.cumsum(
        [0, *((max(lane[n] for n in lane if n[0] == f"c{c}") + 1) * _LANE + _ROW for c in range(4))]
    )
    image = np.full((int(tops[-1]) + _PAD, _WIDTH, 3), 255, np.uint8)

    def x(time_s: float) -> int:
        return int(_NAMES + (_WIDTH - _NAMES - _PAD) * time_s / latest)

    at = {
        (n := _name(p)): (x(p.tracklet.start_s), x(p.tracklet.end_s), int(tops[int(n[0][1:])] + lane[n] * _LANE))
        for p in passages
    }
    right, wrong = _joins([[_name(p) for p in t.passages] for t in tracks], truth)
    missing = [join for join in _joins(_by_vehicle(passages, truth), truth)[0] if _apart(join, given)]
    for joins, rgb, dashes in ((right, _GRAY, False), (missing, _RED, True), (wrong, _RED, False)):
        for a, b in joins:
            _line(image, at[a], at[b], rgb, dashed=dashes)
    for name, (left, end, top) in at.items():
        _bar(image, (left, end, top), truth[name], None if name not in given else _rgb(given[name], name in alone))
    for c in range(_CAMERAS):
        _text(image, f"c{c}", (_PAD, int(tops[c]) + _BAR - 3), 0.5)
    count = f"right joins {len(right)}   wrong {len(wrong)}   missing {len(missing)}"
    _text(image, panel.title, (_PAD, 26), 0.55)
    _text(image, count, (_WIDTH - 400, 26), 0.5)
    return image


def _name(passage: Passage) -> Name:
    return passage.tracklet.camera_id, passage.tracklet.track_id


def _rgb(global_id: int, alone: bool) -> tuple[int, int, int]:
    return (214, 216, 220) if alone else vehicle_color(global_id)


def _by_vehicle(passages: Sequence[Passage], truth: Mapping[Name, int]) -> list[list[Name]]:
    ordered = sorted(passages, key=lambda p: p.tracklet.start_s)
    return [[_name(p) for p in ordered if truth[_name(p)] == v] for v in sorted(set(truth.values()))]


def _joins(groups: Sequence[Sequence[Name]], truth: Mapping[Name, int]) -> tuple[list[Any], list[Any]]:
    """Tracklets that follow each other in one identity: of one vehicle, and of different ones."""
    joins = [join for group in groups for join in pairwise(group)]
    return [j for j in joins if truth[j[0]] == truth[j[1]]], [j for j in joins if truth[j[0]] != truth[j[1]]]


def _apart(join: tuple[Name, Name], given: Mapping[Name, int]) -> bool:
    a, b = (given.get(name, 0) for name in join)
    return not a or a != b


def _lanes(passages: Sequence[Passage]) -> dict[Name, int]:
    """The first free lane of its camera for each tracklet."""
    out: dict[Name, int] = {}
    free: dict[str, list[float]] = {}
    for p in sorted(passages, key=lambda p: p.tracklet.start_s):
        ends = free.setdefault(p.tracklet.camera_id, [])
        lane = next((k for k, end in enumerate(ends) if end < p.tracklet.start_s - 0.2), len(ends))
        ends[lane : lane + 1] = [p.tracklet.end_s]
        out[_name(p)] = lane
    return out


def _line(image: Array, a: tuple[int, int, int], b: tuple[int, int, int], rgb: Any, *, dashed: bool) -> None:
    start, end = np.array([a[1], a[2] + _BAR // 2]), np.array([b[0], b[2] + _BAR // 2])
    parts = max(1, int(np.hypot(*(end - start)) / 7)) if dashed else 1
    points = np.linspace(start, end, parts + 1).round().astype(int)
    for k in range(0, parts, 2):
        cv2.line(image, points[k].tolist(), points[k + 1].tolist(), rgb, 1 if dashed else 2, cv2.LINE_AA)


def _bar(image: Array, at: tuple[int, int, int], vehicle: int, rgb: tuple[int, int, int] | None) -> None:
    left, right, top = at
    if rgb is not None:
        cv2.rectangle(image, (left, top), (right, top + _BAR), rgb, -1)
    cv2.rectangle(image, (left, top), (right, top + _BAR), _GRAY, 1)
    _text(image, str(vehicle), ((left + right) // 2 - 4 * len(str(vehicle)), top + _BAR - 4), 0.42)


def _text(image: Array, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _TEXT, 1, cv2.LINE_AA)


def main() -> int:
    """Draw, write, and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder (default: docs/association)")
    parser.add_argument("methods", nargs="*", choices=[*PICTURES, []], help="which (default: all)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for method in options.methods or PICTURES:
        image = np.concatenate([draw(panel) for panel in PICTURES[method]])
        path = options.out / f"{method}.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
