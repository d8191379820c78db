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
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.files import atomic_path
from mtmc.types import Array

__all__ = ["StageCache", "cache_key", "file_sha256"]


def cache_key(**parts: Any) -> str:
    """A short name for a combination of JSON-like values: 16 hex digits, the same on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
        try:
            with self.path(stage, name, key).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, stage: str, name: str, key: str, arrays: Mapping[str, Array]) -> None:
        """Write the arrays, whole or not at all.

        Raises:
            MtmcError: The disk is full or may not be written.
        """
        path = self.path(stage, name, key)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
