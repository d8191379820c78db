"""The clock of a video from the presentation timestamps of its own frames.

One frame rate does not describe recordings of variable rate, with lost seconds, or cut out of longer ones. Containers
store a timestamp per frame; where those contradict the nominal rate, they become the knots of the clock's time map.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np

from mtmc.geometry.clock import FPS_RANGE, Clock
from mtmc.types import Array
from mtmc.video.container import open_container

__all__ = ["clock_from_times", "presentation_times", "video_clock"]

#: A frame that is less than this share of a frame interval off its nominal time is on time.
_TOLERANCE_FRAMES = 0.5
#: Smaller offsets of the first frame come from the reordering of frames in the encoder, not from a late start.
_MIN_LATE_START_S = 0.5
#: Containers whose timestamps count from the beginning of the recording; others start anywhere (MPEG-TS).
_COUNTED_FROM_ZERO = ("mov", "mp4", "matroska", "webm")


def video_clock(path: str | os.PathLike[str], nominal_fps: float) -> Clock:
    """The clock of a video file: its nominal rate, or a time map where its frames' timestamps contradict that.

    Args:
        path: A video file; anything else gets the nominal rate.
        nominal_fps: Frames per second as the header says.
    """
    path = Path(path)
    times_s = presentation_times(path) if path.is_file() else None
    return Clock(nominal_fps) if times_s is None else clock_from_times(times_s, nominal_fps)


def presentation_times(path: Path) -> Array | None:
    """When each frame is to be shown, float64 (N,), seconds, increasing; frames are not decoded.

    Frames that the container tells players to skip (an edit list after ``ffmpeg -ss … -c copy``) and those that
    precede the first key frame are left out, as decoders do.

    Returns:
        None where the file gives no trustworthy timestamps: some are missing, repeat or follow one another faster
            than frames can, or it cannot be read.
    """
    ticks: list[int] = []
    try:
        with open_container(path) as container:
            if not container.streams.video:
                return None
            stream = container.streams.video[0]
            origin_s = _origin_s(container, stream)
            seen_key_frame = False
            for packet in container.demux(stream):
                if packet.size == 0:  # the end of the stream
                    continue
                seen_key_frame = seen_key_frame or packet.is_keyframe
                if packet.is_discard or not seen_key_frame:
                    continue
                if packet.pts is None:
                    return None
                ticks.append(int(packet.pts))
            time_base = stream.time_base
    except (av.FFmpegError, OSError):
        return None  # whatever is wrong with the file is reported when its frames are read
    if not ticks or time_base is None:
        return None
    times_s = np.sort(np.array(ticks, np.int64)) * float(time_base)  # packets come in decoding order
    if not (np.diff(times_s) >= 1 / FPS_RANGE[1]).all():
        return None
    start_s = times_s[0] - origin_s
    if start_s < _MIN_LATE_START_S:
        start_s = 0.0
    return np.asarray(times_s - times_s[0] + start_s)


def clock_from_times(times_s: Array, nominal_fps: float) -> Clock:
    """A clock that is less than half a frame off every timestamp: the nominal rate if that is, else a time map.

    The time map has as few knots as a recursive subdivision needs (Douglas and Peucker, 1973).

    Args:
        times_s: float64 (N,), seconds, strictly increasing; frame ``i`` is shown at ``times_s[i]``.
        nominal_fps: Frames per second as the header says.
    """
    frames = np.arange(len(times_s))
    if np.abs(times_s - frames / nominal_fps).max() < _TOLERANCE_FRAMES / nominal_fps:
        return Clock(nominal_fps)
    interval_s = _usual_interval_s(times_s) if len(times_s) > 1 else 1 / nominal_fps
    knots = _simplify(times_s, _TOLERANCE_FRAMES * interval_s)
    return Clock(1 / interval_s, time_map=tuple((int(i), float(times_s[i])) for i in knots))


def _usual_interval_s(times_s: Array) -> float:
    """The interval between frames while recording: the mean of those near the median, so that gaps do not count."""
    intervals = np.diff(times_s)
    return float(intervals[intervals < 1.5 * np.median(intervals)].mean())


def _origin_s(container: Any, stream: Any) -> float:
    """The timestamp that stands for the beginning of the recording, seconds."""
    if any(name in container.format.name for name in _COUNTED_FROM_ZERO):
        return 0.0
    if container.start_time is not None:
        return float(container.start_time / av.time_base)
    return float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0


def _simplify(values: Array, tolerance: float) -> list[int]:
    """Indices whose linear interpolation stays closer than ``tolerance`` to all values; the ends are among them."""
    kept = {0, len(values) - 1}
    pending = [(0, len(values) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        between = np.arange(first + 1, last)
        line = np.interp(between, [first, last], [values[first], values[last]])
        error = np.abs(values[between] - line)
        worst = int(np.argmax(error))
        if error[worst] >= tolerance:
            split = first + 1 + worst
            kept.add(split)
            pending += [(first, split), (split, last)]
    return sorted(kept)
