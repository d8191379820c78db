"""H.264 videos that play anywhere, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import cv2
from av.video.reformatter import VideoReformatter
from typing_extensions import Self

from mtmc.errors import MissingDependency
from mtmc.files import atomic_path
from mtmc.types import Array
from mtmc.video.read import ONE_THREAD

__all__ = ["VideoWriter"]

# x264's macroblock tree reads memory that nobody wrote on processors with AVX-512: the same pictures, other bytes.
_REPEATABLE = "no-mbtree=1"
_BT601, _LIMITED_RANGE = 6, 1  # how RGB becomes YUV; written into the file so that no player has to guess


class VideoWriter:
    """Write RGB pictures to an H.264 file (yuv420p, index in front so that browsers start at once).

    The file appears under its name when the ``with`` block ends, and not at all if the block raises. Equal pictures
    make equal bytes.

    Args:
        path: File to write; its suffix chooses the container (``.mp4``).
        size_wh: Pixels of every picture. An odd side grows to an even one by repeating its last row or column.
        fps: Pictures per second.
        crf: Quality from 0, lossless, to 51; 6 more is about half the file.
        threads: Encoder threads.
        max_key_frame_distance: A key frame at least every so many pictures, and no B-frames, so that a player that
            seeks decodes no more than these; None leaves both to the encoder.

    Raises:
        MissingDependency: This PyAV has no H.264 encoder.
        MtmcError: The file cannot be written: no space, no permission.

    ::

        with VideoWriter("c001.mp4", (960, 540), fps=10) as video:
            video.write(image)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size_wh: tuple[int, int],
        fps: float,
        *,
        crf: int = 23,
        threads: int = 1,
        max_key_frame_distance: int | None = None,
    ) -> None:
        if min(size_wh) < 1 or not fps > 0:
            raise ValueError(f"VideoWriter: expected a size and a frame rate above 0, got {size_wh} and {fps}")
        self.path, self.size_wh, self.fps = path, size_wh, fps
        self._crf, self._threads = crf, threads
        self._max_key_frame_distance = max_key_frame_distance
        self._reformatter = VideoReformatter()
        self._file = self._open()

    def __enter__(self) -> Self:
        self._container, self._stream = self._file.__enter__()
        return self

    def write(self, image: Array) -> None:
        """Append one picture: uint8 (H, W, 3), RGB, of the writer's size."""
        width, height = self.size_wh
        if image.shape != (height, width, 3):
            raise ValueError(f"VideoWriter.write: expected a picture ({height}, {width}, 3), got {image.shape}")
        if width % 2 or height % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
        yuv = self._reformatter.reformat(rgb, format="yuv420p", **ONE_THREAD)
        self._container.mux(self._stream.encode(yuv))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._file.__exit__(kind, error, trace)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        with (
            atomic_path(self.path) as part,
            av.open(os.fspath(part), "w", options={"movflags": "faststart"}) as container,
        ):
            stream = self._add_stream(container)
            yield container, stream
            if not stream.codec_context.is_open:
                raise ValueError("VideoWriter: expected at least one picture, got none")
            container.mux(stream.encode(None))

    def _add_stream(self, container: Any) -> Any:
        if "libx264" not in av.codecs_available:
            raise MissingDependency(
                "writing videos needs a PyAV with the H.264 encoder libx264, got one without",
                remedy="pip install --force-reinstall --only-binary=av av",
            )
        distance = self._max_key_frame_distance
        seekable = "" if distance is None else f":keyint={distance}:bframes=0"
        options = {"crf": str(self._crf), "preset": "veryfast", "x264-params": _REPEATABLE + seekable}
        rate = Fraction(self.fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = (side + side % 2 for side in self.size_wh)
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.thread_count = self._threads
        codec.colorspace, codec.color_range = _BT601, _LIMITED_RANGE
        return stream
