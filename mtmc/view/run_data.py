"""A finished run as the pages need it: cameras, tracklets as columns, boxes by frame in a compact form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.associate.numbering import in_order
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.results import LoadedRun
from mtmc.postprocess import image_sizes
from mtmc.scene import Camera
from mtmc.types import CLASSES, COLORS, Array, Passage

__all__ = [
    "EDGE_UNITS_PER_PX",
    "FRAMES_PER_CHUNK",
    "CameraBoxes",
    "CameraView",
    "ViewedRun",
    "boxes_by_frame",
    "boxes_of",
    "frame_count_of",
    "view_of",
]

#: Frames of a camera whose boxes are sent at once.
FRAMES_PER_CHUNK = 1024
EDGE_UNITS_PER_PX = 4  # of box edges: quarters of a pixel, as 16-bit integers up to 8191.75 px
_LIMITS = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera.

    Attributes:
        id: Its name.
        number: Its number in ``track1.txt``.
        fps: Pictures per second of its clean video: the effective rate of its clock.
        time_map: Knots (frame, scene seconds) of its clock; one knot if nothing but the start is known.
        frame_count: Frames that the run read.
        size_wh: Pixels of a source image.
        video: The source, if the run was made from one.
        problem: Why the camera failed or was read only in part, "" if all went well.
    """

    id: str
    number: int
    fps: Fraction
    time_map: tuple[tuple[int, float], ...]
    frame_count: int
    size_wh: tuple[int, int]
    video: Path | None
    problem: str

    def as_dict(self) -> dict[str, Any]:
        """What the pages get of it: no path."""
        return {
            "id": self.id,
            "number": self.number,
            "fps": [self.fps.numerator, self.fps.denominator],
            "time_map": self.time_map,
            "frame_count": self.frame_count,
            "size": self.size_wh,
            "has_video": self.video is not None,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True, eq=False)
class CameraBoxes:
    """The B boxes of one camera in order of frame, then of passage.

    Attributes:
        first_row: uint32 (F + 1,), row of the first box of each frame; the last entry is B.
        passage: uint32 (B,), index into :attr:`ViewedRun.passages`.
        edges: int16 (B, 4), x1, y1, x2, y2 in quarters of a pixel.
        ground_m: float32 (B, 2), positions on the camera's ground plane, NaN where it has none.
    """

    first_row: Array
    passage: Array
    edges: Array
    ground_m: Array

    def packed(self, first: int) -> bytes:
        """The boxes of :data:`FRAMES_PER_CHUNK` frames from ``first`` on, little-endian.

        ======  ==========  =====================================================
        type    number      content
        ======  ==========  =====================================================
        uint32  2           first frame, number K of frames
        uint32  K + 1       row of the first box of each frame, counted from 0
        uint32  R           passage of each box
        int16   4 · R       x1, y1, x2, y2 in quarters of a pixel
        ======  ==========  =====================================================
        """
        return self._packed(first, self.edges)

    def packed_ground(self, first: int) -> bytes:
        """As :meth:`packed`, with positions on the ground in place of edges: float32 2 · R, meters."""
        return self._packed(first, self.ground_m)

    def _packed(self, first: int, values: Array) -> bytes:
        frames = len(self.first_row) - 1
        first = min(max(first, 0), frames)
        offsets = self.first_row[first : min(first + FRAMES_PER_CHUNK, frames) + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        header = np.array([first, len(offsets) - 1], "<u4")
        parts = (header, (offsets - offsets[0]).astype("<u4"), self.passage[rows], values[rows])
        return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


@dataclass(frozen=True, slots=True, eq=False)
class ViewedRun:
    """A run, its N passages in order of (camera_id, track_id).

    Attributes:
        run: The run.
        passages: N of them.
        cameras: In the scene's order.
        camera: int64 (N,), index of each passage's camera.
        boxes: Of each camera.
        run_id: int64 (N,), the vehicle of each passage in the result of the run, 0 where the result has none.
    """

    run: LoadedRun
    passages: tuple[Passage, ...]
    cameras: tuple[CameraView, ...]
    camera: Array
    boxes: tuple[CameraBoxes, ...]
    run_id: Array

    @property
    def lengths(self) -> Array:
        """Boxes of each passage: int64 (N,)."""
        return np.array([len(p.tracklet) for p in self.passages], np.int64)

    def columns(self) -> dict[str, list[Any]]:
        """What the pages know of every passage, by column; ``color`` is "" without an attribute network."""
        tracklets = [p.tracklet for p in self.passages]
        return {
            "camera": self.camera.tolist(),
            "track": [t.track_id for t in tracklets],
            "first_frame": [int(t.frame[0]) for t in tracklets],
            "last_frame": [int(t.frame[-1]) for t in tracklets],
            "start_s": [round(t.start_s, 3) for t in tracklets],
            "end_s": [round(t.end_s, 3) for t in tracklets],
            "boxes": [len(t) for t in tracklets],
            "largest_frame": [_largest(p) for p in self.passages],
            "class": [CLASSES[t.class_id] for t in tracklets],
            "color": [_color(p) for p in self.passages],
            "entry": [p.entry for p in self.passages],
            "exit": [p.exit for p in self.passages],
            "run_id": self.run_id.tolist(),
            "has_picture": [
                t.track_id in self.run.results[k].thumbnails
                for t, k in zip(tracklets, self.camera.tolist(), strict=True)
            ],
        }


def view_of(run: LoadedRun) -> ViewedRun:
    """Arrange a run for the pages."""
    passages = tuple(in_order(run.passages))
    index = {camera.id: k for k, camera in enumerate(run.scene.cameras)}
    camera = np.array([index[p.tracklet.camera_id] for p in passages], np.int64)
    run_id = np.zeros(len(passages), np.int64)
    row = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(passages)}
    for track in run.tracks:
        for p in track.passages:
            run_id[row[p.tracklet.camera_id, p.tracklet.track_id]] = track.global_id

    sizes = image_sizes(run.scene)
    cameras, boxes = [], []
    for k, (facts, result) in enumerate(zip(run.scene.cameras, run.results, strict=True)):
        members = np.flatnonzero(camera == k)
        own = [passages[m] for m in members]
        frames = frame_count_of(facts, replace(result, passages=own))
        size = sizes.get(facts.id) or _extent(own)
        cameras.append(_camera_view(facts, frames, size, result.problem))
        boxes.append(boxes_of(own, members, frames))
    return ViewedRun(run, passages, tuple(cameras), camera, tuple(boxes), run_id)


