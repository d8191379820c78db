"""CityFlow without pixels: single-camera tracklets, clocks and homographies that come with a scene, and the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mtmc.associate.numbering import in_order
from mtmc.commands import run_command
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.geometry.boxes import iou_matrix
from mtmc.pipeline.results import load_run
from mtmc.scene import Scene, load_scenes
from mtmc.types import Array, Passage
from tools.bench.perturb import Case

__all__ = ["SCENES", "cityflow_case", "oracle"]

#: Scenes whose published tracklets are at hand.
SCENES = ("S01", "S03", "S04")

_S01_CAMERAS = ("c001", "c002", "c003", "c004", "c005")
_OVERRIDES = (
    "input.source=tracklets",
    "input.frame_offset=1",
    "embed.weights=none",
    "render.videos=false",
    "render.mosaic=false",
    "render.report=false",
    "learn.enabled=false",  # the table's rows say what is known
)


def cityflow_case(data: Path, name: str) -> Case:
    """The tracklets of a scene as the pipeline describes them, in order, and version 2 of the ground truth.

    Args:
        data: Folder with S01/, S03_tracklets/, S04_tracklets/, calibration/, cam_timestamp/, cam_framenum/ and
            ground_truth_train_v2.txt.
        name: One of :data:`SCENES`.
    """
    with TemporaryDirectory() as folder:
        [scene] = load_scenes(_s01_folder(data, Path(folder)) if name == "S01" else data / f"{name}_tracklets" / name)
        passages = tuple(_passages(scene, Path(folder) / "run"))
    truth = read_track1(data / "ground_truth_train_v2.txt")
    truth = truth[np.isin(truth.camera, [camera.number for camera in scene.cameras])]
    return Case(scene, passages, tuple(passage.tracklet for passage in passages), truth)


def _s01_folder(data: Path, folder: Path) -> Path:
    """S01 in the CityFlow layout below ``folder``, copied from DATA's parts."""
    for camera in _S01_CAMERAS:
        home = folder / "S01" / camera
        (home / "mtsc").mkdir(parents=True)
        (home / "mtsc" / "mtsc_deep_sort.txt").write_bytes(
            (data / "S01" / "mtsc_deep_sort" / f"{camera}.txt").read_bytes()
        )
        (home / "calibration.txt").write_bytes((data / "calibration" / camera / "calibration.txt").read_bytes())
    for kind in ("cam_timestamp", "cam_framenum"):
        (folder / kind).mkdir()
        (folder / kind / "S01.txt").write_bytes((data / kind / "S01.txt").read_bytes())
    return folder / "S01"


def _passages(scene: Scene, out: Path) -> list[Passage]:
    with redirect_stdout(StringIO()):
        run_command(
            videos=scene.root,
            out=out,
            config_files=(),
            overrides=_OVERRIDES,
            runner="local",
            workers=1,
            strict=True,
        )
    return in_order(load_run(out).passages)


def oracle(passages: Sequence[Passage], truth: Table, scene: Scene) -> Array:
    """Each tracklet's true vehicle, by most boxes that reach IoU 0.5; those without one stay alone: labels (N,)."""
    numbers = {camera.id: camera.number for camera in scene.cameras}
    at: dict[tuple[int, int], Array] = {}
    order = np.lexsort([truth.frame, truth.camera])
    keys = np.stack([truth.camera[order], truth.frame[order]], axis=1)
    cuts = np.flatnonzero((np.diff(keys, axis=0) != 0).any(axis=1)) + 1
    for part in np.split(order, cuts):
        at[int(truth.camera[part[0]]), int(truth.frame[part[0]])] = part
    nothing: Array = np.zeros(0, np.int64)
    labels = -1 - np.arange(len(passages))
    for k, passage in enumerate(passages):
        votes: Counter[int] = Counter()
        for frame, box in zip(passage.tracklet.frame.tolist(), passage.tracklet.xyxy, strict=True):
            part = at.get((numbers[passage.tracklet.camera_id], frame), nothing)
            if len(part):
                iou = iou_matrix(box[None].astype(float), truth.xyxy[part])[0]
                if iou.max() >= 0.5:
                    votes[int(truth.id[part[iou.argmax()]])] += 1
        if votes:
            labels[k] = min(votes, key=lambda v: (-votes[v], v))
    return np.unique(labels, return_inverse=True)[1]
