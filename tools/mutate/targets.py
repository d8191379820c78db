"""Which source is mutated, and which tests have to notice it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Target:
    """A group of source files with its own tests.

    Attributes:
        sources: files and folders of the repository whose code is changed.
        tests: files and folders that pytest is given; a source folder stands for its doctests.
        preload: packages that the tests import. They are loaded once, before any test run is forked.
        quick: only tests that are not marked slow count, and of these only the ones that run the changed line, the
            quickest first. For tests that keep nothing that the source computes for each other, in fixtures of a
            module or in caches.
    """

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    preload: tuple[str, ...] = ()
    quick: bool = False


NUMERIC = (
    "numpy",
    "scipy.optimize",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "scipy.stats",
    "scipy.cluster.hierarchy",
)
TESTING = ("pytest", "_pytest.doctest", "hypothesis.strategies", "pydantic", "yaml", "cv2", "av", "pyarrow.parquet")

TARGETS = {
    "track": Target(("mtmc/track",), ("tests/mtmc/track", "mtmc/track")),
    "clean": Target(("mtmc/clean",), ("tests/mtmc/clean", "mtmc/clean")),
    "evaluate": Target(("mtmc/evaluate",), ("tests/mtmc/evaluate", "mtmc/evaluate"), ("motmetrics", "pandas")),
    "multiview": Target(
        ("mtmc/multiview",),
        ("tests/mtmc/multiview", "mtmc/multiview", "tests/mtmc/associate", "tests/mtmc/site"),
    ),
    "associate": Target(("mtmc/associate",), ("tests/mtmc/associate", "mtmc/associate")),
    "site": Target(("mtmc/site",), ("tests/mtmc/site", "mtmc/site")),
    "reid": Target(
        ("reid/methods", "reid/losses", "reid/mining.py", "reid/networks"),
        ("tests/reid", "reid"),
        ("torch", "torchvision.transforms.v2", "timm", "onnxruntime"),
        quick=True,
    ),
}
#: Mutated unless paths are given; the embedders' training takes longer and has a command of its own.
DEFAULT = ("track", "clean", "evaluate", "multiview", "associate", "site")


def source_files(target: Target, root: Path) -> list[PurePosixPath]:
    """Python files of a target, relative to the repository, sorted."""
    found: set[Path] = set()
    for source in target.sources:
        path = root / source
        found.update([path] if path.is_file() else path.rglob("*.py"))
    return sorted(PurePosixPath(path.relative_to(root).as_posix()) for path in found)


def chosen(root: Path, paths: Sequence[str]) -> dict[str, list[PurePosixPath]]:
    """Files to mutate for each target.

    Args:
        root: the repository.
        paths: targets' names, files or folders relative to the repository; none stands for ``DEFAULT``.

    Raises:
        ValueError: a path that belongs to no target.
    """
    if not paths:
        return {name: source_files(TARGETS[name], root) for name in DEFAULT if source_files(TARGETS[name], root)}

    selected: dict[str, set[PurePosixPath]] = {}
    for path in paths:
        wanted = PurePosixPath(path)
        known = False
        for name, target in TARGETS.items():
            files = source_files(target, root)
            fitting = [file for file in files if path == name or file == wanted or wanted in file.parents]
            if fitting:
                selected.setdefault(name, set()).update(fitting)
                known = True
        if not known:
            raise ValueError(f"expected a part of {', '.join(TARGETS)} (tools/mutate/targets.py), got {path}")
    return {name: sorted(files) for name, files in selected.items()}
