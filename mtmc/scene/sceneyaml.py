"""``scene.yaml``: what is known about a place, written down.

::

    name: crossroads
    start_utc: 2026-05-12T07:00:00Z # date and time of second 0 of the scene's clock
    cameras:
      - id: north
        video: north.mp4            # or a folder of numbered images; found by itself if named like the id
        start_s: 1.64               # scene time of frame 0; or its date and time, start_utc: 2026-05-12T07:00:01.64Z
                                    # or start_utc: file, the date in the video's metadata
        fps: 9.33                   # effective rate, where it differs from the file's
        time_map: [[0, 0.0], [1550, 155.0], [1551, 165.0]]   # frame, scene seconds: 10 s were dropped
        roi: north_roi.png
        ground_from_image: [[…3 numbers…], […], […]]          # pixel → meters
        ground_plane: north         # of which plane; planes are related by plane_alignments only
        zones:                      # role: in, out or both (default)
          - {name: west, role: in, polygon: [[0, 200], [80, 200], [80, 400]]}
        box_scale: [1.1, 1.15]      # grow boxes to this much of their width and height
    links:                          # travel times in seconds; the other keys may be left out
      - {from: [north, west], to: [south, east], min_s: 4, max_s: 12, typical_s: 6.5, spread_s: 1.2, share: 0.6,
         length_m: 85}
    plane_alignments:               # approximate transforms between ground planes
      - {plane: north, reference_plane: south, rotation_deg: 35, translation_m: [80, -12]}
    origins:                        # where (0, 0) of a ground plane lies on Earth, and where its second axis points
      - {plane: north, latitude_deg: 48.13713, longitude_deg: 11.57539, bearing_deg: 12}
    maps:                           # pictures of the ground from above; origin_px shows (0, 0) of the plane
      - {plane: north, image: map.png, m_per_px: 0.12, origin_px: [640, 480], rotation_deg: 0}
    overrides:                      # settings of a run that replace the defaults here
      detect: {weights: weights/detector.onnx}

Without a ``start_utc`` of the scene, second 0 of its clock is the earliest ``start_utc`` of a camera. Starts that the
file does not state may follow from the names of the recordings (:mod:`mtmc.scene.recording_dates`).

What the folder's own layout says (plain or CityFlow) is taken first; the file adds to it and overrides it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from mtmc.errors import SceneError, VideoError
from mtmc.geometry.clock import FPS_RANGE, LATEST_S, Clock
from mtmc.scene import cityflow, motchallenge, plain
from mtmc.scene.names import number_names
from mtmc.scene.recording_dates import date_in_file, with_named_starts
from mtmc.scene.scene import Camera, GroundMap, Link, PlaneAlignment, PlaneOrigin, Scene, Zone
from mtmc.settings import Settings, YamlFile, parse_settings, read_yaml
from mtmc.types import Array
from mtmc.video.read import probe

__all__ = ["SceneFile", "load", "restore"]

#: No number may be NaN or infinite.
_FINITE = ConfigDict(allow_inf_nan=False)
#: What would be read as seconds since 1970.
_NUMBER = re.compile(r"[+-]?[\d.]+([eE][+-]?\d+)?")


def _is_date_with_zone(value: Any, validate: ValidatorFunctionWrapHandler) -> datetime:
    """A date and time with a zone; a bare number, which pydantic would take for seconds since 1970, is refused.

    So are dates near the ends of the calendar, from which some scene times lead out of it.
    """
    with suppress(ValidationError, OverflowError):
        if not _NUMBER.fullmatch(str(value)):
            moment: datetime = validate(value)
            for seconds in (-LATEST_S, LATEST_S):
                moment + timedelta(seconds=seconds)
            return moment
    raise ValueError("expected a date and time with a time zone, such as 2026-05-12T07:00:00Z")


DateWithZone = Annotated[AwareDatetime, Field(strict=False), WrapValidator(_is_date_with_zone)]

#: ``start_utc`` of a camera whose video states the date.
_FILE = "file"


def _is_date_or_file(value: Any, validate: ValidatorFunctionWrapHandler) -> datetime | str:
    return _FILE if value == _FILE else _is_date_with_zone(value, validate)


DateOfRecording = Annotated[DateWithZone | Literal["file"], WrapValidator(_is_date_or_file)]


def _is_name(name: str) -> str:
    if not name:
        raise ValueError("expected a name, as a zone without one counts as none")
    return name


class ZoneEntry(Settings):
    """An entry or exit region of one camera."""

    model_config = _FINITE

    name: Annotated[str, AfterValidator(_is_name)]
    polygon: list[tuple[float, float]] = Field(min_length=3, description="corners in pixels")
    role: Literal["in", "out", "both"] = Field("both", description="whether vehicles come in there, go out, or both")


class CameraEntry(Settings):
    """One camera. Every key but the id may be left to the folder's layout."""

    model_config = _FINITE

    id: str = Field(min_length=1, pattern=r"^[^/]+$")
    number: int | None = Field(None, ge=0, lt=10**9, description="what stands for it in track1.txt")
    video: str | None = None
    fps: float | None = Field(None, ge=FPS_RANGE[0], le=FPS_RANGE[1], description="effective frames per second")
    start_s: float | None = Field(None, ge=-LATEST_S, le=LATEST_S, description="scene time of frame 0")
    start_utc: DateOfRecording | None = Field(
        None, description="date and time, with a time zone, of frame 0; file: as the video's metadata have it"
    )
    time_map: list[tuple[int, float]] = Field(default_factory=list, description="[frame, scene seconds] knots")
    frame_count: int | None = Field(None, ge=1)
    size_wh: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    roi: str | None = None
    detections: list[str] = Field(default_factory=list)
    tracklets: list[str] = Field(default_factory=list)
    ground_truth: str | None = None
    ground_from_image: list[list[float]] | None = Field(None, description="3×3, pixel → meters")
    ground_plane: str = Field("", description="name of the ground plane of those meters")
    zones: list[ZoneEntry] = Field(default_factory=list)
    box_scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = Field(
        None, description="factors by which boxes grow in width and height about their center"
    )


