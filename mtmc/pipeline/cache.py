"""Stage results on disk, keyed by everything they depend on.

``cache/track/c006-1f0c….npz`` holds what the stage ``track`` made of camera c006 from exactly those inputs and
settings. Same key, same result: it is loaded instead of computed. Files appear whole or not at all, so a killed run
goes on where it was, and the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import mtmc
from mtmc.files import atomic_path
from mtmc.types import Array

__all__ = ["StageCache", "cache_key", "code_version", "file_sha256", "read_arrays", "write_arrays"]


def cache_key(**parts: Any) -> str:
    """A short name for a combination of JSON-like values: 16 hex digits, the same on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache
def code_version(*packages: str) -> str:
    """The version of ``mtmc`` and a hash of the source of some of its packages: what computed a stage's result.

    Another release, or a changed line of a stage, gives other keys, so that results of older code are not taken for
    those of today's.

    Args:
        packages: Names such as ``mtmc.track``; modules work, too.
    """
    digest = hashlib.sha256()
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ValueError(f"expected a package or module of mtmc, got {package}")
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{mtmc.__version__} {digest.hexdigest()[:16]}"


def file_sha256(path: Path | None) -> str:
    """SHA-256 of a file's bytes, or of a folder's files in name order; "" for nothing there."""
    if path is None or not path.exists():
        return ""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class StageCache:
    """Arrays by (stage, name, key) in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, stage: str, name: str, key: str) -> Path:
        """Where the result lies or would lie."""
        return self.root / stage / f"{name}-{key}.npz"

    def load(self, stage: str, name: str, key: str) -> dict[str, Array] | None:
        """The saved arrays, or None if there are none (or a disk error has damaged them: they are made again)."""
        return read_arrays(self.path(stage, name, key))

    def save(self, stage: str, name: str, key: str, arrays: Mapping[str, Array]) -> None:
        """Write the arrays, whole or not at all.

        Raises:
            MtmcError: The disk is full or may not be written.
        """
        write_arrays(self.path(stage, name, key), arrays)


def read_arrays(path: Path) -> dict[str, Array] | None:
    """The arrays of an ``.npz`` file; None if it is not there or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an ``.npz`` file, whole or not at all; the same arrays give the same bytes.

    Raises:
        MtmcError: The disk is full or may not be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
