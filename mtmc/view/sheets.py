"""Contact sheets: the boxes of a tracklet as pictures in order of time, which show an identity switch at a glance.

The pictures are those of the clean video, whose key frames are close together, so that a few of them are read without
all those before. The motion beside them tells where a tracklet leaves its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.types import Array, Tracklet
from mtmc.video.container import open_container
from mtmc.video.read import ONE_THREAD
from mtmc.view.proxies import MAX_KEY_FRAME_DISTANCE

__all__ = ["CELL_WH", "MOST_CELLS", "Sheet", "motion_jumps", "pictures_at", "sheet_image", "sheet_of"]

#: Width and height of a cell, pixels.
CELL_WH = (96, 72)
#: A longer tracklet is shown by boxes at even distances.
MOST_CELLS = 60
_CONTEXT = 1.5  # side of what a cell shows, of a box that fills it


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a contact sheet shows.

    Attributes:
        frames: Of its K cells.
        centers: Of their boxes, (x, y) in pixels of the source.
        jumps: Of each cell, see :func:`motion_jumps`; where boxes are left out, the greatest since the cell before.
    """

    frames: tuple[int, ...]
    centers: tuple[tuple[float, float], ...]
    jumps: tuple[float, ...]


def sheet_of(tracklet: Tracklet) -> Sheet:
    """The cells of a tracklet's contact sheet: all its boxes, or as many as fit."""
    rows = _rows(tracklet)
    starts = np.r_[0, rows[:-1] + 1]
    jumps = np.maximum.reduceat(motion_jumps(tracklet), starts)
    x1, y1, x2, y2 = tracklet.xyxy[rows].T
    return Sheet(
        frames=tuple(tracklet.frame[rows].tolist()),
        centers=tuple(zip(((x1 + x2) / 2).round(1).tolist(), ((y1 + y2) / 2).round(1).tolist(), strict=True)),
        jumps=tuple(jumps.round(2).tolist()),
    )


def motion_jumps(tracklet: Tracklet) -> Array:
    """How far each box is from where the two before it lead, in box heights: float (B,).

    With centers c at times t,

        ‖c_k − c_{k−1} − (c_{k−1} − c_{k−2}) (t_k − t_{k−1}) / (t_{k−1} − t_{k−2})‖ / h_k

    and 0 for the first two.
    """
    x1, y1, x2, y2 = tracklet.xyxy.astype(float).T
    center, height = np.stack([x1 + x2, y1 + y2], axis=1) / 2, np.maximum(y2 - y1, 1.0)
    time = tracklet.time_s
    velocity = np.diff(center, axis=0) / np.diff(time)[:, None]
    jumps = np.zeros(len(time))
    jumps[2:] = np.hypot(*(np.diff(velocity, axis=0) * np.diff(time)[1:, None]).T) / height[2:]
    return jumps


def sheet_image(video: Path, fps: Fraction, size_wh: tuple[int, int], tracklet: Tracklet) -> Array:
    """The cells of a contact sheet side by side: uint8 (72, 96 K, 3), RGB; gray where the video has no picture.

    Args:
        video: The clean video of the camera.
        fps: Its pictures per second.
        size_wh: Pixels of the source, in which boxes are given.
        tracklet: With B ≥ 1 boxes.

    Raises:
        VideoError: The video cannot be read.
    """
    rows = _rows(tracklet)
    width, height = CELL_WH
    image = np.full((height, width * len(rows), 3), 114, np.uint8)
    place = {frame: k for k, frame in enumerate(tracklet.frame[rows].tolist())}
    for frame, picture in pictures_at(video, fps, list(place)):
        k = place[frame]
        box = tracklet.xyxy[rows[k]] * (picture.shape[1] / size_wh[0])
        image[:, k * width : (k + 1) * width] = _cell(picture, box)
    return image


def pictures_at(video: Path, fps: Fraction, frames: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Some frames of a clean video as (frame, uint8 (H, W, 3) RGB), in order; those that it lacks are left out.

    Raises:
        VideoError: It cannot be read.
    """
    try:
        with open_container(video) as container:
            [stream] = container.streams.video
            stream.thread_type = "NONE"
            wanted = sorted(set(frames))
            while wanted:
                container.seek(int(wanted[0] / fps / stream.time_base), stream=stream)
                yield from _run_of(container.decode(stream), fps, wanted)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"the clean video cannot be read ({error})", path=video) from None


def _run_of(decoded: Iterator[av.VideoFrame], fps: Fraction, wanted: list[int]) -> Iterator[tuple[int, Array]]:
    """The first frames of a list, which leave it, up to a gap that is worth a seek; all of it if the video ends."""
    for picture in decoded:
        frame = round(picture.pts * picture.time_base * fps)
        while wanted and wanted[0] < frame:
            del wanted[0]
        if not wanted:
            return
        if wanted[0] != frame:
            continue
        yield wanted.pop(0), picture.to_ndarray(format="rgb24", **ONE_THREAD)
        if not wanted or wanted[0] - frame > MAX_KEY_FRAME_DISTANCE:
            return
    wanted.clear()


def _rows(tracklet: Tracklet) -> Array:
    """Rows of the boxes that the sheet shows: int (K,)."""
    count = len(tracklet.frame)
    return np.unique(np.linspace(0, count - 1, min(count, MOST_CELLS)).round().astype(int))


def _cell(picture: Array, box: Array) -> Array:
    """A box and what is around it, in its own shape; the border of the picture is repeated beyond it."""
    width, height = CELL_WH
    x1, y1, x2, y2 = box.tolist()
    scale = width / max(_CONTEXT * max(x2 - x1, (y2 - y1) * width / height), 1.0)
    shift = [width / 2 - scale * (x1 + x2) / 2, height / 2 - scale * (y1 + y2) / 2]
    affine = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return np.asarray(
        cv2.warpAffine(picture, affine, CELL_WH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