class LinkEntry(Settings):
    """Vehicles go from one camera's zone to another's within a travel time."""

    from_: tuple[str, str] = Field(alias="from", description="[camera, zone]")
    to: tuple[str, str] = Field(description="[camera, zone]")
    min_s: float = Field(description="least travel time in seconds; negative where the views overlap")
    max_s: float = Field(description="greatest travel time in seconds")
    typical_s: float | None = Field(None, description="robust center of the travel times in seconds")
    spread_s: float | None = Field(None, ge=0, description="robust spread of the travel times in seconds")
    share: float | None = Field(None, ge=0, le=1, description="share of those leaving that take this link")
    length_m: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="length of the road between the two zones in meters, for speeds"
    )


class PlaneAlignmentEntry(Settings):
    """The approximate rigid transform from one ground plane to another."""

    renamed: ClassVar[Mapping[str, str]] = {
        "onto": "reference_plane",
        "turn_deg": "rotation_deg",
        "shift_m": "translation_m",
    }
    model_config = _FINITE

    plane: str = Field(description="the ground_plane that is aligned")
    reference_plane: str = Field(description="the ground_plane that it is aligned with")
    rotation_deg: float = Field(description="rotation in degrees, from the first axis to the second")
    translation_m: tuple[float, float] = Field(description="translation after the rotation, in meters")


class OriginEntry(Settings):
    """Where on Earth a ground plane lies."""

    model_config = _FINITE

    plane: str = Field("", description="the ground_plane")
    latitude_deg: float = Field(ge=-90, le=90, description="latitude of its point (0, 0) in degrees, WGS 84")
    longitude_deg: float = Field(ge=-180, le=180, description="longitude of its point (0, 0) in degrees")
    bearing_deg: float = Field(
        0.0, ge=-360, le=360, description="compass bearing of its second axis, degrees clockwise from north"
    )


