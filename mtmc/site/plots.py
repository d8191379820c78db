"""Zones, ways and travel times drawn over a frame, so that a person can check what was learned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.files import atomic_path
from mtmc.geometry.boxes import foot
from mtmc.geometry.ground import project
from mtmc.site.learn import LearnedScene
from mtmc.site.links import FoundLink
from mtmc.site.zones import FoundZone
from mtmc.types import Array, Frame
from mtmc.video.read import read_frames

__all__ = ["draw_camera", "draw_ground", "draw_pictures"]

_WIDTH = 960
_IN, _OUT, _INK, _PALE = (120, 200, 80), (70, 120, 250), (235, 235, 235), (120, 120, 120)  # BGR
_ROW, _CHART = 22, 190


def draw_pictures(learned: LearnedScene, folder: Path) -> list[Path]:
    """One picture per camera, and one of the grounds that lie to one another in a known way; returns the files."""
    out = []
    for camera in learned.scene.cameras:
        out.append(_write(draw_camera(learned, camera.id, _still(learned, camera.id)), folder / f"{camera.id}.png"))
    layout = learned.scene.plane_transforms()
    planes = Counter(layout[c.ground_plane][0] for c in learned.scene.cameras if c.ground_from_image is not None)
    for plane in sorted(name for name, cameras in planes.items() if cameras > 1):
        name = f"ground_{plane}.png" if plane else "ground.png"
        out.append(_write(draw_ground(learned, plane), folder / name))
    return out


def _write(picture: Array, path: Path) -> Path:
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), picture)
    return path


def _still(learned: LearnedScene, camera_id: str) -> Array | None:
    """A frame from the middle of what was tracked, BGR; None where there is no video to be had."""
    camera = learned.scene.camera(camera_id)
    if camera.video is None or not camera.video.exists():
        return None
    frames = [p.tracklet.frame for p in learned.passages if p.tracklet.camera_id == camera_id]
    wanted = int(np.median(np.concatenate(frames))) if frames else 0
    try:
        found: Frame = next(read_frames(camera.video, camera.id, camera.clock, wanted=[wanted]))
    except (VideoError, StopIteration):
        return None
    return np.asarray(found.image[..., ::-1])


def draw_camera(learned: LearnedScene, camera_id: str, still: Array | None = None) -> Array:
    """A camera's zones and ways, and the travel times of its links below: uint8 (H, W, 3) BGR."""
    size = learned.size_wh[camera_id]
    factor = _WIDTH / size[0]
    height = round(size[1] * factor)
    view = np.full((height, _WIDTH, 3), 42, np.uint8)
    if still is not None:
        view = cv2.addWeighted(cv2.resize(still, (_WIDTH, height), interpolation=cv2.INTER_AREA), 0.6, view, 0.4, 0)
    lines = view.copy()
    for passage in learned.passages:
        if passage.tracklet.camera_id == camera_id:
            _line(lines, foot(passage.tracklet.xyxy.astype(float)) * factor, _PALE if still is None else _INK, 1)
    view = cv2.addWeighted(lines, 0.45, view, 0.55, 0)
    filled = view.copy()
    for zone in learned.zones[camera_id]:
        cv2.fillPoly(filled, [_corners(zone.polygon * factor)], _colour(zone))
    view = cv2.addWeighted(filled, 0.3, view, 0.7, 0)
    for zone in learned.zones[camera_id]:
        cv2.polylines(view, [_corners(zone.polygon * factor)], True, _colour(zone), 2, cv2.LINE_AA)
    for zone in learned.zones[camera_id]:
        x, y = zone.polygon.mean(axis=0) * factor
        _label(view, f"{zone.name}: {zone.count}", (x, y), _colour(zone))
    links = [f for f in learned.links if f.from_camera == camera_id]
    return np.concatenate([view, _charts(links)]) if links else view


def _colour(zone: FoundZone) -> tuple[int, int, int]:
    return _IN if zone.role == "in" else _OUT


def _corners(points: Array) -> Array:
    return np.round(points).astype(np.int32).reshape(-1, 1, 2)


def _line(picture: Array, points: Array, colour: tuple[int, int, int], width: int) -> None:
    cv2.polylines(picture, [_corners(points)], False, colour, width, cv2.LINE_AA)


def _label(picture: Array, text: str, at: tuple[float, float], colour: tuple[int, int, int]) -> None:
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    x = int(np.clip(at[0] - w / 2, 4, picture.shape[1] - w - 4))
    y = int(np.clip(at[1] + h / 2, h + 4, picture.shape[0] - 6))
    cv2.rectangle(picture, (x - 3, y - h - 3), (x + w + 3, y + 4), (30, 30, 30), -1)
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)


