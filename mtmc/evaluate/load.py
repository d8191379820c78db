"""Ground truth and predictions from wherever they lie: one file of all cameras, one of one camera, or a folder.

Cameras are told apart by number. A file of nine columns holds the numbers themselves; a folder holds names, which get
their numbers by the rule that a run follows (:mod:`mtmc.scene.names`). Where both sides have names, cameras of one
name are the same camera.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mtmc.errors import FormatError, SceneError
from mtmc.formats.any import read_any
from mtmc.formats.mot import read_mot
from mtmc.formats.parquet import read_parquet
from mtmc.formats.table import Table
from mtmc.formats.truth import require_truth
from mtmc.scene import Camera, load_scenes
from mtmc.scene.motchallenge import is_sequence
from mtmc.scene.names import camera_files, is_camera_name, number_in, number_names, shown

__all__ = ["LoadedBoxes", "load_boxes", "load_pair", "load_scene_truth", "load_table", "load_truth", "truth_of"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBoxes:
    """Boxes of some cameras, and what is known of the cameras.

    Attributes:
        table: The rows.
        names: Name of each camera by its number, as far as the path or the scene names cameras.
        rois: Image of the region of interest by camera number, as far as a scene has some.
        sources: File of each camera's rows by camera number, as far as there is one for each.
        is_mot_challenge: Whether they are sequences of the MOT challenge, which share no identities.
        has_camera: Whether it is known which cameras the rows belong to; not so for a file of a single camera whose
            path names none, which has the number 0.
    """

    table: Table
    names: Mapping[int, str] = field(default_factory=dict)
    rois: Mapping[int, Path] = field(default_factory=dict)
    sources: Mapping[int, Path] = field(default_factory=dict)
    is_mot_challenge: bool = False
    has_camera: bool = True


def load_pair(
    truth_path: str | os.PathLike[str],
    predicted_path: str | os.PathLike[str],
    *,
    truth_offset: int = 0,
    predicted_offset: int = 0,
) -> tuple[LoadedBoxes, LoadedBoxes]:
    """Ground truth and predictions, with the same number for the same camera.

    A single-camera file whose path names no camera belongs to the camera of the other side. Rows of the truth that
    are not to be considered are left out (:mod:`mtmc.formats.truth`). A truth path that is the folder of a scene
    gives that scene's ground truth, camera numbers and regions of interest.

    Args:
        truth_path: Where the ground truth lies.
        predicted_path: Where the predictions lie.
        truth_offset: Added to the frame numbers of the truth.
        predicted_offset: Added to the frame numbers of the predictions.

    Raises:
        FormatError: A file cannot be read, no row of the truth counts, or the two share no camera.
    """
    truth = load_scene_truth(Path(truth_path), truth_offset) or load_boxes(truth_path, truth_offset)
    truth = replace(truth, table=require_truth(truth.table, truth_path))
    predicted = load_boxes(predicted_path, predicted_offset)
    cameras, others = np.unique(truth.table.camera), np.unique(predicted.table.camera)
    if not predicted.has_camera and len(cameras) == 1:
        predicted = LoadedBoxes(_in_camera(predicted.table, int(cameras[0])), truth.names)
    elif not truth.has_camera and len(others) == 1:
        number = int(others[0])
        sources = {number: truth.sources[0]}
        truth = LoadedBoxes(_in_camera(truth.table, number), predicted.names, sources=sources)
    else:
        predicted = _renumbered(predicted, truth.names)
        others = np.unique(predicted.table.camera)
        if len(others) and not np.isin(others, cameras).any():
            true_names, names = _listed(cameras, truth.names), _listed(others, predicted.names)
            got = f"ground truth of {true_names} and predictions of {names}"
            remedy = "give files of the same cameras; one of a single camera is named like it, such as c006.txt"
            raise FormatError(f"expected a camera in common, got {got}", path=predicted_path, remedy=remedy)
    return truth, predicted


def load_truth(path: str | os.PathLike[str], cameras: Sequence[Camera]) -> LoadedBoxes:
    """Ground truth from any path that :func:`load_pair` takes, with the numbers of the given cameras by their names.

    Raises:
        FormatError: A file cannot be read, or no row counts.
    """
    truth = load_scene_truth(Path(path)) or load_boxes(path)
    table = require_truth(truth.table, path)
    if not truth.has_camera and len(cameras) == 1:
        return LoadedBoxes(_in_camera(table, cameras[0].number), {cameras[0].number: cameras[0].id})
    return _renumbered(replace(truth, table=table), {camera.number: camera.id for camera in cameras})


def load_table(path: str | os.PathLike[str], frame_offset: int = 0) -> Table:
    """The rows alone of :func:`load_boxes`."""
    return load_boxes(path, frame_offset).table


def load_boxes(path: str | os.PathLike[str], frame_offset: int = 0) -> LoadedBoxes:
    """Boxes from a nine-column, MOT or Parquet file, or from a folder of MOT files.

    A file of one camera takes its number from its path: ``c006.txt``, ``c006/gt/gt.txt``. Which files of a folder
    count, and for which camera, is said by :func:`mtmc.scene.names.camera_files`.

    Raises:
        FormatError: Nothing is there, or a file is in none of the formats.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return LoadedBoxes(_moved(read_parquet(path), frame_offset))
    if not path.is_dir():
        number = _camera_of(path)
        table = read_any(path, camera=number, frame_offset=frame_offset)
        if number is not None:
            return LoadedBoxes(table, sources={number: path})
        if (table.camera != 0).any():
            return LoadedBoxes(table)
        return LoadedBoxes(table, {0: path.stem.removesuffix("_gt")}, sources={0: path}, has_camera=False)
    files = camera_files(path)
    numbers = number_names(files)
    tables = [read_mot(file, numbers[name], frame_offset) for name, file in files.items()]
    names = {number: name for name, number in numbers.items()}
    return LoadedBoxes(Table.concatenate(tables), names, sources={numbers[name]: p for name, p in files.items()})