class MapEntry(Settings):
    """A picture of the ground from above."""

    model_config = _FINITE

    plane: str = Field("", description="the ground_plane that it shows")
    image: str = Field(min_length=1, description="its file")
    m_per_px: float = Field(gt=0, description="its scale in meters per pixel")
    origin_px: tuple[float, float] = Field((0.0, 0.0), description="its pixel that shows the plane's point (0, 0)")
    rotation_deg: float = Field(
        0.0, description="direction of its rows on the plane, degrees from the first axis to the second"
    )


class SceneFile(Settings):
    """The whole file."""

    renamed: ClassVar[Mapping[str, str]] = {"models": "overrides", "placements": "plane_alignments"}

    name: str | None = None
    start_utc: DateWithZone | None = Field(
        None, description="date and time, with a time zone, of second 0 of the scene's clock"
    )
    cameras: list[CameraEntry] = Field(default_factory=list)
    links: list[LinkEntry] = Field(default_factory=list)
    plane_alignments: list[PlaneAlignmentEntry] = Field(default_factory=list)
    origins: list[OriginEntry] = Field(default_factory=list)
    maps: list[MapEntry] = Field(default_factory=list)
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="settings of a run that replace the defaults here"
    )


def load(folder: Path, path: Path) -> Scene:
    """The scene that ``path`` describes, its files relative to ``folder``.

    Raises:
        SceneError: The file or something it names is missing, malformed or contradictory.
    """
    file = read_yaml(path, SceneError)
    written = parse_settings(SceneFile, file.data, file=file, error=SceneError)
    base = _layout(folder, {entry.id for entry in written.cameras})
    cameras = {camera.id: camera for camera in base}
    places = [_Place(file, folder, ("cameras", index)) for index in range(len(written.cameras))]
    dates = [_date(entry, cameras.get(entry.id), here) for entry, here in zip(written.cameras, places, strict=True)]
    start_utc = written.start_utc or min(filter(None, dates), default=None)
    for entry, date, here in zip(written.cameras, dates, places, strict=True):
        start_s = (date - start_utc).total_seconds() if date and start_utc else None
        try:
            cameras[entry.id] = _camera(entry, cameras.get(entry.id), here, start_s)
        except _MissingFile as error:
            # One camera's missing file is that camera's problem; the others can be used.
            unusable = cameras.get(entry.id) or Camera(entry.id, 0, Clock(entry.fps or plain.IMAGE_FOLDER_FPS))
            unusable = _with_clock(unusable, entry, here, start_s)
            cameras[entry.id] = replace(unusable, zones=_zones(entry), problem=str(error))
    if not cameras:
        raise SceneError("names no camera, and its folder holds none", path=path, remedy="list them under cameras:")
    written_numbers = {entry.id: entry.number for entry in written.cameras if entry.number is not None}
    numbers = number_names(cameras, written_numbers)
    ordered = tuple(cameras[key] for key in sorted(cameras))
    if not any(entry.start_utc for entry in written.cameras):  # names give no time zone to compare with
        ordered, start_utc = with_named_starts(ordered, start_utc)
    scene = Scene(
        name=written.name or folder.resolve().name,
        root=folder,
        cameras=tuple(replace(c, number=numbers[c.id]) for c in ordered),
        links=_links(written),
        overrides=_absolute_files(written.overrides, folder),
        start_utc=start_utc,
        maps=tuple(
            _map(e, _Place(file, folder, ("maps", k)).existing("image", e.image)) for k, e in enumerate(written.maps)
        ),
    )
    _check_links(scene, file)
    return _with_origins(_with_alignments(scene, written, file), written, file)


