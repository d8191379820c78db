"""The corrected result for other programs: ground truth for evaluation, crops for training an embedder.

Both hold all vehicles with the boxes of their tracklets, as the pages show them: before post-processing, and those of
one camera, too. Folders are named by numbers, since names of cameras may hold any character.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mtmc.embed.crops import crop_quality, select_crops
from mtmc.errors import MtmcError
from mtmc.files import atomic_path, explain
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.mot import write_mot
from mtmc.geometry.boxes import clip
from mtmc.pipeline.camera import wanted_frames
from mtmc.pipeline.results import LoadedRun
from mtmc.postprocess.suppress import repeated_boxes
from mtmc.scene import Camera
from mtmc.types import Array, GlobalTrack, Tracklet
from mtmc.video.crop import cut

__all__ = ["ExportKind", "write_crops", "write_truth", "zipped"]

ExportKind = Literal["track1", "truth", "crops"]

_JPEG_QUALITY = 95

#: The files that an export consists of: a folder with any other one is not replaced.
_TRUTH_FILE = re.compile(r"c\d{3,}/gt/gt\.txt")
_CROP_FILE = re.compile(r"\d{4,}/c\d{3,}/\d{6,}_\d+\.jpg")


def write_truth(vehicles: Sequence[GlobalTrack], run: LoadedRun, folder: Path) -> Path:
    """Write ``c001/gt/gt.txt`` … below a folder, which is replaced: the layout that ``mtmc evaluate`` reads.

    Where a frame of a camera has two boxes of one vehicle, the one of the higher score is written.

    Raises:
        MtmcError: A file cannot be written, or the folder holds other files.
    """
    table = table_of_tracks(vehicles, {camera.id: camera.number for camera in run.scene.cameras})
    _, picture = np.unique(np.stack([table.camera, table.frame], axis=1), axis=0, return_inverse=True)
    table = table[~repeated_boxes(picture.reshape(-1), table.id, table.score[:, None])]
    table = table.with_columns(score=np.ones(len(table)))  # a 0 would mean: not to be considered
    with _replaced(folder, _TRUTH_FILE) as new:
        for number in np.unique(table.camera).tolist():
            path = new / f"c{number:03d}" / "gt" / "gt.txt"
            path.parent.mkdir(parents=True)
            write_mot(table[table.camera == number], path)
    return folder


def write_crops(vehicles: Sequence[GlobalTrack], run: LoadedRun, folder: Path) -> Path:
    """Write ``0001/c001/000012_3.jpg`` … (vehicle, camera, frame from 0, tracklet) below a folder, which is replaced.

    The crops are those that represent a tracklet in the run: large, sharp, not occluded, spread over its time.

    Raises:
        MtmcError: The run's pictures are blurred, no camera has a video, a file cannot be written, or the folder
            holds other files.
    """
    if run.config.render.blur:
        raise MtmcError(
            f"the run makes {', '.join(run.config.render.blur)} unrecognizable (render.blur), which crops would show",
            path=run.out,
            remedy="take crops from a run without render.blur",
        )
    cameras = [camera for camera in run.scene.cameras if camera.video is not None and camera.video.exists()]
    if not cameras:
        raise MtmcError(
            "the videos of the run are not there, so there are no crops",
            path=run.out,
            remedy="make the run from videos, and leave them where they are",
        )
    with _replaced(folder, _CROP_FILE) as new:
        for camera in cameras:
            _write_crops_of(camera, vehicles, run, new)
    return folder


def _write_crops_of(camera: Camera, vehicles: Sequence[GlobalTrack], run: LoadedRun, folder: Path) -> None:
    members = [(v.global_id, p.tracklet) for v in vehicles for p in v.passages if p.tracklet.camera_id == camera.id]
    wanted: dict[int, list[tuple[Path, Array]]] = defaultdict(list)
    for (vehicle, tracklet), rows in zip(members, _best_rows([t for _, t in members], camera, run), strict=True):
        place = folder / f"{vehicle:04d}" / f"c{camera.number:03d}"
        place.mkdir(parents=True, exist_ok=True)
        for row in rows:
            frame = int(tracklet.frame[row])
            wanted[frame].append((place / f"{frame:06d}_{tracklet.track_id}.jpg", tracklet.xyxy[row]))
    for picture in wanted_frames(camera, wanted.keys()):
        for path, box in wanted[picture.index]:
            _write_jpeg(_crop(picture.image, box), path)


def _best_rows(tracklets: Sequence[Tracklet], camera: Camera, run: LoadedRun) -> Iterator[list[int]]:
    """The best row of each stretch of each tracklet."""
    config = run.config.embed
    for tracklet, quality in zip(tracklets, crop_quality(tracklets, camera.size_wh), strict=True):
        yield [int(rows[0]) for rows in select_crops(tracklet, quality, config)]


def _crop(image: Array, box: Array) -> Array:
    """The pixels of a box (4,), in their own size."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = clip(box, (width, height)).tolist()
    size_hw = max(1, round(y2) - round(y1)), max(1, round(x2) - round(x1))
    return np.asarray(cut(image, box[None], size_hw)[0])


def _write_jpeg(image: Array, path: Path) -> None:
    jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    try:
        path.write_bytes(jpeg.tobytes())
    except OSError as error:
        raise explain(error, path) from error


def zipped(folder: Path) -> Path:
    """A folder as one file beside it, ``folder.zip``; names in it start with that of the folder.

    Raises:
        MtmcError: It cannot be written.
    """
    target = folder.with_suffix(".zip")
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return target


@contextmanager
def _replaced(folder: Path, written: re.Pattern[str]) -> Iterator[Path]:
    """An empty folder that takes the place of an earlier export, which has such files alone, once it is complete."""
    for path in folder.rglob("*"):
        if not path.is_dir() and not written.fullmatch(path.relative_to(folder).as_posix()):
            raise MtmcError(
                f"this folder would be replaced, but holds {path.relative_to(folder)}, which is of no export",
                path=folder,
                remedy="move it away, or choose another --folder",
            )
    new = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    except OSError as error:
        raise explain(error, folder) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
