"""Frames of one camera, in order, from a video file or a folder of numbered images.

A frame's index is its place in decoding order, so it means the same on every run and every machine; nothing seeks.
Converting YUV to RGB is put off until a frame is wanted. A frame whose data is damaged but that the decoder conceals
keeps its place; one that cannot be decoded at all ends the video with an error, for every later index would be wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.types import Array, Frame
from mtmc.video import VIDEO_SUFFIXES
from mtmc.video.buffer_pool import BufferPool
from mtmc.video.container import open_container
from mtmc.video.images import iterate_images, list_images, read_image

__all__ = ["VideoInfo", "probe", "read_frames"]

_Path = str | os.PathLike[str]

# From PyAV 17 on the conversion would otherwise start a pool of threads per video.
ONE_THREAD = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says about itself.

    Attributes:
        size_wh: Pixels, after any rotation the file asks for.
        fps: Frames per second; None where nothing says so, as in a folder of images.
        frames: How many the container promises; a few more than can be decoded are common. None where it is silent.
    """

    size_wh: tuple[int, int]
    fps: float | None
    frames: int | None


def probe(path: _Path) -> VideoInfo:
    """Look at a video's header and first frame.

    Raises:
        VideoError: It is missing, empty, not a video, or its first frame cannot be decoded.
    """
    path = Path(path)
    if path.is_dir():
        images = list_images(path)
        height, width = read_image(images[0]).shape[:2]
        return VideoInfo((width, height), None, len(images))
    with _open(path) as (container, stream):
        try:
            first = next(container.decode(stream), None)
        except av.FFmpegError as error:
            raise _broken(path, 0, error) from None
        if first is None:
            raise _broken(path, 0)
        rate = stream.average_rate or stream.guessed_rate
        return VideoInfo(_size_wh(first), float(rate) if rate else None, stream.frames or None)


def read_frames(
    path: _Path,
    camera_id: str,
    clock: Clock,
    *,
    start: int = 0,
    wanted: Container[int] | None = None,
    expected: int | None = None,
    size_wh: tuple[int, int] | None = None,
    threads: int = 1,
) -> Iterator[Frame]:
    """Decode a video from its beginning and yield its frames as RGB.

    Args:
        path: A video file or a folder of numbered images.
        camera_id: Whose frames they are.
        clock: Gives every frame its time.
        start: Index of the first frame to yield; those before it are decoded and dropped.
        wanted: Indices to yield; None for all. The others are decoded but never converted.
        expected: How many frames there must be at least. When None, the container's own duration is held against
            what came, with room for two frames or one per cent.
        size_wh: Pixels every frame must have; None for those of the first.
        threads: Decoding threads. One is cheapest as long as other cameras keep the other cores busy.

    Yields:
        Frames in order, from 0.

    Raises:
        VideoError: The video is missing, empty, not a video, broken, shorter than it should be, or of another size.
            Every good frame before the trouble has been yielded by then.
    """
    path = Path(path)
    pictures = iterate_images(path) if path.is_dir() else _decode(path, threads, check_end=expected is None)
    came = 0
    for index, (size, to_rgb) in enumerate(pictures):
        if size is not None:
            size_wh = _same_size(path, index, size, size_wh)
        if index >= start and (wanted is None or index in wanted):
            image = to_rgb()
            size_wh = _same_size(path, index, (image.shape[1], image.shape[0]), size_wh)
            yield Frame(camera_id, index, float(clock.time_s(np.asarray(index))), image)
            del image  # whose memory may serve the next one
        came = index + 1
    if expected is not None and came < expected:
        raise VideoError(
            f"expected {expected} frames, got {came}",
            path=path,
            remedy=f"copy the video again, or give the camera's frame count as {came} if that is all there is",
        )


def _decode(path: Path, threads: int, *, check_end: bool) -> Iterator[tuple[tuple[int, int], Callable[[], Array]]]:
    """For each frame of a file its size and how to get its pixels."""
    with _open(path) as (container, stream):
        stream.thread_type = "AUTO" if threads > 1 else "NONE"
        stream.codec_context.thread_count = threads
        # One reformatter for the whole video: a new one per frame costs more than the conversion itself.
        reformatter, pool = VideoReformatter(), BufferPool()
        came, last = 0, None
        try:
            for last in container.decode(stream):
                yield _size_wh(last), partial(_to_rgb, last, reformatter, pool)
                came += 1
        except av.FFmpegError as error:
            raise _broken(path, came, error) from None
        if last is None:
            raise _broken(path, 0)
        if check_end:
            _check_end(path, container, stream, last, came)