def restore(content: dict[str, Any], folder: Path) -> Scene:
    """The scene of a complete description (:func:`mtmc.scene.write.content_of`), files there or not.

    Unlike :func:`load` nothing is looked up on disk, so a scene can be had again after its videos have moved.

    Raises:
        SceneError: A key is unknown or its value impossible.
    """
    written = parse_settings(SceneFile, content, error=SceneError)
    cameras = []
    for entry in written.cameras:
        knots = tuple((frame, seconds) for frame, seconds in entry.time_map)
        video, roi, ground_truth = (
            None if name is None else folder / name for name in (entry.video, entry.roi, entry.ground_truth)
        )
        matrix = entry.ground_from_image
        cameras.append(
            Camera(
                id=entry.id,
                number=entry.number or 0,
                clock=Clock(entry.fps or plain.IMAGE_FOLDER_FPS, entry.start_s or 0.0, knots),
                video=video,
                size_wh=entry.size_wh,
                frame_count=entry.frame_count,
                roi=roi,
                ground_truth=ground_truth,
                detections=tuple(folder / name for name in entry.detections),
                tracklets=tuple(folder / name for name in entry.tracklets),
                ground_from_image=None if matrix is None else np.array(matrix, np.float64),
                ground_plane=entry.ground_plane,
                zones=_zones(entry),
                box_scale=entry.box_scale or (1.0, 1.0),
            )
        )
    overrides = _absolute_files(written.overrides, folder)
    name = written.name or folder.name
    return Scene(
        name=name,
        root=folder,
        cameras=tuple(cameras),
        links=_links(written),
        overrides=overrides,
        plane_alignments=_plane_alignments(written),
        start_utc=written.start_utc,
        origins=_origins(written),
        maps=tuple(_map(entry, folder / entry.image) for entry in written.maps),
    )


def _links(written: SceneFile) -> tuple[Link, ...]:
    return tuple(
        Link(*e.from_, *e.to, e.min_s, e.max_s, e.typical_s, e.spread_s, e.share, e.length_m) for e in written.links
    )


def _plane_alignments(written: SceneFile) -> tuple[PlaneAlignment, ...]:
    return tuple(
        PlaneAlignment(e.plane, e.reference_plane, e.rotation_deg, e.translation_m) for e in written.plane_alignments
    )


def _map(entry: MapEntry, image: Path) -> GroundMap:
    return GroundMap(entry.plane, image, entry.m_per_px, entry.origin_px, entry.rotation_deg)


def _origins(written: SceneFile) -> tuple[PlaneOrigin, ...]:
    return tuple(PlaneOrigin(e.plane, e.latitude_deg, e.longitude_deg, e.bearing_deg) for e in written.origins)


def _planes(scene: Scene) -> list[str]:
    """Names of the ground planes of calibrated cameras."""
    return sorted({c.ground_plane for c in scene.cameras if c.ground_from_image is not None})


def _with_origins(scene: Scene, written: SceneFile, file: YamlFile) -> Scene:
    """The scene with the origins of its ground planes, each of which is checked."""
    planes = _planes(scene)
    for index, origin in enumerate(_origins(written)):
        line = file.line(("origins", index))
        if origin.plane not in planes:
            raise SceneError(
                f"an origin names ground plane {origin.plane!r}, which no camera has",
                path=file.path,
                line=line,
                remedy=f"the planes of calibrated cameras are {_listed(planes)}",
            )
        try:
            scene = replace(scene, origins=(*scene.origins, origin))
        except SceneError as cause:
            raise SceneError(str(cause), path=file.path, line=line) from None
    return scene


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _with_alignments(scene: Scene, written: SceneFile, file: YamlFile) -> Scene:
    """The scene with its plane alignments, each of which is checked."""
    planes = _planes(scene)
    for index, alignment in enumerate(_plane_alignments(written)):
        unknown = sorted({alignment.plane, alignment.reference_plane}.difference(planes))
        if unknown:
            raise SceneError(
                f"a plane alignment names ground plane {unknown[0]!r}, which no camera has",
                path=file.path,
                line=file.line(("plane_alignments", index)),
                remedy=f"the planes of calibrated cameras are {_listed(planes)}",
            )
        try:
            scene = replace(scene, plane_alignments=(*scene.plane_alignments, alignment))
        except SceneError as cause:
            raise SceneError(str(cause), path=file.path, line=file.line(("plane_alignments", index))) from None
    return scene


