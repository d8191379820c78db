"""The CityFlow (AI City Challenge) layout: ``S02/c006/{vdo.avi, roi.jpg, calibration.txt, det/, mtsc/, gt/}``.

Start offsets stand in ``cam_timestamp/S02.txt`` and frame counts in ``cam_framenum/S02.txt``, which the releases put
at different depths; they are looked for in the scenario's folder and upwards from there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mtmc.errors import SceneError
from mtmc.geometry.clock import LATEST_S, Clock
from mtmc.geometry.ground import meters_from_gps, project
from mtmc.scene.names import subfolders
from mtmc.scene.plain import camera_from_video
from mtmc.scene.scene import Camera, Scene
from mtmc.types import Array

__all__ = ["find_scenarios", "load", "read_calibration"]

NOMINAL_FPS = 10.0
#: Cameras whose nominal rate the data set's ReadMe gives as another one.
OTHER_FPS = {("S03", "c015"): 8.0}
_CAMERA = re.compile(r"c\d{3}")
_SCENARIO = re.compile(r"S\d{2}")
_VIDEOS = ("vdo.avi", "vdo.mp4", "vdo.mkv", "vdo.mov", "vdo.ts", "img1")
#: One of these is in every camera's folder.
_CONTENTS = frozenset({"det", "mtsc", "gt", *_VIDEOS})
_LEVELS_UP = 4
_MOST_FRAMES = 10**9  # of a video: a year at 30 frames per second

_log = logging.getLogger(__name__)


def find_scenarios(folder: Path) -> list[Path]:
    """Scenario folders at or below ``folder``, sorted by name; empty if it does not have this layout."""
    if _camera_folders(folder):
        return [folder]
    children = subfolders(folder)
    grandchildren = [inner for child in children for inner in subfolders(child)]
    found = [p for p in (*children, *grandchildren) if _SCENARIO.fullmatch(p.name) and _camera_folders(p)]
    return sorted(found, key=lambda p: (p.name, str(p)))


def load(folder: Path) -> Scene:
    """One scenario. A camera whose own files, or lines of common ones, are malformed has a ``problem``.

    Raises:
        SceneError: A line of a clock or frame count file names no camera.
    """
    name = folder.resolve().name
    folders = _camera_folders(folder)
    _note_other_names(folder)
    known = [path.name for path in folders]
    starts = _SideFile.read(
        _find_upwards(folder, "cam_timestamp", name), known, _start_s, "'camera number' such as 'c006 0.061'"
    )
    counts = _SideFile.read(
        _find_upwards(folder, "cam_framenum", name),
        known,
        _frame_count,
        "'camera frames' such as 'c006 2110', a whole number from 0",
    )
    cameras = [_camera(path, name, starts, counts) for path in folders]
    return Scene(name=name, root=folder, cameras=_on_common_ground(cameras))


def _camera_folders(folder: Path) -> list[Path]:
    return [p for p in subfolders(folder) if _CAMERA.fullmatch(p.name) and _CONTENTS.intersection(_names_in(p))]


def _note_other_names(folder: Path) -> None:
    """Name in the log the folders that hold what a camera's does but are called otherwise, such as ``c6``."""
    for path in subfolders(folder):
        if not _CAMERA.fullmatch(path.name) and _CONTENTS.intersection(_names_in(path)):
            _log.warning("%s: left out: no camera's name here, which is c and three digits, such as c006", path)


