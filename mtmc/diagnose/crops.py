"""Image crops of the vehicles of link errors, cut from the videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from mtmc.diagnose.link_errors import LinkError, TrackletView
from mtmc.errors import VideoError
from mtmc.geometry.boxes import area, clip
from mtmc.scene import Scene
from mtmc.types import Array
from mtmc.video.blur import BlurKind, FrameRegions, blurred, regions_to_blur
from mtmc.video.crop import cut
from mtmc.video.read import read_frames

__all__ = ["view_crops"]

_CROPS = 3  # per view, one from each third of it
_HEIGHT_PX = 120
_PAD = 0.15  # margin on each side as a fraction of the box, to show the surroundings


def view_crops(
    link_errors: Sequence[LinkError],
    scene: Scene,
    hidden: Mapping[str, FrameRegions],
    blur: Sequence[BlurKind],
) -> dict[int, list[Array]]:
    """Up to three crops of each view of the errors in order of time, by ``id(view)``: uint8 (120, w, 3) RGB.

    Each video is read once, up to the last frame that is needed. Views whose video cannot be read have no crops.

    Args:
        link_errors: The errors.
        scene: The place.
        hidden: What is blurred beside the views themselves, by camera.
        blur: What is made unrecognizable in the views: true boxes that the run has not found.
    """
    wanted: dict[str, dict[int, list[tuple[TrackletView, Array]]]] = defaultdict(lambda: defaultdict(list))
    for view in [view for error in link_errors for view in (error.first, error.second) if view is not None]:
        for row in _rows(view):
            wanted[view.camera_id][int(view.frame[row])].append((view, view.xyxy[row]))
    crops: dict[int, list[Array]] = defaultdict(list)
    for camera_id, by_frame in sorted(wanted.items()):
        camera = scene.camera(camera_id)
        if camera.video is None or not camera.video.exists():
            continue
        remaining = set(by_frame)
        with suppress(VideoError):
            for frame in read_frames(camera.video, camera_id, camera.clock, wanted=by_frame.keys()):
                regions = [regions_to_blur(blur, xyxy[None], class_id=0) for _, xyxy in by_frame[frame.index]]
                if camera_id in hidden:
                    regions.append(hidden[camera_id].at(frame.index))
                image = blurred(frame.image, np.concatenate(regions))
                for view, xyxy in by_frame[frame.index]:
                    crops[id(view)].append(_crop(image, xyxy))
                remaining.discard(frame.index)
                if not remaining:
                    break
    return dict(crops)


def _rows(view: TrackletView) -> list[int]:
    """The row of the largest box in each third of a view."""
    size = area(view.xyxy)
    thirds = np.array_split(np.arange(len(size)), min(_CROPS, len(size)))
    return [int(third[size[third].argmax()]) for third in thirds]


def _crop(image: Array, xyxy: Array) -> Array:
    height, width = image.shape[:2]
    margin = _PAD * (xyxy[2:] - xyxy[:2])
    box = clip(np.concatenate([xyxy[:2] - margin, xyxy[2:] + margin]), (width, height))
    wide, tall = np.maximum(box[2:] - box[:2], 1)
    size_hw = (_HEIGHT_PX, int(np.clip(round(wide / tall * _HEIGHT_PX), 30, 3 * _HEIGHT_PX)))
    return np.asarray(cut(image, box[None], size_hw)[0])