def _to_rgb(frame: Any, reformatter: VideoReformatter, pool: BufferPool) -> Array:
    image = reformatter.reformat(frame, format="rgb24", **ONE_THREAD).to_ndarray()
    return pool.copy(np.rot90(image, frame.rotation // 90))


def _size_wh(frame: Any) -> tuple[int, int]:
    """Size as it is meant to be looked at: phones and some cameras store a turned picture and a note to turn it."""
    size = (int(frame.width), int(frame.height))
    return size[::-1] if frame.rotation % 180 else size


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream."""
    _check_file(path)
    try:
        container = open_container(path)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"expected a video, got a file that cannot be opened as one ({_reason(error)})",
            path=path,
            remedy="copy or record it again: an interrupted copy or recording looks like this",
        ) from None
    with container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise VideoError(
                "expected a video, got a file without a picture that can be decoded",
                path=path,
                remedy="name the file that holds the camera's pictures",
            )
        yield container, container.streams.video[0]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(
            "expected a video or a folder of images, got nothing of that name",
            path=path,
            remedy="check the path of this camera's video in the scene",
        )
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise VideoError(
            f"expected a video ({', '.join(sorted(VIDEO_SUFFIXES))}) or a folder of images, got a file "
            + (f"ending in {path.suffix}" if path.suffix else "without an ending"),
            path=path,
            remedy="rename it if it is a video, or convert it with ffmpeg",
        )
    if path.stat().st_size == 0:
        raise VideoError(
            "expected a video, got an empty file (0 bytes)", path=path, remedy="copy or record the video again"
        )


def _same_size(path: Path, index: int, size: tuple[int, int], want: tuple[int, int] | None) -> tuple[int, int]:
    if want is not None and size != want:
        raise VideoError(
            f"expected frames of {want[0]}×{want[1]} pixels, got {size[0]}×{size[1]} at frame {index}",
            path=path,
            remedy="correct the size in the scene, or convert the video to one size",
        )
    return size


def _check_end(path: Path, container: Any, stream: Any, last: Any, came: int) -> None:
    """Raise if the frames stop well before the end that the container announces: decoders do that in silence.

    Moments are compared and not counts, because containers also count frames that were dropped in recording.
    """
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if last.pts is None or not rate:
        return
    reached_s = float(last.pts * last.time_base) + 1 / rate
    ends_s, counted_s = _ends_s(container, stream), stream.frames / rate
    # MP4's and QuickTime's count includes frames that an edit list hides (ffmpeg -ss … -c copy); AVI's duration is
    # worked out from what is left of a cut file, and only its count still says what was recorded.
    hides_frames = "mov" in container.format.name
    promised_s = ends_s if hides_frames and ends_s else max(ends_s, counted_s)
    if promised_s - reached_s > max(2.5 / rate, 0.01 * promised_s):
        raise VideoError(
            f"expected {promised_s:.1f} s of video as its header says, got {came} frames, {reached_s:.1f} s",
            path=path,
            remedy=f"copy the video again, or give the camera's frame count as {came} if that is all there is",
        )


def _ends_s(container: Any, stream: Any) -> float:
    """When the video ends according to its header, in the seconds that its frames are stamped with; 0 if unsaid."""
    if stream.duration is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(((container.start_time or 0) + container.duration) / av.time_base)
    return 0.0


def _broken(path: Path, came: int, error: Exception | None = None) -> VideoError:
    why = f" ({_reason(error)})" if error else ""
    return VideoError(
        f"expected a video that can be decoded to its end, got {came} good frame{'s' * (came != 1)}, then none{why}",
        path=path,
        remedy="copy or record it again, or repair it with ffmpeg",
    )


def _reason(error: Exception) -> str:
    """FFmpeg's own words, without error number and path."""
    return getattr(error, "strerror", None) or str(error)
