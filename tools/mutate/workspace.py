"""A copy of the repository that mutants are written into; the working tree is never touched."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FOLDERS = ("mtmc", "reid", "tests", "tools", "configs", "docs")
FILES = ("pyproject.toml", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile", "constraints.txt")
#: Large and only read.
LINKED = ("sample_videos",)


@dataclass(frozen=True)
class Workspace:
    """One copy, with a folder beside it for temporary files of the tests."""

    copy: Path
    temporary: Path

    @contextmanager
    def changed(self, path: PurePosixPath, text: str) -> Iterator[None]:
        """One file of the copy with another text; restored afterwards, its time of modification included."""
        file = self.copy / path
        original, times = file.read_bytes(), file.stat()
        file.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            file.write_bytes(original)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _ignored(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"__pycache__", ".hypothesis"} or name.endswith(".egg-info")}


def make_workspace(root: Path, folder: Path) -> Workspace:
    """Copy what tests need of the repository below a new folder."""
    copy, temporary = folder / "tree", folder / "tmp"
    copy.mkdir(parents=True)
    temporary.mkdir()
    for name in FOLDERS:
        if (root / name).is_dir():
            shutil.copytree(root / name, copy / name, ignore=_ignored)
    for name in FILES:
        if (root / name).is_file():
            shutil.copy2(root / name, copy / name)
    for name in LINKED:
        if (root / name).exists():
            (copy / name).symlink_to(root / name)
    return Workspace(copy=copy, temporary=temporary)


def clone(workspace: Workspace, folder: Path) -> Workspace:
    """Another copy, compiled files included."""
    shutil.copytree(workspace.copy, folder / "tree", symlinks=True)
    (folder / "tmp").mkdir()
    return Workspace(copy=folder / "tree", temporary=folder / "tmp")


def digest_of(workspace: Workspace, *, tests: bool = True) -> str:
    """SHA-256 of all Python files of a copy, shortened: results are valid for this code and these tests only.

    Without ``tests`` the modules that pytest collects and the tools are left out.
    """
    hashed = hashlib.sha256()
    for path in sorted(workspace.copy.rglob("*.py")):
        if not tests and (path.name.startswith("test_") or path.is_relative_to(workspace.copy / "tools")):
            continue
        hashed.update(path.relative_to(workspace.copy).as_posix().encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:16]
