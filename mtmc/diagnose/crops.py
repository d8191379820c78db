"""Pictures of the vehicles that faults are about, cut from the videos where they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from mtmc.diagnose.faults import Fault, View
from mtmc.errors import VideoError
from mtmc.geometry.boxes import area, clip
from mtmc.scene import Scene
from mtmc.types import Array
from mtmc.video.crop import cut
from mtmc.video.read import read_frames

__all__ = ["pictures_of"]

_PICTURES = 3  # per view, one from each third of it
_HEIGHT_PX = 120
_PAD = 0.15  # of the box on each side, so that one sees what it stands in


def pictures_of(faults: Sequence[Fault], scene: Scene) -> dict[int, list[Array]]:
    """Up to three pictures of each view of the faults, in order of time, by ``id(view)``: uint8 (120, w, 3) RGB.

    Each video is read once, up to the last frame that is wanted. Views whose video cannot be read have none.
    """
    wanted: dict[str, dict[int, list[tuple[View, Array]]]] = defaultdict(lambda: defaultdict(list))
    for view in [view for fault in faults for view in (fault.first, fault.second) if view is not None]:
        for row in _rows(view):
            wanted[view.camera_id][int(view.frame[row])].append((view, view.xyxy[row]))
    pictures: dict[int, list[Array]] = defaultdict(list)
    for camera_id, by_frame in sorted(wanted.items()):
        camera = scene.camera(camera_id)
        if camera.video is None or not camera.video.exists():
            continue
        left = set(by_frame)
        with suppress(VideoError):
            for frame in read_frames(camera.video, camera_id, camera.clock, wanted=by_frame.keys()):
                for view, xyxy in by_frame[frame.index]:
                    pictures[id(view)].append(_picture(frame.image, xyxy))
                left.discard(frame.index)
                if not left:
                    break
    return dict(pictures)


def _rows(view: View) -> list[int]:
    """The row of the largest box in each third of a view."""
    size = area(view.xyxy)
    thirds = np.array_split(np.arange(len(size)), min(_PICTURES, len(size)))
    return [int(third[size[third].argmax()]) for third in thirds]


def _picture(image: Array, xyxy: Array) -> Array:
    height, width = image.shape[:2]
    margin = _PAD * (xyxy[2:] - xyxy[:2])
    box = clip(np.concatenate([xyxy[:2] - margin, xyxy[2:] + margin]), (width, height))
    wide, tall = np.maximum(box[2:] - box[:2], 1)
    size_hw = (_HEIGHT_PX, int(np.clip(round(wide / tall * _HEIGHT_PX), 30, 3 * _HEIGHT_PX)))
    return np.asarray(cut(image, box[None], size_hw)[0])