def _charts(links: list[FoundLink]) -> Array:
    """Histograms of travel times, three to a row."""
    wide = _WIDTH // 3
    cells = [_chart(link, wide) for link in links]
    cells += [np.full((_CHART, wide, 3), 30, np.uint8)] * (-len(cells) % 3)
    return np.concatenate([np.concatenate(cells[k : k + 3], axis=1) for k in range(0, len(cells), 3)])


def _chart(link: FoundLink, wide: int) -> Array:
    """All differences in grey, those of the link's window in colour, the window as a bar below."""
    cell = np.full((_CHART, wide, 3), 30, np.uint8)
    left, right, top, bottom = 12, wide - 12, 52, _CHART - 28
    low = min(link.min_s, float(link.all_s[0]), 0.0)
    high = max(link.max_s, float(link.all_s[-1]), low + 10.0)
    edges = np.linspace(low, high, 41)
    everything, taken = (np.histogram(values, edges)[0] for values in (link.all_s, link.times_s))
    most = max(int(everything.max()), 1)
    for k in range(40):
        x1, x2 = (round(left + (right - left) * (k + d) / 40) for d in (0, 1))
        for count, colour in ((everything[k], _PALE), (taken[k], _OUT)):
            cv2.rectangle(cell, (x1, bottom - round((bottom - top) * count / most)), (x2 - 1, bottom), colour, -1)
    mark = [round(left + (right - left) * (value - low) / (high - low)) for value in (link.min_s, link.max_s)]
    cv2.line(cell, (mark[0], bottom + 5), (mark[1], bottom + 5), _INK, 2)
    texts = (
        (f"{link.from_zone} > {link.to_camera} {link.to_zone}", 18),
        (
            f"{link.typical_s:.1f} +- {link.spread_s:.1f} s, n {len(link.times_s)}, sure {link.sure:.2f}, {link.by}",
            38,
        ),
    )
    for text, y in texts:
        cv2.putText(cell, text, (left, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
    for value, x in ((low, left), (high, right - 40)):
        cv2.putText(cell, f"{value:.0f} s", (x, _CHART - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.36, _PALE, 1, cv2.LINE_AA)
    return cell


def draw_ground(learned: LearnedScene, plane: str = "") -> Array:
    """The ways on a ground plane and on those that rest on it, one colour per camera: uint8 (H, W, 3) BGR."""
    layout = learned.scene.plane_transforms()
    cameras = [
        c for c in learned.scene.cameras if c.ground_from_image is not None and layout[c.ground_plane][0] == plane
    ]
    names = [c.id for c in cameras]
    ways: list[tuple[int, Array]] = []
    for number, camera in enumerate(cameras):
        _, turn, shift = layout[camera.ground_plane]
        for passage in learned.passages:
            if passage.tracklet.camera_id != camera.id or camera.ground_from_image is None:
                continue
            ground = project(foot(passage.tracklet.xyxy.astype(float)), camera.ground_from_image)
            if len(ground) > 3 and np.isfinite(ground).all():
                place = turn * (ground[:, 0] + 1j * ground[:, 1]) + shift
                ways.append((number, np.stack([place.real, place.imag], axis=1)))
    everything = np.concatenate([g for _, g in ways])
    low, high = np.percentile(everything, 2, axis=0) - 5, np.percentile(everything, 98, axis=0) + 5
    factor = _WIDTH / max(high - low)
    height, width = (int(v) for v in np.ceil((high - low)[::-1] * factor))
    picture = np.full((height, width, 3), 30, np.uint8)
    hues = np.array([[[180 * k // len(names), 170, 240] for k in range(len(names))]], np.uint8)
    colours = [tuple(colour) for colour in cv2.cvtColor(hues, cv2.COLOR_HSV2BGR)[0].tolist()]
    for number, ground in ways:
        at = (ground - low) * factor
        at[:, 1] = height - at[:, 1]
        inside = (np.abs(at) < 4 * _WIDTH).all(axis=1)
        _line(picture, at[inside], colours[number], 1)
    for k, name in enumerate(names):
        at = (10, 20 + _ROW * k)
        roughly = " (roughly)" if cameras[k].ground_plane != plane else ""
        cv2.putText(picture, name + roughly, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colours[k], 1, cv2.LINE_AA)
    bar = round(10 * factor)
    cv2.line(picture, (10, height - 12), (10 + bar, height - 12), _INK, 2)
    cv2.putText(picture, "10 m", (10, height - 18), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
    return picture
