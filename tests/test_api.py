"""The public interface: every name resolves, is documented and typed, and the examples of its page run."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mtmc

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", mtmc.__all__)
def test_a_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(mtmc, name)
    assert f"`{name}`" in PAGE, f"docs/api.md does not describe {name}"
    if name != "__version__":
        assert value.__doc__
    if name not in {"__version__", "MtmcError"}:  # the errors of both packages have one base, which reid defines
        assert value.__name__.removeprefix("mtmc.") == name


def test_the_list_is_sorted_and_complete() -> None:
    names = [name for name in mtmc.__all__ if name != "__version__"]
    assert names == sorted(names)
    assert sorted(mtmc._MODULES) == names
    assert set(mtmc.__all__) <= set(dir(mtmc))


def test_type_checkers_see_the_same_names() -> None:
    """The imports below TYPE_CHECKING are those that happen on first use."""
    tree = ast.parse((ROOT / "mtmc" / "__init__.py").read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen: dict[str, str] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        module = node.module or ""
        seen.update({alias.name: "" if module == "mtmc" else module for alias in node.names})
    assert seen == mtmc._MODULES


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trakc'"):
        mtmc.trakc  # noqa: B018


def test_everything_in_a_star_import() -> None:
    names: dict[str, object] = {}
    exec("from mtmc import *", names)
    assert set(mtmc.__all__) <= set(names)


@pytest.mark.parametrize("dotted", sorted(set(re.findall(r"`(mtmc(?:\.\w+)+)\(", PAGE))))
def test_functions_that_the_page_names_exist(dotted: str) -> None:
    module, _, name = dotted.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_the_examples_run(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) >= 2
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_stands_in_one_place() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in pyproject
    assert 'version = { attr = "mtmc.__version__" }' in pyproject
    assert re.fullmatch(r"\d+\.\d+\.\d+", mtmc.__version__)
