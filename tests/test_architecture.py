"""The house rules that a machine can check: imports flow one way, and the doors stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Read upward only: a module may import from its own row's package and from rows above it, never from a sibling.
LAYERS = [
    {"errors"},
    {"settings", "types", "files", "threads", "progress", "doors"},
    {"geometry"},
    {"formats", "video"},
    {"scene"},
    {"multiview"},
    {"detect", "track", "clean", "embed", "associate", "polish", "site", "render", "evaluate"},
    {"config"},
    {"pipeline"},
    {"diagnose"},
    {"runners"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
#: The second row is made of small modules that may use each other.
FREE_ROWS = {1}
#: What mtmc may enter reid by, and from where.
DOORS = {
    "errors": {"reid.errors"},
    "settings": {"reid.errors", "reid.settings"},
    "config": {"reid.settings"},
    "doors": {"reid.errors"},
    "detect": {"reid.runtime"},
    "embed": {"reid.export"},
    "associate": {"reid.rerank"},
}
#: The only modules that may name these packages.
VENDORS = {"ray": {"mtmc/runners/ray.py"}, "ultralytics": {"mtmc/detect/yolo.py"}}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, at any depth of the code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room(dotted: str) -> str:
    """``mtmc.track.kalman.predict`` → ``track``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def row(name: str) -> int | None:
    return next((i for i, names in enumerate(LAYERS) if name in names), None)


def own_room(path: Path) -> str:
    return path.relative_to(ROOT / "mtmc").with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules("mtmc"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_flow_one_way(path: Path) -> None:
    here = own_room(path)
    if here == "__init__":
        assert not [name for _, name in imports(path) if name.startswith(("mtmc", "reid"))]
        return
    assert row(here) is not None, f"{path} belongs to no row of LAYERS: place it there and in ARCHITECTURE.md"
    for line, name in imports(path):
        if name.split(".")[0] == "tools":
            pytest.fail(f"{path}:{line}: the packages never import tools")
        there = room(name)
        if not name.startswith("mtmc.") or there in {here, "__version__"}:
            continue
        height = row(there)
        assert height is not None, f"{path}:{line}: {name} belongs to no row of LAYERS"
        allowed = height < row(here) or (height == row(here) and height in FREE_ROWS)
        assert allowed, f"{path}:{line}: {here} may not import {there}"


@pytest.mark.parametrize("path", modules("mtmc"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_reid_is_entered_by_its_doors(path: Path) -> None:
    doors = DOORS.get(own_room(path), set())
    for line, name in imports(path):
        if name.split(".")[0] == "reid":
            module = name.rpartition(".")[0] if name not in doors else name
            assert module in doors, f"{path}:{line}: {name} is not one of {sorted(doors)}"


@pytest.mark.parametrize("path", modules("reid"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_reid_stands_alone(path: Path) -> None:
    for line, name in imports(path):
        assert name.split(".")[0] not in {"mtmc", "tools"}, f"{path}:{line}: reid imports {name}"


@pytest.mark.parametrize("vendor", VENDORS)
def test_vendors_stay_at_the_edge(vendor: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for package in ("mtmc", "reid")
        for path in modules(package)
        for _, name in imports(path)
        if name.split(".")[0] == vendor
    }
    assert users <= VENDORS[vendor]


@pytest.mark.parametrize(
    "command",
    [
        "import mtmc",
        "import reid",
        "from mtmc.cli import main; main(['--help'])",
        "from mtmc.cli import main; main(['run', '--help'])",
        "from reid.cli import main; main(['--help'])",
    ],
)
def test_starting_is_cheap(command: str) -> None:
    code = (
        "import sys\n"
        f"try:\n    {command}\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'torchvision', 'ultralytics', 'cv2', 'av', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