def load_scene_truth(path: Path, frame_offset: int = 0) -> LoadedBoxes | None:
    """The ground truth of a scene's folder or ``scene.yaml``, with its cameras; None where it is no such scene.

    Raises:
        FormatError: A ground truth file is malformed, or has rows of which none counts.
    """
    if not path.is_dir() and path.suffix not in {".yaml", ".yml"}:
        return None
    try:
        scenes = load_scenes(path)
    except SceneError:
        return None
    annotated = [camera for scene in scenes for camera in scene.cameras if camera.ground_truth is not None]
    if not annotated:
        return None
    is_mot_challenge = all(is_sequence(scene.root) for scene in scenes)
    if is_mot_challenge:
        numbers = number_names(camera.id for camera in annotated)
        annotated = [replace(camera, number=numbers[camera.id]) for camera in annotated]
    if len({camera.number for camera in annotated}) < len(annotated):
        return None
    return replace(truth_of(annotated, frame_offset), is_mot_challenge=is_mot_challenge)


def truth_of(cameras: Sequence[Camera], frame_offset: int = 0) -> LoadedBoxes:
    """The rows that count of the ground truth of those cameras that have some; at least one does.

    Raises:
        FormatError: A ground truth file is malformed, or no row of any of them counts.
    """
    annotated = [(camera, camera.ground_truth) for camera in cameras if camera.ground_truth is not None]
    tables = [read_mot(path, camera.number, frame_offset) for camera, path in annotated]
    rows = Table.concatenate(tables)
    kept = require_truth(rows, annotated[0][1])
    return LoadedBoxes(
        kept,
        {camera.number: camera.id for camera, _ in annotated},
        {camera.number: camera.roi for camera, _ in annotated if camera.roi is not None},
        {camera.number: path for camera, path in annotated},
    )


def _renumbered(boxes: LoadedBoxes, names: Mapping[int, str]) -> LoadedBoxes:
    """The boxes with the numbers that ``names`` gives to cameras of the same name; others get free numbers."""
    if not boxes.names or not names:
        return LoadedBoxes(boxes.table, boxes.names or names)
    wanted = {name: number for number, name in names.items()}
    kept = {name: wanted[name] for name in boxes.names.values() if name in wanted}
    reserved = {name: number for name, number in wanted.items() if name not in kept}
    numbers = number_names(boxes.names.values(), kept | reserved)
    old = np.unique(boxes.table.camera)
    new = np.array([numbers[boxes.names[number]] for number in old.tolist()], np.int64)
    camera = new[np.searchsorted(old, boxes.table.camera)] if len(old) else boxes.table.camera
    return LoadedBoxes(
        boxes.table.with_columns(camera=camera), {n: name for name, n in numbers.items() if name not in reserved}
    )


def _in_camera(table: Table, number: int) -> Table:
    return table.with_columns(camera=np.full(len(table), number, np.int64))


def _moved(table: Table, frame_offset: int) -> Table:
    return table if frame_offset == 0 else table.with_columns(frame=table.frame + frame_offset)


def _camera_of(path: Path) -> int | None:
    """The camera that a path names: by its stem, or by the folders just above a ``gt.txt`` and the like."""
    names = (path.stem, path.absolute().parent.name, path.absolute().parent.parent.name)
    return next((number_in(name) for name in names if is_camera_name(name)), None)


def _listed(cameras: object, names: Mapping[int, str]) -> str:
    numbers = np.asarray(cameras).tolist()
    return ", ".join(shown(number, names) for number in numbers[:3]) + (" …" if len(numbers) > 3 else "")
