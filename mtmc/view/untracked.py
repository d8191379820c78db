"""Detections that no tracklet holds: boxes that a person may add to one, or begin one with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmc.detect.precomputed import read_detections
from mtmc.errors import MtmcError
from mtmc.geometry.boxes import iou_matrix
from mtmc.pipeline.camera import choose_source
from mtmc.pipeline.detection import load_detections
from mtmc.pipeline.results import LoadedRun
from mtmc.types import Array, Detections
from mtmc.view.run_data import EDGE_UNITS_PER_PX, FRAMES_PER_CHUNK, CameraBoxes, boxes_by_frame

__all__ = ["Untracked"]

_SAME_IOU = 0.5  # a detection that overlaps a tracklet's box by more is that of the tracklet


class Untracked:
    """The detections of a run that its tracklets do not hold.

    There are none where tracklets were given, nor where the cache of the run or the file of given detections is gone.

    Args:
        run: The run as it was made.
    """

    def __init__(self, run: LoadedRun) -> None:
        self._run = run
        self._detected: dict[int, tuple[Array, Array]] = {}

    def boxes(self, camera: int, tracked: CameraBoxes, first: int) -> CameraBoxes:
        """Those of :data:`FRAMES_PER_CHUNK` frames from ``first`` on; ``passage`` numbers them.

        Args:
            camera: Index of the camera.
            tracked: The boxes of its tracklets.
            first: First frame.
        """
        frame, xyxy = self._of_camera(camera)
        frame_count = len(tracked.first_row) - 1
        last = min(first + FRAMES_PER_CHUNK, frame_count)
        rows = slice(*np.searchsorted(frame, [first, last]).tolist())
        is_free = np.ones(len(frame[rows]), bool)
        for number in np.unique(frame[rows]).tolist():
            held = slice(int(tracked.first_row[number]), int(tracked.first_row[number + 1]))
            here = frame[rows] == number
            if held.start < held.stop:
                boxes = tracked.edges[held].astype(np.float64) / EDGE_UNITS_PER_PX
                is_free[here] = iou_matrix(xyxy[rows][here], boxes).max(axis=1) <= _SAME_IOU
        return boxes_by_frame(frame[rows][is_free], xyxy[rows][is_free], frame_count)

    def _of_camera(self, camera: int) -> tuple[Array, Array]:
        """Frames (D,) in order and boxes (D, 4) of all detections of a camera."""
        if camera not in self._detected:
            frame, xyxy = [np.zeros(0, np.int64)], [np.zeros((0, 4))]
            for index, found in self._detections(camera):
                frame.append(np.full(len(found), index))
                xyxy.append(found.xyxy.astype(np.float64))
            self._detected[camera] = np.concatenate(frame), np.concatenate(xyxy)
        return self._detected[camera]

    def _detections(self, index: int) -> Iterable[tuple[int, Detections]]:
        run = self._run
        camera, result = run.given.cameras[index], run.results[index]
        try:
            source, path = choose_source(camera, run.config.input)
            if source == "detections":
                return list(read_detections(path, frame_offset=run.config.input.frame_offset))
        except MtmcError:
            return ()
        found = load_detections(run.cache, camera.id, result.stage_keys.get("detect", ""))
        return () if found is None or source != "video" else found
