"""Opening a video file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av

__all__ = ["open_container"]


def open_container(path: str | os.PathLike[str]) -> Any:
    """A file opened for reading, as PyAV has it; its texts may be in any encoding, its name may have colons.

    FFmpeg takes ``2026-05-12T07:00:00.mp4`` for an address of the protocol ``2026-05-12T07``, which an absolute path
    never is. Recorders write texts in the encoding of their country; bytes that are not UTF-8 are replaced.

    Raises:
        av.FFmpegError: It is not there, or no video.
        OSError: It cannot be read.
    """
    return av.open(os.fspath(Path(path).absolute()), metadata_errors="replace")
