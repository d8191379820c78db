"""The public names of ``reid``: all exist, come from where the type checker is told, and cost nothing unused."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import reid


@pytest.mark.parametrize("name", reid.__all__)
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(reid, name)
    assert name in dir(reid)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert value.__module__.startswith("reid.")
        assert inspect.getdoc(value), f"{name} says nothing of itself"


def test_the_list_is_complete_and_in_order() -> None:
    (block,) = [node for node in ast.parse(Path(reid.__file__).read_text()).body if isinstance(node, ast.If)]
    for_the_type_checker = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    when_asked_for = {name: module for module, names in reid._HOMES.items() for name in names}
    assert for_the_type_checker == when_asked_for
    assert set(reid.__all__) == set(when_asked_for)
    assert len(reid.__all__) == len(set(reid.__all__))


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'reid' has no attribute 'trian'"):
        _ = reid.trian  # type: ignore[attr-defined]
    assert not hasattr(reid, "trian")


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, reid; dir(reid); reid.ReidError; assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
