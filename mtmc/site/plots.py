"""Plots of what was learned, to be checked: zones and trajectories over a frame, travel times, ground planes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.files import atomic_path
from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import as_complex, as_xy
from mtmc.scene import Camera
from mtmc.site.learn import LearnedScene
from mtmc.site.links import FoundLink
from mtmc.site.zones import FoundZone
from mtmc.types import Array, Frame
from mtmc.video.blur import FrameRegions, blurred
from mtmc.video.read import read_frames

__all__ = ["draw_camera", "draw_ground", "draw_plots", "label_places"]

Color = tuple[int, int, int]

_WIDTH_PX = 960
_ENTRY, _EXIT, _LIGHT, _GRAY = (120, 200, 80), (70, 120, 250), (235, 235, 235), (120, 120, 120)  # BGR
_BACKGROUND, _CHART_BACKGROUND, _LABEL_BACKGROUND = 42, 30, (30, 30, 30)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CHART_HEIGHT_PX, _CHART_BINS, _CHARTS_PER_ROW = 190, 40, 3
_LEGEND_ROW_PX = 22
_LABEL_SCALE, _LABEL_PAD_PX = 0.45, 4

_CHART_MARGIN_PX = 12  # left and right of the bars
_CHART_TOP_PX = 52  # below the two lines of text
_CHART_BOTTOM_PX = _CHART_HEIGHT_PX - 28  # above the bar of the window and the labels of the axis
_MIN_CHART_SPAN_S = 10.0  # a shorter axis would show differences that do not matter


def draw_plots(learned: LearnedScene, folder: Path, hidden: Mapping[str, FrameRegions]) -> list[Path]:
    """One plot per camera, and one for each ground plane (with those aligned to it) of several cameras.

    Args:
        learned: What was learned.
        folder: Where to write.
        hidden: What is blurred in the frames below the trajectories, by camera.

    Returns:
        The files.
    """
    files = []
    for camera in learned.scene.cameras:
        plot = draw_camera(learned, camera.id, _frame_of(learned, camera, hidden.get(camera.id)))
        files.append(_write(plot, folder / f"{camera.id}.png"))
    root_of = {name: root for name, (root, _, _) in learned.scene.plane_transforms().items()}
    cameras = Counter(root_of[c.ground_plane] for c in learned.scene.cameras if c.ground_from_image is not None)
    for plane in sorted(name for name, count in cameras.items() if count > 1):
        name = f"ground_{plane}.png" if plane else "ground.png"
        files.append(_write(draw_ground(learned, plane), folder / name))
    return files


def _write(image: Array, path: Path) -> Path:
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), image)
    return path


def _frame_of(learned: LearnedScene, camera: Camera, hidden: FrameRegions | None) -> Array | None:
    """A frame from the middle of what was tracked, BGR; None without a readable video."""
    if camera.video is None or not camera.video.exists():
        return None
    own = [p.tracklet for p in learned.passages if p.tracklet.camera_id == camera.id]
    wanted = int(np.median(np.concatenate([tracklet.frame for tracklet in own]))) if own else 0
    try:
        found: Frame = next(read_frames(camera.video, camera.id, camera.clock, wanted=[wanted]))
    except (VideoError, StopIteration):
        return None
    image = found.image if hidden is None else blurred(found.image, hidden.at(found.index))
    return np.asarray(image[..., ::-1])


# A camera


def draw_camera(learned: LearnedScene, camera_id: str, frame: Array | None = None) -> Array:
    """A camera's zones and trajectories, and the travel times of its links below: uint8 (H, W, 3) BGR.

    Args:
        learned: What was learned.
        camera_id: The camera.
        frame: uint8 (H, W, 3) BGR, drawn below the trajectories.
    """
    width, height = learned.size_wh[camera_id]
    scale = _WIDTH_PX / width
    plot = np.full((round(height * scale), _WIDTH_PX, 3), _BACKGROUND, np.uint8)
    if frame is not None:
        fitted = cv2.resize(frame, plot.shape[1::-1], interpolation=cv2.INTER_AREA)
        plot = cv2.addWeighted(fitted, 0.6, plot, 0.4, 0)

    lines = plot.copy()
    for passage in learned.passages:
        if passage.tracklet.camera_id == camera_id:
            points = bottom_center(passage.tracklet.xyxy.astype(float)) * scale
            _draw_line(lines, points, _GRAY if frame is None else _LIGHT)
    plot = cv2.addWeighted(lines, 0.45, plot, 0.55, 0)

    zones = learned.zones[camera_id].zones
    filled = plot.copy()
    for zone in zones:
        cv2.fillPoly(filled, [_corners(zone.polygon * scale)], _color(zone))
    plot = cv2.addWeighted(filled, 0.3, plot, 0.7, 0)
    for zone in zones:
        cv2.polylines(plot, [_corners(zone.polygon * scale)], True, _color(zone), 2, cv2.LINE_AA)
    _draw_labels(plot, [(f"{z.name}: {z.count}", z.polygon.mean(axis=0) * scale, _color(z)) for z in zones])

    links = [link for link in learned.links if link.from_camera == camera_id]
    return np.concatenate([plot, _draw_charts(links)]) if links else plot


def _color(zone: FoundZone) -> Color:
    return _ENTRY if zone.role == "in" else _EXIT


def _corners(points: Array) -> Array:
    """Points as OpenCV wants polygons: int32 (V, 1, 2)."""
    return np.round(points).astype(np.int32).reshape(-1, 1, 2)


def _draw_line(image: Array, points: Array, color: Color) -> None:
    cv2.polylines(image, [_corners(points)], False, color, 1, cv2.LINE_AA)


def _draw_labels(image: Array, labels: Sequence[tuple[str, Array, Color]]) -> None:
    """Text, center (2,) and color of each label."""
    sizes = [cv2.getTextSize(text, _FONT, _LABEL_SCALE, 1)[0] for text, _, _ in labels]
    places = label_places(sizes, [center for _, center, _ in labels], image.shape[1::-1])
    for (text, _, color), (left, top, right, bottom) in zip(labels, places, strict=True):
        cv2.rectangle(image, (left, top), (right - 1, bottom - 1), _LABEL_BACKGROUND, -1)
        baseline = (left + _LABEL_PAD_PX, bottom - _LABEL_PAD_PX - 1)
        cv2.putText(image, text, baseline, _FONT, _LABEL_SCALE, color, 1, cv2.LINE_AA)


def label_places(
    sizes_wh: Sequence[tuple[int, int]], centers: Sequence[Array], image_wh: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Rectangles (left, top, right, bottom) of labels, each as near to its center as the earlier ones allow.

    Args:
        sizes_wh: Sizes of the texts, pixels.
        centers: Points (2,) in the image, pixels.
        image_wh: Size of the image. Where it has no room left, labels overlap.
    """
    places: list[tuple[int, int, int, int]] = []
    for (text_width, text_height), (x, y) in zip(sizes_wh, centers, strict=True):
        width, height = text_width + 2 * _LABEL_PAD_PX, text_height + 2 * _LABEL_PAD_PX
        left = int(np.clip(x - width / 2, 0, max(image_wh[0] - width, 0)))
        tops = range(max(image_wh[1] - height, 0) + 1)
        candidates = [
            (left, top, left + width, top + height) for top in sorted(tops, key=lambda t: abs(t + height / 2 - y))
        ]
        places.append(next((c for c in candidates if not any(_overlap(c, p) for p in places)), candidates[0]))
    return places


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_charts(links: Sequence[FoundLink]) -> Array:
    """Histograms of travel times, three to a row."""
    width = _WIDTH_PX // _CHARTS_PER_ROW
    charts = [_draw_chart(link, width) for link in links]
    empty = np.full((_CHART_HEIGHT_PX, width, 3), _CHART_BACKGROUND, np.uint8)
    charts += [empty] * (-len(charts) % _CHARTS_PER_ROW)
    rows = [charts[k : k + _CHARTS_PER_ROW] for k in range(0, len(charts), _CHARTS_PER_ROW)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _draw_chart(link: FoundLink, width: int) -> Array:
    """All gaps in gray, the travel times of the link in color, its window as a bar below."""
    chart = np.full((_CHART_HEIGHT_PX, width, 3), _CHART_BACKGROUND, np.uint8)
    left, right = _CHART_MARGIN_PX, width - _CHART_MARGIN_PX
    low_s = min(link.min_s, float(link.candidate_s[0]), 0.0)
    high_s = max(link.max_s, float(link.candidate_s[-1]), low_s + _MIN_CHART_SPAN_S)

    def x_of(seconds: float) -> int:
        return round(left + (right - left) * (seconds - low_s) / (high_s - low_s))

    edges_s = np.linspace(low_s, high_s, _CHART_BINS + 1)
    edges_px = [x_of(edge_s) for edge_s in edges_s]
    candidates, _ = np.histogram(link.candidate_s, edges_s)
    taken, _ = np.histogram(link.times_s, edges_s)

    # Both histograms have one scale. A link's own travel times are drawn over all gaps.
    greatest = max(int(candidates.max()), 1)
    _draw_bars(chart, edges_px, candidates, greatest, _GRAY)
    _draw_bars(chart, edges_px, taken, greatest, _EXIT)

    window_y = _CHART_BOTTOM_PX + 5  # just below the bars
    cv2.line(chart, (x_of(link.min_s), window_y), (x_of(link.max_s), window_y), _LIGHT, 2)
    _write_chart_texts(chart, link, low_s, high_s)
    return chart


def _draw_bars(
    chart: Array, edges_px: Sequence[int], counts: Array, greatest: int, color: tuple[int, int, int]
) -> None:
    """One bar per bin, as high as the chart where the count is the greatest one."""
    full_height = _CHART_BOTTOM_PX - _CHART_TOP_PX
    for count, (left, right) in zip(counts, pairwise(edges_px), strict=True):
        top = _CHART_BOTTOM_PX - round(full_height * count / greatest)
        cv2.rectangle(chart, (left, top), (right - 1, _CHART_BOTTOM_PX), color, -1)


def _write_chart_texts(chart: Array, link: FoundLink, low_s: float, high_s: float) -> None:
    """The link and its figures above the bars, both ends of the axis of time below them."""
    title = f"{link.from_zone} > {link.to_camera} {link.to_zone}"
    times = f"{link.typical_s:.1f} +- {link.spread_s:.1f} s, n {len(link.times_s)}"
    evidence = f"confidence {link.confidence:.2f}, {link.evidence}"
    left = _CHART_MARGIN_PX
    for text, y in ((title, 18), (f"{times}, {evidence}", 38)):
        cv2.putText(chart, text, (left, y), _FONT, 0.38, _LIGHT, 1, cv2.LINE_AA)

    last_label_x = chart.shape[1] - _CHART_MARGIN_PX - 40  # leaves room for a label of five characters
    axis_y = _CHART_HEIGHT_PX - 6
    for seconds, x in ((low_s, left), (high_s, last_label_x)):
        cv2.putText(chart, f"{seconds:.0f} s", (x, axis_y), _FONT, 0.36, _GRAY, 1, cv2.LINE_AA)


# A ground plane


def draw_ground(learned: LearnedScene, plane: str = "") -> Array:
    """The trajectories on a ground plane and on those aligned with it, one color per camera: uint8 (H, W, 3) BGR."""
    root_of = {name: root for name, (root, _, _) in learned.scene.plane_transforms().items()}
    cameras = [
        c for c in learned.scene.cameras if c.ground_from_image is not None and root_of[c.ground_plane] == plane
    ]
    lines = [_ground_lines(learned, camera) for camera in cameras]
    points = np.concatenate([line for of_camera in lines for line in of_camera])
    low = np.percentile(points, 2, axis=0) - 5
    high = np.percentile(points, 98, axis=0) + 5
    px_per_m = _WIDTH_PX / max(high - low)
    width, height = (int(v) for v in np.ceil((high - low) * px_per_m))
    plot = np.full((height, width, 3), _CHART_BACKGROUND, np.uint8)

    colors = _hues(len(cameras))
    for of_camera, color in zip(lines, colors, strict=True):
        for line in of_camera:
            px = (line - low) * px_per_m
            px[:, 1] = height - px[:, 1]
            _draw_line(plot, px[(np.abs(px) < 4 * _WIDTH_PX).all(axis=1)], color)
    for k, (camera, color) in enumerate(zip(cameras, colors, strict=True)):
        name = camera.id if camera.ground_plane == plane else f"{camera.id} (aligned)"
        cv2.putText(plot, name, (10, 20 + _LEGEND_ROW_PX * k), _FONT, 0.5, color, 1, cv2.LINE_AA)
    cv2.line(plot, (10, height - 12), (10 + round(10 * px_per_m), height - 12), _LIGHT, 2)
    cv2.putText(plot, "10 m", (10, height - 18), _FONT, 0.4, _LIGHT, 1, cv2.LINE_AA)
    return plot


def _ground_lines(learned: LearnedScene, camera: Camera) -> list[Array]:
    """A camera's trajectories on the root of its ground plane: float64 (L, 2) each, meters."""
    if camera.ground_from_image is None:
        return []
    _, rotation, translation = learned.scene.plane_transforms()[camera.ground_plane]
    lines = []
    for passage in learned.passages:
        if passage.tracklet.camera_id != camera.id:
            continue
        ground = project(bottom_center(passage.tracklet.xyxy.astype(float)), camera.ground_from_image)
        if len(ground) > 3 and np.isfinite(ground).all():
            lines.append(as_xy(rotation * as_complex(ground) + translation))
    return lines


def _hues(count: int) -> list[Color]:
    """Colors of evenly spaced hues, BGR."""
    hues = np.array([[[180 * k // count, 170, 240] for k in range(count)]], np.uint8)
    return [tuple(color) for color in cv2.cvtColor(hues, cv2.COLOR_HSV2BGR)[0].tolist()]
