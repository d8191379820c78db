"""Files that are either whole or not there, and operating system errors as sentences."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtmc.errors import MtmcError

__all__ = ["atomic_path", "explain", "remove", "sweep"]

_TEMPORARY = re.compile(r"\..+-[0-9a-f]{12}(\.\w+)?")

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EACCES: "choose a folder you may write to, or change its permissions",
    errno.EPERM: "choose a folder you may write to, or change its permissions",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOTDIR: "choose another path: a part of this one is a file, not a folder",
    errno.EISDIR: "choose another name: there is a folder of that name",
    errno.EEXIST: "choose another path: a part of this one is a file, not a folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def explain(error: OSError, path: str | os.PathLike[str], doing: str = "write") -> MtmcError:
    """An operating system error as a sentence that names the file and the remedy."""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, "check the path and its permissions")
    return MtmcError(f"cannot {doing} this file ({reason})", path=path, remedy=remedy)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` when the block ends without an error.

    Readers see the old file or the new one, never a part of one. Missing parent folders are made. The temporary
    name ends in the suffix of ``path``, so that writers which choose a format by it work. If the block raises,
    the temporary file is removed and ``path`` is left as it was.

    Raises:
        MtmcError: The file cannot be written: no space, no permission, a folder in the way.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = target.parent / f".{target.stem[:64]}-{secrets.token_hex(6)}{target.suffix}"
        temporary.touch(exist_ok=False)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise explain(error, target) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        MtmcError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise explain(error, path, "remove") from error


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed process left in a folder and below."""
    for path in folder.rglob(".*-*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)
