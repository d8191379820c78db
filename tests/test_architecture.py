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
    {"settings", "types", "files", "threads", "progress", "log"},
    {"geometry", "zoo"},
    {"formats", "video"},
    {"scene"},
    {"multiview"},
    {"detect", "track", "clean", "embed", "associate", "postprocess", "site", "render", "evaluate"},
    {"config"},
    {"pipeline"},
    {"diagnose", "traffic"},
    {"report", "view"},
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
    "settings": {"reid.settings"},
    "log": {"reid.log"},
    "detect": {"reid.runtime"},
    "embed": {"reid.inference", "reid.runtime"},
    "associate": {"reid.evaluation.rerank"},
}
#: The rows of reid, read in the same way; a module belongs to the longest name here that it begins with. Schedule,
#: processes and device are what methods may know of a training, so they stand below them.
REID_LAYERS = [
    {"errors", "log", "progress"},
    {"settings", "card", "runtime"},
    {"data", "losses", "training.schedule", "training.distributed", "training.device"},
    {"networks", "mining", "evaluation"},
    {"methods"},
    {"config"},
    {"training"},
    {"torch_loader", "export"},
    {"inference"},
    {"embed", "analysis"},
    {"cli"},
    {"__main__"},
]
#: The only modules that may name these packages.
VENDORS = {
    "ray": {"mtmc/runners/ray.py"},
    "ultralytics": {"mtmc/detect/yolo.py"},
    "starlette": {f"mtmc/view/{name}.py" for name in ("bodies", "place_routes", "security", "server")},
    "uvicorn": {"mtmc/view/__init__.py"},
    "ruamel": {"mtmc/scene/edit.py"},
}


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
        return  # its imports are for type checkers; tests/test_api.py and test_starting_is_cheap hold it
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


def module_name(path: Path) -> str:
    """``reid/data/__init__.py`` → ``reid.data``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The modules among ``known`` that a module imports, also inside functions; names in a module count as it."""
    found = set()
    for _, name in imports(path):
        while name and name not in known:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {""}


def reid_room(module: str) -> str:
    """``reid.training.device`` → ``training.device``, ``reid.training.engine`` → ``training``."""
    name = module.removeprefix("reid").removeprefix(".")
    while name and not any(name in names for names in REID_LAYERS):
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("path", modules("reid"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_of_reid_flow_one_way(path: Path) -> None:
    rows = {name: height for height, names in enumerate(REID_LAYERS) for name in names}
    module = module_name(path)
    if module == "reid":  # the public names, imported when they are asked for
        return
    here = reid_room(module)
    assert here, f"{path} belongs to no row of REID_LAYERS: place it there and in ARCHITECTURE.md"
    for target in imported_modules(path, {module_name(p) for p in modules("reid")}):
        there = reid_room(target)
        assert there, f"{path}: {target} belongs to no row of REID_LAYERS"
        assert there == here or rows[there] < rows[here], f"{path}: {here} may not import {there}"


@pytest.mark.parametrize("package", ["mtmc", "reid"])
def test_no_import_circle(package: str) -> None:
    """Imports inside functions count as well: they hide a circle, they do not break it."""
    paths = {module_name(path): path for path in modules(package)}
    waiting = {name: imported_modules(path, set(paths)) - {name, package} for name, path in paths.items()}
    waiting.pop(package)
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"these modules import each other in a circle, or one that does: {sorted(waiting)}"
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


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
