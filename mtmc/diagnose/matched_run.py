"""A finished run matched to its ground truth box by box, and the scores of any other result on the same truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate import Scores, evaluate_tables
from mtmc.evaluate.assignment import best_matching
from mtmc.evaluate.load import load_truth, truth_of
from mtmc.evaluate.match import overlapping_pairs
from mtmc.evaluate.rows import without_repeats
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.parquet import read_parquet
from mtmc.formats.table import Table
from mtmc.formats.track1 import whole_boxes
from mtmc.geometry.boxes import xywh_to_xyxy
from mtmc.pipeline.results import LoadedRun
from mtmc.postprocess import postprocess
from mtmc.scene import Scene, read_roi
from mtmc.types import Array, GlobalTrack

__all__ = ["DETECTED_IOU", "MATCH_IOU", "MatchedRun", "assign", "majority", "match_run", "matches"]

#: Least IoU of two boxes of one vehicle in the official evaluation.
MATCH_IOU = 0.5
#: From this IoU on, a vehicle counts as detected, even if its box is misplaced.
DETECTED_IOU = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class MatchedRun:
    """The result of a run, matched to ground truth.

    Attributes:
        truth: True boxes, an identity at most once per frame.
        written: The run's result as it is scored, boxes on whole pixels.
        boxes: All boxes that the run could have written: ``written``, and those of tracklets that are in no
            vehicle of the result, each as a vehicle of its own. Boxes with a match come first, so that they are
            kept where an identity gets two boxes in a frame.
        match: int64 (R,), for each of ``boxes`` its row of ``truth``, or −1; one to one.
        iou: float64 (R,), IoU of the two, 0 without a match.
        label: int64 (R,), the true identity that most boxes of the tracklet match, or −1.
        rois: Regions of interest, bool (H, W) by camera number.
        protocol: ``aicity`` with several cameras, else ``plain``.
    """

    truth: Table
    written: Table
    boxes: Table
    match: Array
    iou: Array
    label: Array
    rois: Mapping[int, Array]
    protocol: str

    @classmethod
    def of(
        cls, truth: Table, written: Table, left_out: Table, rois: Mapping[int, Array], protocol: str
    ) -> MatchedRun:
        """Match boxes and tracklets; ``left_out`` are boxes of the run that its result does not contain."""
        truth = without_repeats(truth)
        boxes = Table.concatenate([written, left_out])
        match, iou = assign(truth, boxes)
        order = np.argsort(match < 0, kind="stable")
        boxes, match, iou = boxes[order], match[order], iou[order]
        return cls(truth, written, boxes, match, iou, majority(truth, boxes, match, iou), rois, protocol)

    def score(self, result: Table, *, regions: bool = True) -> Scores:
        """The scores of another result by the same protocol, with or without regions of interest."""
        rois = self.rois if regions and self.rois and self.protocol == "aicity" else None
        return evaluate_tables(
            self.truth, result, rois, protocol=self.protocol, metrics=("identity",), skip_missing=True
        ).overall


def match_run(run: LoadedRun, gt: Path | None = None) -> MatchedRun:
    """Match a run to the ground truth of its scene, or to that of another file or folder.

    Raises:
        ConfigError: There is no ground truth of the run's cameras.
        FormatError: A file cannot be read.
        SceneError: A region of interest cannot be read.
    """
    truth = _truth(run.scene, gt)
    cameras = {camera.number: camera for camera in run.scene.cameras}
    truth = truth[np.isin(truth.camera, list(cameras))]
    if not len(truth):
        raise ConfigError(
            "expected ground truth of the run's cameras, found none",
            remedy="give it with --gt: a nine-column file, or a folder of MOT files named by camera",
        )
    annotated = [cameras[number] for number in np.unique(truth.camera).tolist()]
    rois = {camera.number: read_roi(camera.roi, official=True) for camera in annotated if camera.roi is not None}
    written = _whole(read_parquet(run.out / "tracks.parquet").sorted())
    return MatchedRun.of(truth, written, _left_out(run, written), rois, "aicity" if len(annotated) > 1 else "plain")


def assign(truth: Table, boxes: Table, min_iou: float = DETECTED_IOU) -> tuple[Array, Array]:
    """Match true boxes and the run's boxes one to one, frame by frame.

    Among the matchings with most pairs of IoU ≥ :data:`MATCH_IOU`, the one with the greatest sum of IoU is chosen.

    Returns:
        For each box the row of ``truth`` or −1, int64 (R,), and the IoU of the two, float64 (R,), 0 without one.
    """
    match, iou = np.full(len(boxes), -1), np.zeros(len(boxes))
    pairs = overlapping_pairs(truth, boxes, min_iou)
    # A bonus of 2 outweighs any two pairs below MATCH_IOU, so that no such pair is lost for a greater sum.
    chosen = best_matching(pairs.truth, pairs.predicted, pairs.iou + 2.0 * matches(pairs.iou))
    match[pairs.predicted[chosen]] = pairs.truth[chosen]
    iou[pairs.predicted[chosen]] = pairs.iou[chosen]
    return match, iou


def matches(iou: Array) -> Array:
    """Whether an IoU counts as a match in scoring, with the rounding that scoring has: bool (R,)."""
    return np.asarray(1 - iou <= 1 - MATCH_IOU)


def majority(truth: Table, boxes: Table, match: Array, iou: Array) -> Array:
    """For each box the true identity that most boxes of its tracklet match, or −1: int64 (R,). Ties: the lower."""
    tracklet = _tracklets(boxes)
    rows = np.flatnonzero((match >= 0) & matches(iou))
    label = np.full(int(tracklet.max(initial=-1)) + 1, -1)
    if len(rows):
        pairs, frames = np.unique(
            np.stack([tracklet[rows], truth.id[match[rows]]], axis=1), axis=0, return_counts=True
        )
        best = np.lexsort((-pairs[:, 1], frames))  # later entries overwrite: most frames, then the lower identity
        label[pairs[best, 0]] = pairs[best, 1]
    return np.asarray(label[tracklet])


def _tracklets(boxes: Table) -> Array:
    """A number for each row's (camera, track)."""
    return np.unique(np.stack([boxes.camera, boxes.track_id], axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _truth(scene: Scene, gt: Path | None) -> Table:
    if gt is not None:
        return load_truth(gt, scene.cameras).table
    is_annotated = any(camera.ground_truth is not None for camera in scene.cameras)
    return truth_of(scene.cameras).table if is_annotated else Table.empty()


def _whole(table: Table) -> Table:
    """Boxes as ``track1.txt`` holds them."""
    return table.with_columns(xyxy=xywh_to_xyxy(whole_boxes(table.xyxy)).astype(np.float64))


def _left_out(run: LoadedRun, written: Table) -> Table:
    """Boxes of tracklets that are in no vehicle of the result, each as a vehicle of its own.

    Among them are stationary tracklets, which post-processing takes for parked vehicles unless a moving one is
    joined to them.
    """
    used = {(p.tracklet.camera_id, p.tracklet.track_id) for track in run.tracks for p in track.passages}
    unused = [p for p in run.passages if (p.tracklet.camera_id, p.tracklet.track_id) not in used]
    first_id = int(written.id.max(initial=0)) + 1
    alone = [GlobalTrack(first_id + k, (passage,)) for k, passage in enumerate(unused)]
    postprocessed = postprocess(alone, run.scene, run.config.postprocess.model_copy(update={"min_displacement": 0.0}))
    return _whole(table_of_tracks(postprocessed, {camera.id: camera.number for camera in run.scene.cameras}))
