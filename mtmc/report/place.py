"""Sections about the place: zones and trajectories in every camera, the ground plane, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from markupsafe import Markup

from mtmc.errors import VideoError
from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.similarity2d import as_complex, as_xy
from mtmc.render.data_url import jpeg_data_url
from mtmc.render.report import Section
from mtmc.report.elements import color_of, rectangle, svg, table, text
from mtmc.scene import Camera, Scene
from mtmc.types import Array, Passage
from mtmc.video.blur import FrameRegions, blurred
from mtmc.video.read import read_frames

__all__ = ["place_sections"]

_WIDTH_PX = 640
_JPEG_QUALITY = 75
_TRAJECTORIES = 80  # of a camera
_POINTS = 30  # of a trajectory
_ENTRY, _EXIT = "#4c9a5b", "#c2543c"
_GROUND_WIDTH = 1080.0
_LEGEND_COLUMNS, _LEGEND_ROW = 8, 22.0
_LINKS = 100  # rows of the table


def place_sections(
    scene: Scene, passages: Sequence[Passage], hidden: Mapping[str, FrameRegions] | None = None
) -> list[Section]:
    """The sections.

    Args:
        scene: The place as association knew it.
        passages: Of all cameras.
        hidden: What is blurred in the frames below the zones, by camera.
    """
    cameras = [camera for camera in scene.cameras if not camera.problem]
    pictures = [_figure(camera, _of(camera, passages), (hidden or {}).get(camera.id)) for camera in cameras]
    lead = (
        "Zones by which vehicles enter (green) and leave (red), and the bottom centers of the boxes of some "
        "vehicles, over the first frame."
    )
    sections = [Section("Zones", lead, Markup('<div class="videos">') + Markup("").join(pictures) + Markup("</div>"))]
    for plane in sorted({root for root, _, _ in scene.plane_transforms().values()}):
        lines = {camera.id: _ground_lines(scene, camera, passages, plane) for camera in cameras}
        lines = {name: of_camera for name, of_camera in lines.items() if of_camera}
        if lines:
            sections.append(_ground_section(lines, plane))
    if scene.links:
        sections.append(_links_section(scene))
    return sections


def _of(camera: Camera, passages: Sequence[Passage]) -> list[Passage]:
    """Passages of a camera in order of time."""
    return sorted((p for p in passages if p.tracklet.camera_id == camera.id), key=lambda p: p.tracklet.start_s)


def _some(own: Sequence[Passage]) -> list[Passage]:
    """Some passages of a camera, evenly over time."""
    if not own:
        return []
    return [own[k] for k in np.unique(np.linspace(0, len(own) - 1, _TRAJECTORIES).astype(int)).tolist()]


# A camera


def _figure(camera: Camera, passages: Sequence[Passage], hidden: FrameRegions | None) -> Markup:
    width, height = camera.size_wh or _extent(passages)
    elements = [_background(camera, hidden, width, height)]
    for passage in _some(passages):
        points = bottom_center(passage.tracklet.xyxy.astype(float))
        elements.append(_polyline(_thinned(points), "#fff"))
    for zone in camera.zones:
        color = {"in": _ENTRY, "out": _EXIT}.get(zone.role, "#888888")
        corners = " ".join(f"{x:.0f},{y:.0f}" for x, y in zone.polygon.tolist())
        element = Markup('<polygon class="zone" points="{}" fill="{}" stroke="{}"><title>{}</title></polygon>')
        elements.append(element.format(corners, color, color, zone.name))
    picture = svg(width, height, f"Zones of {camera.id}", elements)
    known = [
        f"{len(camera.zones)} zones",
        "calibrated" if camera.ground_from_image is not None else "not calibrated",
        f"{camera.clock.fps:g} frames per second",
        f"starts at {camera.clock.time_s(np.array([0]))[0]:.2f} s",
    ]
    caption = Markup("<figcaption><b>{}</b> {}</figcaption>").format(camera.id, ", ".join(known))
    return Markup("<figure>") + picture + caption + Markup("</figure>")


def _extent(passages: Sequence[Passage]) -> tuple[int, int]:
    """Width and height that hold all boxes, where the image size is unknown."""
    far = [passage.tracklet.xyxy[:, 2:].max(axis=0) for passage in passages]
    width, height = np.max([*far, np.ones(2)], axis=0).tolist()
    return round(width), round(height)


def _background(camera: Camera, hidden: FrameRegions | None, width: int, height: int) -> Markup:
    """The first frame as a picture inside the page; a gray area without a readable video."""
    if camera.video is None or not camera.video.exists():
        return Markup('<rect width="{}" height="{}" fill="#555"/>').format(width, height)
    try:
        frame = next(read_frames(camera.video, camera.id, camera.clock, wanted=[0])).image
    except (VideoError, StopIteration):
        return Markup('<rect width="{}" height="{}" fill="#555"/>').format(width, height)
    if hidden is not None:
        frame = blurred(frame, hidden.at(0))
    size = _WIDTH_PX, round(frame.shape[0] * _WIDTH_PX / frame.shape[1])
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    address = jpeg_data_url(small, _JPEG_QUALITY)
    return Markup('<image href="{}" width="{}" height="{}" opacity="0.75"/>').format(address, width, height)


def _thinned(points: Array) -> Array:
    """At most some points of a trajectory, (N, 2) → (M, 2)."""
    return np.asarray(points[np.unique(np.linspace(0, len(points) - 1, _POINTS).astype(int))])


def _polyline(points: Array, color: str) -> Markup:
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())
    return Markup('<polyline class="trajectory" points="{}" stroke="{}"/>').format(at, color)


# The ground


def _ground_lines(scene: Scene, camera: Camera, passages: Sequence[Passage], plane: str) -> list[Array]:
    """Trajectories of a camera on a root ground plane: float64 (L, 2) each, meters."""
    if camera.ground_from_image is None:
        return []
    root, rotation, translation = scene.plane_transforms()[camera.ground_plane]
    if root != plane:
        return []
    known = [p.ground_m[np.isfinite(p.ground_m).all(axis=1)] for p in _of(camera, passages)]
    return [as_xy(rotation * as_complex(_thinned(points)) + translation) for points in known if len(points) > 1]


def _ground_section(lines: dict[str, list[Array]], plane: str) -> Section:
    points = np.concatenate([line for of_camera in lines.values() for line in of_camera])
    low, high = np.percentile(points, 1, axis=0) - 5, np.percentile(points, 99, axis=0) + 5
    scale = _GROUND_WIDTH / float(max(high - low))
    width, height = (scale * (high - low)).tolist()
    top = _LEGEND_ROW * -(-len(lines) // _LEGEND_COLUMNS)
    elements = []
    for k, (camera, of_camera) in enumerate(lines.items()):
        for line in of_camera:
            at = scale * (line[((line > low) & (line < high)).all(axis=1)] - low)
            at[:, 1] = top + height - at[:, 1]
            elements.append(_polyline(at, color_of(k)))
        row, column = divmod(k, _LEGEND_COLUMNS)
        x, y = _GROUND_WIDTH / _LEGEND_COLUMNS * column, _LEGEND_ROW * row
        elements += [rectangle(x, y + 8, 22, 6, color_of(k), camera), text(x + 30, y + 15, camera, "name")]
    height += top
    meters = 10 if max(high - low) < 200 else 100
    bar = Markup('<rect x="8" y="{:.0f}" width="{:.1f}" height="3" fill="var(--ink)"/>')
    elements += [bar.format(height + 22, meters * scale), text(8, height + 16, f"{meters} m", "name")]
    name = f" “{plane}”" if plane else ""
    lead = f"Positions on the ground plane{name} of some vehicles, one color per camera."
    return Section("Ground plane", lead, svg(width, height + 30, "Ground plane", elements))


# Links


def _links_section(scene: Scene) -> Section:
    rows = [
        (
            f"{link.from_camera}, {link.from_zone}" if link.from_zone else link.from_camera,
            f"{link.to_camera}, {link.to_zone}" if link.to_zone else link.to_camera,
            f"{link.min_s:.1f} to {link.max_s:.1f}".replace("-", "−"),
            "–" if link.typical_s is None else f"{link.typical_s:.1f}",
            "–" if link.share is None else f"{100 * link.share:.0f}",
        )
        for link in scene.links
    ]
    columns = ("From", "To", "Travel time, s", "Typical, s", "Share, %")
    return Section(
        "Links between cameras", "As stated in the scene file or learned.", table(columns, rows, words=(1,))
    )