def _names_in(folder: Path) -> list[str]:
    """Names of what a folder holds; none, with a note in the log, where it may not be read."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError as error:
        _log.warning("%s: left out: the folder cannot be read (%s)", folder, error.strerror)
        return []


def _camera(folder: Path, scenario: str, starts: _SideFile, counts: _SideFile) -> Camera:
    camera_id = folder.name
    video = next((folder / name for name in _VIDEOS if (folder / name).exists()), None)
    fps = OTHER_FPS.get((scenario, camera_id), NOMINAL_FPS)
    if video is None:
        camera = Camera(id=camera_id, number=0, clock=Clock(fps=fps))
    else:
        # The container's own rate is right where it differs; image folders have none.
        camera = camera_from_video(camera_id, video, fps=fps if video.is_dir() else None)
    roi, truth = folder / "roi.jpg", folder / "gt" / "gt.txt"
    calibration = folder / "calibration.txt"
    problem = starts.problems.get(camera_id, "") or counts.problems.get(camera_id, "")
    ground = None
    try:
        ground = read_calibration(calibration) if calibration.is_file() else None
    except SceneError as error:
        problem = problem or str(error)
    return replace(
        camera,
        number=int(camera_id[1:]),
        clock=camera.clock.starting_at(starts.values.get(camera_id, 0.0)),
        frame_count=int(counts.values.get(camera_id, 0)) or None,
        detections=tuple(sorted(folder.glob("det/*.txt"))),
        tracklets=tuple(sorted(folder.glob("mtsc/*.txt"))),
        ground_truth=truth if truth.is_file() else None,
        roi=roi if roi.is_file() else next((p for p in [folder / "roi.png"] if p.is_file()), None),
        ground_from_image=ground,
        problem=problem,
    )


def _find_upwards(folder: Path, kind: str, scenario: str) -> Path | None:
    place = folder.resolve()
    for _ in range(_LEVELS_UP):
        candidate = place / kind / f"{scenario}.txt"
        if candidate.is_file():
            return candidate
        place = place.parent
    return None


@dataclass(frozen=True, slots=True)
class _SideFile:
    """A line per camera, such as ``c006 0.061``: the numbers, and sentences about malformed lines, by camera."""

    values: Mapping[str, float] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, path: Path | None, cameras: Sequence[str], number_in: Callable[[str], float], expected: str
    ) -> _SideFile:
        """Read such a file; None reads as an empty one.

        Args:
            path: The file.
            cameras: Names of the scenario's cameras.
            number_in: The number of a text, or a ValueError.
            expected: What a line should look like, for the error message.

        Raises:
            SceneError: A line begins with no camera's name.
        """
        if path is None:
            return cls()
        values: dict[str, float] = {}
        problems: dict[str, str] = {}
        for number, line in enumerate(_text(path).splitlines(), start=1):
            words = line.replace(",", " ").split()
            if not words or words[0].startswith("#"):
                continue
            try:
                camera_id, text = words
                values[camera_id] = number_in(text)
            except ValueError:
                error = SceneError(
                    f"expected {expected}, got {line.strip()!r}",
                    path=path,
                    line=number,
                    remedy="mend or remove that line",
                )
                if not _CAMERA.fullmatch(words[0]):
                    raise error from None
                problems[words[0]] = str(error)
        missing = [name for name in cameras if name not in values and name not in problems]
        if missing and values:
            _log.warning("%s: no line for %s", path, ", ".join(missing))
        return cls(values, problems)


def _start_s(text: str) -> float:
    """A number of seconds that is possible, or a ValueError."""
    value = float(text)
    if not abs(value) <= LATEST_S:
        raise ValueError(text)
    return value


def _frame_count(text: str) -> int:
    """A whole number from 0, which stands in some lists for a number that is not known, or a ValueError."""
    value = float(text)
    if not value.is_integer() or not 0 <= value <= _MOST_FRAMES:
        raise ValueError(text)
    return int(value)


def _text(path: Path) -> str:
    """The text of a side file; a byte order mark is no part of it.

    Raises:
        SceneError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise SceneError(
            f"cannot read this file ({error.strerror})", path=path, remedy="check its permissions"
        ) from None


def read_calibration(path: Path) -> Array:
    """GPS degrees (latitude, longitude) from pixels, as a homography: float64 (3, 3).

    The file's first line is a 3×3 matrix, rows separated by ``;``, after an optional ``Homography matrix:``. It maps
    GPS to pixels in the published files; some copies hold the inverse. The direction is told apart by where the
    picture lands: on a place on Earth no larger than a few kilometers. Lens parameters on further lines are not used.

    Raises:
        SceneError: There is no invertible 3×3 matrix of finite numbers, or neither direction lands on Earth.
    """
    lines = _text(path).splitlines() or [""]
    rows = [row.replace(",", " ").split() for row in lines[0].split(":")[-1].strip().strip(";").split(";")]
    try:
        matrix = np.array([[float(word) for word in row] for row in rows], np.float64)
    except ValueError:
        matrix = np.zeros((0, 0))
    shape_fits = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all())
    if not shape_fits or not matrix.any() or abs(np.linalg.det(matrix / np.abs(matrix).max())) < 1e-18:
        shape = "×".join(str(n) for n in sorted({len(row) for row in rows}))
        came = f"{len(rows)} rows of {shape}" if not shape_fits else "a singular matrix"
        raise SceneError(
            f"expected an invertible 3×3 homography, rows separated by ';', got {came}",
            path=path,
            line=1,
            remedy="mend the first line, or remove the file to go without ground positions",
        )
    for gps_from_image in (np.linalg.inv(matrix), matrix):
        if _lands_on_one_place(gps_from_image):
            return np.asarray(gps_from_image)
    raise SceneError(
        "expected a homography between pixels and GPS degrees, but neither direction maps the picture to one place",
        path=path,
        line=1,
        remedy="check that it maps (latitude, longitude, 1) to pixels",
    )


def _lands_on_one_place(gps_from_image: Array) -> bool:
    """Whether the lower half of a 1280×720 picture maps to latitudes and longitudes within 0.05 degrees."""
    points = project(np.array([[640.0, 700.0], [640.0, 500.0], [400.0, 600.0], [880.0, 600.0]]), gps_from_image)
    degrees = bool(np.isfinite(points).all()) and bool((np.abs(points) <= [90.0, 180.0]).all())
    distinct = bool(np.ptp(points, axis=0).min() > 0)
    return degrees and distinct and bool((np.ptp(points, axis=0) < 0.05).all())


def _on_common_ground(cameras: list[Camera]) -> tuple[Camera, ...]:
    """Turn GPS homographies into meters east and north of one origin, common to the scenario."""
    calibrated = [c.ground_from_image for c in cameras if c.ground_from_image is not None]
    if not calibrated:
        return tuple(cameras)
    lat0, lon0 = project(np.array([640.0, 600.0]), calibrated[0]).round(3)
    to_meters = meters_from_gps((float(lat0), float(lon0)))
    return tuple(
        c if c.ground_from_image is None else replace(c, ground_from_image=to_meters @ c.ground_from_image)
        for c in cameras
    )
