"""A camera's video with a box and a number for every vehicle."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.render import draw
from mtmc.render.config import RenderConfig
from mtmc.render.style import GRAY, RGB, clock_text, vehicle_color
from mtmc.scene import Camera
from mtmc.types import CLASSES, Array, Frame, GlobalTrack
from mtmc.video.blur import FrameRegions, blurred
from mtmc.video.read import probe, read_frames
from mtmc.video.write import VideoWriter

__all__ = ["annotate_camera"]


@dataclass(frozen=True, slots=True, eq=False)
class _Trajectory:
    """One passage through this camera, ready to be drawn: float (L, 4) boxes in pixels of the drawn picture."""

    number: str
    name: str
    rgb: RGB
    strong: bool
    time_s: Array
    xyxy: Array


def annotate_camera(
    camera: Camera,
    tracks: Sequence[GlobalTrack],
    path: str | os.PathLike[str],
    config: RenderConfig,
    progress: Callable[[int, int | None], None] | None = None,
    *,
    alone: bool = False,
    hidden: FrameRegions | None = None,
) -> None:
    """Draw the vehicles on a camera's video, as far as it can be read.

    Vehicles that at least two cameras saw have their own color, the same in every camera, with number, class and a
    trail; the others are gray, with their number.

    Args:
        camera: Whose video.
        tracks: The scene's vehicles; those that never passed this camera are ignored.
        path: Video to write.
        config: Size, quality and length of the trails.
        progress: Called with the frames drawn so far and the number of all, if that is known.
        alone: No vehicle was seen by several cameras, so that every vehicle gets its color.
        hidden: What is blurred.

    Raises:
        VideoError: The camera has no video, or none of it can be read.
        MtmcError: The file cannot be written.
    """
    if camera.video is None:
        raise VideoError(
            f"expected camera {camera.id} to have a video to draw on, got none",
            remedy="add its video to the scene, or set render.videos to false",
        )
    info = probe(camera.video)
    size_wh = _fit(info.size_wh, config)
    # Area averaging is smooth when a picture shrinks and blocky when it grows.
    interpolation = cv2.INTER_AREA if size_wh[0] < info.size_wh[0] else cv2.INTER_CUBIC
    trajectories = _trajectories_by_frame(camera.id, tracks, np.divide(size_wh, info.size_wh), alone)
    total = camera.frame_count or info.frames
    frames = _as_far_as_possible(read_frames(camera.video, camera.id, camera.clock))
    with VideoWriter(path, size_wh, camera.clock.fps, crf=config.crf) as video:
        for frame in frames:
            image = frame.image if hidden is None else blurred(frame.image, hidden.at(frame.index))
            if size_wh != info.size_wh:
                image = cv2.resize(image, size_wh, interpolation=interpolation)
            title, note = camera.id, clock_text(frame.time_s)
            _draw(image, trajectories.get(frame.index, []), config.trail_s, draw.banner_wh(image, title, note))
            draw.banner(image, title, note)
            video.write(image)
            if progress is not None:
                progress(frame.index + 1, total)


def _as_far_as_possible(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames before the video breaks off, where it does has been reported by the detection stage."""
    with suppress(VideoError):
        yield from frames


def _fit(size_wh: tuple[int, int], config: RenderConfig) -> tuple[int, int]:
    """The size at which a video is drawn: its own where its width lies between the least and the largest."""
    width, height = size_wh
    drawn_width = min(max(width, config.min_width_px), config.max_width_px)
    return drawn_width, max(1, round(height * drawn_width / width))


def _trajectories_by_frame(
    camera_id: str, tracks: Sequence[GlobalTrack], scale_xy: Array, alone: bool
) -> dict[int, list[tuple[_Trajectory, int]]]:
    """For each frame the passages to draw and which of their observations it is."""
    by_frame = defaultdict(list)
    for track in sorted(tracks, key=lambda t: t.global_id):
        strong = alone or len(track.camera_ids) > 1
        for tracklet in (p.tracklet for p in track.passages if p.tracklet.camera_id == camera_id):
            trajectory = _Trajectory(
                number=str(track.global_id),
                name=CLASSES[tracklet.class_id],
                rgb=vehicle_color(track.global_id) if strong else GRAY,
                strong=strong,
                time_s=tracklet.time_s,
                xyxy=tracklet.xyxy * np.tile(scale_xy, 2),
            )
            for row, index in enumerate(tracklet.frame.tolist()):
                by_frame[index].append((trajectory, row))
    return by_frame


def _draw(
    image: Array, trajectories: list[tuple[_Trajectory, int]], trail_s: float, corner_wh: tuple[int, int]
) -> None:
    """Everything seen in one frame: far before near and gray before colored, so that what matters lies on top."""
    trajectories = sorted(trajectories, key=lambda item: (item[0].strong, item[0].xyxy[item[1], 3]))
    line = draw.line_px(image)
    for trajectory, row in trajectories:
        if trajectory.strong:
            first = int(np.searchsorted(trajectory.time_s, trajectory.time_s[row] - trail_s))
            boxes = trajectory.xyxy[first : row + 1]
            feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
            draw.trail(image, feet, trajectory.rgb, line)
    for trajectory, row in trajectories:
        draw.box(image, trajectory.xyxy[row], trajectory.rgb, line)
    named = [(trajectory, trajectory.xyxy[row]) for trajectory, row in reversed(trajectories)]
    boxes = np.array([xyxy for _, xyxy in named]).reshape(-1, 4)
    labels = [(_label(image, trajectory, xyxy), trajectory.rgb) for trajectory, xyxy in named]
    draw.place_labels(image, boxes, labels, corner_wh)


def _label(image: Array, trajectory: _Trajectory, xyxy: Array) -> str:
    """Number and class; the number alone for gray boxes, and where the words would hide more than they say."""
    if not trajectory.strong:
        return trajectory.number
    words = f"{trajectory.number} {trajectory.name}"
    small = draw.text_width(words, draw.letter_px(image)) > 1.2 * (xyxy[2] - xyxy[0])
    return trajectory.number if small or trajectory.name == CLASSES[0] else words