def boxes_of(passages: Sequence[Passage], index: Array, frame_count: int) -> CameraBoxes:
    """The boxes of one camera by frame.

    Args:
        passages: K passages of the camera.
        index: int (K,), index of each in :attr:`ViewedRun.passages`.
        frame_count: F, beyond the last frame of all passages.
    """
    frame = np.concatenate([np.zeros(0, np.int64), *(p.tracklet.frame for p in passages)])
    passage = np.repeat(index, [len(p.tracklet) for p in passages]).astype("<u4")
    xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(p.tracklet.xyxy for p in passages)])
    ground = np.concatenate([np.zeros((0, 2)), *(p.ground_m for p in passages)])
    order = np.lexsort([passage, frame])
    first_row = np.searchsorted(frame[order], np.arange(frame_count + 1)).astype("<u4")
    return CameraBoxes(first_row, passage[order], _edges(xyxy[order]), ground[order].astype("<f4"))


def boxes_by_frame(frame: Array, xyxy: Array, frame_count: int) -> CameraBoxes:
    """Boxes of no passage, their numbers in its place.

    Args:
        frame: int (D,), in order.
        xyxy: float (D, 4), pixels.
        frame_count: F, beyond the last frame.
    """
    first_row = np.searchsorted(frame, np.arange(frame_count + 1)).astype("<u4")
    number = np.arange(len(frame), dtype="<u4")
    return CameraBoxes(first_row, number, _edges(xyxy), np.full((len(frame), 2), np.nan, "<f4"))


def _edges(xyxy: Array) -> Array:
    """Boxes (B, 4), pixels, as they are sent."""
    return np.asarray(np.clip(np.rint(xyxy * EDGE_UNITS_PER_PX), _LIMITS.min, _LIMITS.max), "<i2")


def _camera_view(camera: Camera, frames: int, size_wh: tuple[int, int], problem: str) -> CameraView:
    clock = camera.clock
    return CameraView(
        id=camera.id,
        number=camera.number,
        fps=Fraction(clock.fps).limit_denominator(1001),
        time_map=clock.time_map or ((0, clock.start_s),),
        frame_count=frames,
        size_wh=size_wh,
        video=camera.video,
        problem=problem,
    )


def frame_count_of(camera: Camera, result: CameraResult) -> int:
    """Frames of a camera: those that the run read, at least up to the last box."""
    seen = max((int(p.tracklet.frame[-1]) + 1 for p in result.passages), default=0)
    return max(result.counts.get("frames") or camera.frame_count or 0, seen)


def _extent(passages: Sequence[Passage]) -> tuple[int, int]:
    """The smallest image that holds all boxes, where nothing says how large images are."""
    corners = np.concatenate([np.ones((1, 2), np.float32), *(p.tracklet.xyxy[:, 2:] for p in passages)])
    width, height = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return width, height


def _largest(passage: Passage) -> int:
    """The frame of the largest box."""
    x1, y1, x2, y2 = passage.tracklet.xyxy.T
    return int(passage.tracklet.frame[np.argmax((x2 - x1) * (y2 - y1))])


def _color(passage: Passage) -> str:
    return COLORS[int(passage.color_probability.argmax())] if len(passage.color_probability) else ""
