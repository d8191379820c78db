"""One self-contained page that shows a result to people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mtmc.files import atomic_path
from mtmc.render.config import RenderConfig
from mtmc.render.data_url import jpeg_data_url
from mtmc.render.style import clock_text, hex_color, vehicle_color
from mtmc.render.summary import (
    CameraSummary,
    Vehicle,
    count_by_class,
    counted,
    summarise_cameras,
    summarise_vehicles,
)
from mtmc.render.timeline import timeline_svg
from mtmc.scene import Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["ScoreRow", "Section", "write_report"]

#: Column name → what stands in it. Floats are shares in [0, 1], printed in per cent; all rows have the same columns.
ScoreRow = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Section:
    """A further section of the page.

    Attributes:
        title: Its heading.
        lead: A sentence below the heading, escaped.
        body: HTML without outside resources, its text escaped.
    """

    title: str
    lead: str
    body: Markup


_CROP_HEIGHT, _CROP_WIDTH = 128, 256  # stored at about twice the size they are shown at
_JPEG_QUALITY = 82


def write_report(
    path: str | os.PathLike[str],
    *,
    scene: Scene,
    tracks: Sequence[GlobalTrack],
    thumbnails: Mapping[tuple[str, int], Array],
    scores: Sequence[ScoreRow] | None = None,
    videos: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    made_with: Mapping[str, str] | None = None,
    config: RenderConfig | None = None,
    sections: Sequence[Section] = (),
    closing: Sequence[Section] = (),
) -> None:
    """Write the page: totals, scores, a timeline, cameras, and the path of each vehicle that several cameras saw.

    Where no vehicle was seen by several cameras, the page shows the vehicles of single cameras instead.

    Styles and crops are inside the page; nothing is fetched. Equal input gives equal bytes.

    Args:
        path: HTML file to write.
        scene: The cameras.
        tracks: The vehicles.
        thumbnails: (camera_id, track_id) → uint8 (h, w, 3) RGB, or (K, h, w, 3) for several pictures.
        scores: Rows of a table of scores.
        videos: Camera id, or another title such as "All cameras" → path relative to the page.
        notes: Sentences to show below the totals, such as what a number leaves out.
        made_with: What the result was made with, such as ``{"detector": "yolo11s.pt"}``, shown below the title.
        config: How many vehicles to show; the default configuration if None.
        sections: Shown after the cameras.
        closing: Shown at the end.

    Raises:
        ValueError: A video's path is absolute, or the score rows differ in their columns.
        MtmcError: The file cannot be written.
    """
    scores, videos = list(scores or ()), dict(videos or {})
    if any(list(row) != list(scores[0]) for row in scores):
        raise ValueError("write_report: expected score rows with the same columns")
    vehicles = summarise_vehicles(tracks)
    cameras = summarise_cameras(scene, vehicles)
    shared = [v for v in vehicles if v.shared]
    limit = (config or RenderConfig()).report_vehicles
    start_s = min((c.start_s for c in cameras), default=0.0)
    page = _template(scene.start_utc).render(
        scene=scene.name,
        date=_date_text(scene.start_utc),
        cameras=cameras,
        vehicles=vehicles,
        shared=shared,
        duration_s=max((c.start_s + c.duration_s for c in cameras), default=0.0) - start_s,
        timeline=timeline_svg(cameras, vehicles, scene.start_utc),
        classes=count_by_class(vehicles),
        itineraries=[_itinerary(v, thumbnails) for v in sorted(shared, key=_interest)[:limit]],
        gallery=[] if shared else [_itinerary(v, thumbnails) for v in vehicles[:limit]],
        scores=scores,
        camera_videos={c.camera_id: _link(videos[c.camera_id]) for c in cameras if c.camera_id in videos},
        other_videos={t: _link(v) for t, v in videos.items() if t not in {c.camera_id for c in cameras}},
        busiest_s=_busiest_s(cameras),
        notes=notes,
        made_with=dict(made_with or {}),
        sections=sections,
        closing=closing,
    )
    with atomic_path(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")


def _date_text(start_utc: datetime | None) -> str:
    """Date and time zone, "" if unknown: 2026-05-12, UTC+02:00."""
    if start_utc is None:
        return ""
    date, offset = start_utc.date().isoformat(), start_utc.isoformat()[-6:]
    return f"{date}, UTC" if offset == "+00:00" else f"{date}, UTC{offset}"


def _template(start_utc: datetime | None) -> Any:
    environment = Environment(
        loader=PackageLoader("mtmc", "render"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["clock"] = partial(clock_text, start_utc=start_utc)
    environment.filters["duration"] = clock_text
    environment.filters["score"] = _score
    environment.globals["counted"] = counted
    return environment.get_template("report.html.j2")


def _interest(vehicle: Vehicle) -> tuple[int, float, int]:
    """Those that passed most cameras first, then in order of appearance."""
    return -len({p.tracklet.camera_id for p in vehicle.passages}), vehicle.start_s, vehicle.global_id


def _itinerary(vehicle: Vehicle, thumbnails: Mapping[tuple[str, int], Array]) -> dict[str, Any]:
    """A vehicle's passages, those of one camera that follow each other taken together as one stop."""
    stops: list[dict[str, Any]] = []
    for passage in vehicle.passages:
        tracklet = passage.tracklet
        if not stops or stops[-1]["camera_id"] != tracklet.camera_id:
            stops.append({"camera_id": tracklet.camera_id, "times": [], "crops": []})
        stops[-1]["times"].append((tracklet.start_s, tracklet.end_s))
        stops[-1]["crops"] += _crops(passage, thumbnails)
    return {"vehicle": vehicle, "color": hex_color(vehicle_color(vehicle.global_id)), "stops": stops}


def _crops(passage: Passage, thumbnails: Mapping[tuple[str, int], Array]) -> list[str]:
    """Pictures as data addresses; none if there are none."""
    images = thumbnails.get((passage.tracklet.camera_id, passage.tracklet.track_id))
    if images is None:
        return []
    return [_data_url(image) for image in (images if images.ndim == 4 else images[None]) if image.size]


def _data_url(image: Array) -> str:
    height, width = image.shape[:2]
    scale = min(1.0, _CROP_HEIGHT / height, _CROP_WIDTH / width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return jpeg_data_url(image, _JPEG_QUALITY)


def _busiest_s(cameras: Sequence[CameraSummary]) -> float:
    """The first moment at which the most cameras record, in seconds from the first camera's start.

    A video of all cameras opens there, since at its own start a camera that begins later is black.
    """
    starts = sorted(camera.start_s for camera in cameras)

    def recording(time_s: float) -> int:
        return sum(c.start_s <= time_s < c.start_s + c.duration_s for c in cameras)

    return max(starts, key=recording) - starts[0] if starts else 0.0


def _link(relative: str) -> str:
    if PurePosixPath(relative).is_absolute() or PureWindowsPath(relative).is_absolute():
        raise ValueError(f"write_report: expected a path relative to the page, got {relative}")
    return quote(relative)


def _score(value: str | int | float) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)