def _layout(folder: Path, listed: Collection[str]) -> tuple[Camera, ...]:
    """The cameras of the folder's layout.

    If the file lists cameras, pictures in the folder itself (a region of interest, a map) are no camera, unless it
    lists one under the folder's name.
    """
    if cityflow.find_scenarios(folder) == [folder]:
        return cityflow.load(folder).cameras
    if motchallenge.is_sequence(folder):
        return motchallenge.load(folder).cameras
    scene = plain.load(folder)
    if scene is None:
        return ()
    itself = folder.resolve()
    return tuple(c for c in scene.cameras if c.video != itself or not listed or c.id in listed)


class _MissingFile(SceneError):
    """A file that a camera's entry names is not there."""


class _Place:
    """Where in the file we are, for error messages and relative paths."""

    def __init__(self, file: YamlFile, folder: Path, location: tuple[int | str, ...]) -> None:
        self.file, self.folder, self.location = file, folder, location

    def error(self, key: str, message: str, remedy: str = "") -> SceneError:
        line = self.file.line((*self.location, key))
        return SceneError(f"{key}: {message}", path=self.file.path, line=line, remedy=remedy)

    def existing(self, key: str, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            error = self.error(key, f"there is no file {name} beside it", "paths are relative to scene.yaml's folder")
            raise _MissingFile(str(error))
        return path


def _date(entry: CameraEntry, base: Camera | None, here: _Place) -> datetime | None:
    """The date of frame 0 by the entry, or by its video; a video that cannot be used is reported with its camera."""
    if not isinstance(entry.start_utc, str):
        return entry.start_utc
    video = here.folder / entry.video if entry.video is not None else base.video if base is not None else None
    if video is not None and not video.exists():
        return None
    if video is None:
        raise here.error("start_utc", "there is no video", "give the date and time of frame 0")
    date = date_in_file(video)
    if date is None and not _is_broken(video):
        form = f"the metadata of {video.name} have no date of the form 2026-05-12T07:00:00Z"
        raise here.error("start_utc", form, "give the date and time of frame 0")
    return date


def _is_broken(video: Path) -> bool:
    try:
        probe(video)
    except VideoError:
        return True
    return False


def _camera(entry: CameraEntry, base: Camera | None, here: _Place, start_s: float | None) -> Camera:
    """A camera as its entry has it, on top of what the folder's layout says; ``start_s`` is by its date."""
    if entry.start_s is not None and entry.start_utc is not None:
        raise here.error("start_utc", "expected start_s or start_utc, got both", "remove one of them")
    if entry.video is not None and (base is None or base.video != here.folder / entry.video):
        # A video named in the file replaces the layout's, with what lies beside it.
        found = plain.camera_from_video(entry.id, here.existing("video", entry.video), entry.fps)
        base = found if base is None else replace(base, video=found.video, size_wh=found.size_wh, clock=found.clock)
    if base is None:
        if not entry.detections and not entry.tracklets:
            raise here.error("id", f"camera {entry.id} has no video, detections or tracklets", "add video: FILE")
        base = Camera(id=entry.id, number=0, clock=Clock(fps=entry.fps or plain.IMAGE_FOLDER_FPS))
    base = _with_clock(base, entry, here, start_s)
    return replace(
        base,
        size_wh=entry.size_wh or base.size_wh,
        frame_count=entry.frame_count or base.frame_count,
        detections=tuple(here.existing("detections", f) for f in entry.detections) or base.detections,
        tracklets=tuple(here.existing("tracklets", f) for f in entry.tracklets) or base.tracklets,
        ground_truth=here.existing("ground_truth", entry.ground_truth) if entry.ground_truth else base.ground_truth,
        roi=here.existing("roi", entry.roi) if entry.roi else base.roi,
        ground_from_image=_homography(entry, here) if entry.ground_from_image else base.ground_from_image,
        ground_plane=entry.ground_plane,
        zones=_zones(entry) or base.zones,
        box_scale=entry.box_scale or base.box_scale,
    )


def _with_clock(base: Camera, entry: CameraEntry, here: _Place, start_s: float | None) -> Camera:
    """A camera with the clock that its entry states; ``start_s`` is by its date."""
    try:
        knots = tuple((frame, seconds) for frame, seconds in entry.time_map)
        if entry.fps is not None or knots:  # what the file says replaces the video's own timestamps
            first_s = base.clock.start_s if entry.start_s is None else entry.start_s
            clock = Clock(entry.fps or base.clock.fps, first_s, knots)
        else:
            clock = base.clock if entry.start_s is None else base.clock.starting_at(entry.start_s)
    except SceneError as cause:
        raise here.error("time_map" if entry.time_map else "fps", str(cause)) from None
    if start_s is not None:
        if abs(start_s) > LATEST_S:
            message = f"expected a date within {LATEST_S:g} s of second 0 of the scene's clock"
            raise here.error("start_utc", message, "correct it, or start_utc of the scene")
        clock = clock.starting_at(start_s)
    is_stated = entry.start_s is not None or start_s is not None or bool(knots)
    return replace(base, clock=clock, clock_is_stated=is_stated)


def _zones(entry: CameraEntry) -> tuple[Zone, ...]:
    return tuple(Zone(z.name, np.array(z.polygon, np.float64), z.role) for z in entry.zones)


def _homography(entry: CameraEntry, here: _Place) -> Array:
    rows = entry.ground_from_image or []
    square = [len(row) for row in rows] == [3, 3, 3]
    matrix = np.array(rows, np.float64) if square else np.zeros((3, 3))
    if not square or not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 3:
        lengths = " and ".join(str(n) for n in sorted({len(row) for row in rows}))
        came = f"{len(rows)} rows of {lengths}" if not square else "a singular matrix"
        raise here.error("ground_from_image", f"expected an invertible 3×3 matrix, got {came}")
    return matrix


def _check_links(scene: Scene, file: YamlFile) -> None:
    zones = {camera.id: {zone.name for zone in camera.zones} | {""} for camera in scene.cameras}
    for index, link in enumerate(scene.links):
        line = file.line(("links", index))
        for camera, zone in ((link.from_camera, link.from_zone), (link.to_camera, link.to_zone)):
            if camera not in zones:
                known = ", ".join(zones)
                raise SceneError(
                    f"a link names camera {camera}, which is not there",
                    path=file.path,
                    line=line,
                    remedy=f"the cameras are {known}",
                )
            if zone not in zones[camera]:
                known = ", ".join(sorted(zones[camera] - {""})) or "none"
                raise SceneError(
                    f"a link names zone {zone} of camera {camera}, which is not there",
                    path=file.path,
                    line=line,
                    remedy=f"its zones are {known}; '' stands for any",
                )
        if not link.min_s <= link.max_s:
            raise SceneError(
                f"expected min_s ≤ max_s for a link, got {link.min_s} and {link.max_s}", path=file.path, line=line
            )
        if link.typical_s is not None and not link.min_s <= link.typical_s <= link.max_s:
            raise SceneError(
                f"expected a link's typical_s within [{link.min_s}, {link.max_s}], got {link.typical_s}",
                path=file.path,
                line=line,
                remedy="widen the window or leave typical_s out",
            )


def _absolute_files(overrides: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings in which names of files that lie in the scene's folder are full paths."""
    out: dict[str, Any] = {}
    for key, value in overrides.items():
        if isinstance(value, dict):
            out[key] = _absolute_files(value, folder)
        elif isinstance(value, str) and value and (folder / value).exists():
            out[key] = str((folder / value).resolve())
        else:
            out[key] = value
    return out
