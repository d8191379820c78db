"""Where frames come from: a recording on disk today, a live stream with the same four members tomorrow."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.types import Frame
from mtmc.video.read import probe, read_frames

__all__ = ["FrameSource", "Recording"]


class FrameSource(Protocol):
    """The frames of one camera, in order.

    Attributes:
        name: The camera's id, which its frames carry.
        size_wh: Pixels of every frame; None where nothing says so before the first one.
        length: How many frames to expect; None for a live stream, or where nothing says so.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size_wh(self) -> tuple[int, int] | None: ...  # noqa: D102
    @property
    def length(self) -> int | None: ...  # noqa: D102

    def frames(self, start: int = 0, wanted: Container[int] | None = None) -> Iterator[Frame]:
        """Frames with their index, counted from 0, and their time on the scene's clock.

        Args:
            start: Index of the first frame to yield. A live stream can begin at 0 only.
            wanted: Indices to yield; None for all.

        Raises:
            VideoError: Frames stop coming before the end. Every good frame has been yielded by then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recording:
    """A video file or a folder of numbered images.

    Attributes:
        name: The camera's id.
        path: The file or folder.
        clock: Gives every frame its time.
        frame_count: How many frames there must be at least; None leaves it to the file.
        size_wh: Pixels that every frame must have; None for those of the first.
    """

    name: str
    path: Path
    clock: Clock
    frame_count: int | None = None
    size_wh: tuple[int, int] | None = None

    @property
    def length(self) -> int | None:
        """The frame count, or what the file's header promises, if anything does."""
        if self.frame_count is None:
            with suppress(VideoError):
                return probe(self.path).frames
        return self.frame_count

    def frames(self, start: int = 0, wanted: Container[int] | None = None) -> Iterator[Frame]:
        """As :meth:`FrameSource.frames`; every call decodes the recording from its beginning."""
        return read_frames(
            self.path,
            self.name,
            self.clock,
            start=start,
            wanted=wanted,
            expected=self.frame_count,
            size_wh=self.size_wh,
        )
