"""The passages over time, as a picture: cameras are rows, passages are bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from markupsafe import Markup

from mtmc.geometry.clock import midnight_s
from mtmc.render.style import clock_text, hex_color, vehicle_color
from mtmc.render.summary import CameraSummary, Vehicle
from mtmc.types import Tracklet

__all__ = ["timeline_svg"]

_WIDTH, _NAMES, _RIGHT = 1080, 84, 20  # units of the picture, and how many of them the camera names take at least
_LETTER, _MOST_LETTERS = 7.7, 24  # width of a letter of a camera's name, and how many of a name are shown
_BAR, _LANE, _ROW_GAP, _AXIS = 7, 10, 14, 26
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def timeline_svg(
    cameras: Sequence[CameraSummary], vehicles: Sequence[Vehicle], start_utc: datetime | None = None
) -> Markup:
    """An SVG element without outside resources; colors of text and lines come from the page's style sheet.

    Passages that overlap in time lie in lanes below each other. Vehicles of several cameras come first and have their
    color, the others have the class ``alone``; where there are no vehicles of several cameras, all have their color.
    The title of a bar names the vehicle and its times: times of day where ``start_utc``, the date of second 0 of
    the scene's clock, is known.
    """
    clock = partial(clock_text, start_utc=start_utc)
    bars = {camera.camera_id: list[tuple[Vehicle, Tracklet]]() for camera in cameras}
    for vehicle in vehicles:
        for passage in vehicle.passages:
            if passage.tracklet.camera_id in bars:
                bars[passage.tracklet.camera_id].append((vehicle, passage.tracklet))
    start_s = min((c.start_s for c in cameras), default=0.0)
    end_s = max(max((c.start_s + c.duration_s for c in cameras), default=0.0), start_s + 1.0)
    left = max([_NAMES, *(_LETTER * (len(_shortened(c.camera_id)) + 1) for c in cameras)])

    def x(time_s: float) -> float:
        share = (time_s - start_s) / (end_s - start_s)
        return left + (_WIDTH - left - _RIGHT) * min(max(share, 0.0), 1.0)

    all_colored = not any(vehicle.shared for vehicle in vehicles)
    rows, y = [], float(_AXIS)
    for camera in cameras:
        lanes = _lanes(bars[camera.camera_id])
        height = _LANE * (max(lanes, default=0) + 1) - (_LANE - _BAR)
        rows.append(_row(camera, x(camera.start_s), x(camera.start_s + camera.duration_s), y, height))
        for lane, (vehicle, tracklet) in zip(lanes, bars[camera.camera_id], strict=True):
            paint = _paint(vehicle) if vehicle.shared or all_colored else 'class="alone"'
            label = _label(vehicle, tracklet, clock(tracklet.start_s), clock(tracklet.end_s))
            rows.append(_bar(label, paint, x(tracklet.start_s), x(tracklet.end_s), y + _LANE * lane))
        y += height + _ROW_GAP
    ticks = _ticks(start_s, end_s, midnight_s(start_utc))
    grid = [
        Markup('<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{y:.0f}"/>').format(
            x=x(t), y=y - _ROW_GAP / 2
        )
        + Markup('<text class="tick" x="{:.1f}" y="12">{}</text>').format(x(t), clock(t)[:-2])
        for t in ticks
    ]
    head = Markup('<svg class="timeline" viewBox="0 0 {} {:.0f}" role="img" aria-label="Timeline">\n')
    return head.format(_WIDTH, y) + Markup("\n").join([*grid, *rows]) + Markup("\n</svg>")


def _row(camera: CameraSummary, x1: float, x2: float, y: float, height: float) -> Markup:
    """The camera's name, and a pale band for the time in which it looked."""
    return Markup(
        '<text class="camera" x="0" y="{middle:.1f}">{name}</text>'
        '<rect class="recorded" x="{x1:.1f}" y="{top:.1f}" width="{width:.1f}" height="{tall:.1f}" rx="3"/>'
    ).format(
        middle=y + height / 2 + 4,
        name=_shortened(camera.camera_id),
        x1=x1,
        top=y - 4,
        width=x2 - x1,
        tall=height + 8,
    )


def _shortened(name: str) -> str:
    """A camera's name; of a long one the beginning and the end, which tell the cameras of a folder apart.

    >>> _shortened("625_201707211410"), _shortened("crossroads at the old station, north")
    ('625_201707211410', 'crossroads a…tion, north')
    """
    half = _MOST_LETTERS // 2
    return name if len(name) <= _MOST_LETTERS else f"{name[:half]}…{name[len(name) - half + 1 :]}"


def _paint(vehicle: Vehicle) -> str:
    return f'fill="{hex_color(vehicle_color(vehicle.global_id))}"'


def _label(vehicle: Vehicle, tracklet: Tracklet, start: str, end: str) -> str:
    return f"vehicle {vehicle.global_id} ({vehicle.name}), {tracklet.camera_id}, {start} to {end}"


def _bar(label: str, paint: str, x1: float, x2: float, y: float) -> Markup:
    return Markup(
        '<rect {paint} x="{x1:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall}" rx="2">'
        "<title>{label}</title></rect>"
    ).format(paint=Markup(paint), x1=x1, y=y, width=max(x2 - x1, 2.0), tall=_BAR, label=label)


def _lanes(bars: Sequence[tuple[Vehicle, Tracklet]]) -> list[int]:
    """For each bar the first lane that is free when it begins; vehicles of one camera only lie below all others."""
    lanes = [0] * len(bars)
    free_from_s: list[float] = []
    for shared in (True, False):
        first = len(free_from_s)
        group = (i for i, (vehicle, _) in enumerate(bars) if vehicle.shared == shared)
        for i in sorted(group, key=lambda i: (bars[i][1].start_s, bars[i][1].track_id)):
            free = (n for n in range(first, len(free_from_s)) if free_from_s[n] < bars[i][1].start_s)
            lanes[i] = next(free, len(free_from_s))
            free_from_s[lanes[i] : lanes[i] + 1] = [bars[i][1].end_s]
    return lanes


def _ticks(start_s: float, end_s: float, midnight: float) -> list[float]:
    """At most about ten moments that are round after midnight."""
    step = next((s for s in _STEPS_S if (end_s - start_s) / s <= 10), _STEPS_S[-1])
    first, last = -int(-(start_s - midnight) // step), int((end_s - midnight) // step)
    return [midnight + step * k for k in range(first, last + 1)]
