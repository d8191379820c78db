"""The CityFlow (AI City Challenge) layout: ``S02/c006/{vdo.avi, roi.jpg, calibration.txt, det/, mtsc/, gt/}``.

Start offsets stand in ``cam_timestamp/S02.txt`` and frame counts in ``cam_framenum/S02.txt``, which the releases put
at different depths; they are looked for in the scenario's folder and upwards from there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtmc.errors import SceneError
from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import metres_from_gps, project
from mtmc.scene.place import Camera, Scene
from mtmc.scene.plain import camera_from_video
from mtmc.types import Array

__all__ = ["find_scenarios", "load", "read_calibration"]

NOMINAL_FPS = 10.0
#: Cameras whose nominal rate the data set's ReadMe gives as another one.
OTHER_FPS = {("S03", "c015"): 8.0}
_CAMERA = re.compile(r"c\d{3}")
_SCENARIO = re.compile(r"S\d{2}")
_VIDEOS = ("vdo.avi", "vdo.mp4", "vdo.mkv", "vdo.mov", "vdo.ts", "img1")
_LEVELS_UP = 4


def find_scenarios(folder: Path) -> list[Path]:
    """Scenario folders at or below ``folder``, sorted by name; empty if it does not have this layout."""
    if _camera_folders(folder):
        return [folder]
    inner = [p for p in folder.glob("*") if p.is_dir()] + [p for p in folder.glob("*/*") if p.is_dir()]
    found = [p for p in inner if _SCENARIO.fullmatch(p.name) and _camera_folders(p)]
    return sorted(found, key=lambda p: (p.name, str(p)))


def load(folder: Path) -> Scene:
    """One scenario.

    Raises:
        SceneError: A clock, calibration or camera folder is malformed.
    """
    name = folder.resolve().name
    starts = _read_pairs(_find_upwards(folder, "cam_timestamp", name))
    counts = _read_pairs(_find_upwards(folder, "cam_framenum", name))
    cameras = [_camera(path, name, starts, counts) for path in _camera_folders(folder)]
    return Scene(name=name, root=folder, cameras=_on_common_ground(cameras))


def _camera_folders(folder: Path) -> list[Path]:
    contents = ("det", "mtsc", "gt", *_VIDEOS)
    return sorted(
        p
        for p in folder.glob("c[0-9][0-9][0-9]")
        if _CAMERA.fullmatch(p.name) and any((p / content).exists() for content in contents)
    )


def _camera(folder: Path, scenario: str, starts: dict[str, float], counts: dict[str, float]) -> Camera:
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
    return replace(
        camera,
        number=int(camera_id[1:]),
        clock=replace(camera.clock, start_s=starts.get(camera_id, 0.0)),
        frame_count=int(counts[camera_id]) if camera_id in counts else None,
        detections=tuple(sorted(folder.glob("det/*.txt"))),
        tracklets=tuple(sorted(folder.glob("mtsc/*.txt"))),
        ground_truth=truth if truth.is_file() else None,
        roi=roi if roi.is_file() else next((p for p in [folder / "roi.png"] if p.is_file()), None),
        ground_from_image=read_calibration(calibration) if calibration.is_file() else None,
    )


def _find_upwards(folder: Path, kind: str, scenario: str) -> Path | None:
    place = folder.resolve()
    for _ in range(_LEVELS_UP):
        candidate = place / kind / f"{scenario}.txt"
        if candidate.is_file():
            return candidate
        place = place.parent
    return None


def _read_pairs(path: Path | None) -> dict[str, float]:
    """Lines ``c006 0.061``."""
    if path is None:
        return {}
    pairs: dict[str, float] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            camera_id, value = words
            pairs[camera_id] = float(value)
        except ValueError:
            raise SceneError(
                f"expected 'camera number' such as 'c006 0.061', got {line.strip()!r}",
                path=path,
                line=number,
                remedy="mend or remove that line",
            ) from None
    return pairs


def read_calibration(path: Path) -> Array:
    """GPS degrees (latitude, longitude) from pixels, as a homography: float64 (3, 3).

    The file's first line is a 3×3 matrix, rows separated by ``;``, after an optional ``Homography matrix:``. It maps
    GPS to pixels in the published files; some copies hold the inverse. The direction is told apart by where the
    picture lands: on a place on Earth no larger than a few kilometres. Lens parameters on further lines are not used.

    Raises:
        SceneError: There is no invertible 3×3 matrix of finite numbers, or neither direction lands on Earth.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    rows = [row.replace(",", " ").split() for row in lines[0].split(":")[-1].strip().strip(";").split(";")]
    try:
        matrix = np.array([[float(word) for word in row] for row in rows], np.float64)
    except ValueError:
        matrix = np.zeros((0, 0))
    shape_fits = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all())
    if not shape_fits or abs(np.linalg.det(matrix / np.abs(matrix).max())) < 1e-18:
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
    """Turn GPS homographies into metres east and north of one origin, common to the scenario."""
    calibrated = [c.ground_from_image for c in cameras if c.ground_from_image is not None]
    if not calibrated:
        return tuple(cameras)
    lat0, lon0 = project(np.array([640.0, 600.0]), calibrated[0]).round(3)
    to_metres = metres_from_gps((float(lat0), float(lon0)))
    return tuple(
        c if c.ground_from_image is None else replace(c, ground_from_image=to_metres @ c.ground_from_image)
        for c in cameras
    )
