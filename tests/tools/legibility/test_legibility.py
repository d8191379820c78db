"""The figures of a source small enough to be counted by hand, and the import circles of packages of three modules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tools.legibility.__main__ import main
from tools.legibility.circles import circles, import_graph, module_name
from tools.legibility.measures import densest, measure_tree, own_word_share
from tools.legibility.source import read_source, read_tree

SOURCE = '''"""A module."""

import math  # the only import


# Half of it.
def half_width(box, scale: float = 2):
    """Half the width of a box, in pixels."""
    x = box[2] - box[0]

    return math.floor(x / scale)


class Wheel:
    def turn(self, angle: float) -> None:
        assert angle
        self.angle = angle

    def _stop(self) -> None:
        """Stop."""
        raise ValueError
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    (root / "tests").mkdir(parents=True)
    (root / "toy.py").write_text(SOURCE, encoding="utf-8")
    (root / "tests" / "ignored.py").write_text("not = python\n", encoding="utf-8")
    (root / "template.py").write_text("{{ not python\n", encoding="utf-8")
    return root


def test_lines(tree: Path) -> None:
    [source] = read_tree(tree)
    assert source.line_count == 21
    assert sorted(source.code_lines) == [3, 7, 9, 11, 14, 15, 16, 17, 19, 21]
    assert sorted(source.comment_lines) == [3, 6]


def test_figures(tree: Path) -> None:
    measure = measure_tree("toy", read_tree(tree))
    assert (measure.modules, measure.file_lines.largest) == (1, 21)

    # half_width: def, (docstring), x =, blank, return. turn: 3. _stop: def, (docstring), raise.
    assert [function.line_count for function in measure.functions] == [4, 3, 2]
    assert [function.code_line_count for function in measure.functions] == [3, 3, 2]
    assert [function.local_names for function in measure.functions] == [3, 1, 0]
    assert [function.name for function in measure.functions] == ["half_width", "Wheel.turn", "Wheel._stop"]

    # x = box[2] - box[0]: target, difference, two subscripts, each with a name and a constant.
    # math.floor(x / scale): call, attribute, math, division, x, scale.
    assert measure.nodes_per_statement.largest == 8
    # def, `float`, `2`, assignment with 8, return with 6 / def, `float`, `None`, assert with 1, assignment with 3
    # (attribute, self, angle) / def, `None`, raise with 1.
    assert [function.node_count for function in measure.functions] == [19, 9, 4]
    # With the import and the class statement.
    assert measure.nodes_per_line == pytest.approx((19 + 9 + 4 + 2) / 10)

    # Variables and parameters: x, box, scale, angle.
    assert measure.identifier_length == pytest.approx((1 + 3 + 5 + 5) / 4)
    assert measure.one_letter == pytest.approx(1 / 4)
    assert measure.comments_per_line == pytest.approx(2 / 10)

    # Public: half_width and turn. Typed: turn and _stop.
    assert measure.documented == pytest.approx(1 / 2)
    assert measure.typed == pytest.approx(2 / 3)
    assert measure.shapes_in_docstrings == 1.0
    assert (measure.raises, measure.asserts) == (1, 1)
    assert measure.words == {"half", "width", "box", "scale", "wheel", "turn", "angle", "stop"}


def test_own_words(tmp_path: Path) -> None:
    texts = {"one": "box_width = 1\nhull = 2\n", "two": "boxWidth = 3\n"}
    measures = []
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        measures.append(measure_tree(name, [read_source(tmp_path / f"{name}.py")]))
    one, two = measures
    assert own_word_share(one, [two]) == pytest.approx(1 / 3)
    assert own_word_share(two, [one]) == 0
    assert math.isnan(own_word_share(one, []))


@pytest.mark.parametrize(
    ("docstring", "names_one"),
    [
        ("Boxes (N, 4).", True),
        ("Scores in [0, 1].", True),
        ("How long it took, in seconds.", True),
        ("The pair (see below).", False),
        ("What [is] it.", False),
    ],
)
def test_shapes_and_units(tmp_path: Path, docstring: str, names_one: bool) -> None:
    (tmp_path / "a.py").write_text(f'def f():\n    """{docstring}"""\n', encoding="utf-8")
    assert measure_tree("a", read_tree(tmp_path)).shapes_in_docstrings == names_one


def test_the_densest_functions_come_first(tmp_path: Path) -> None:
    thin = "def thin(a):\n" + "    a\n" * 9
    dense = "def dense(a):\n" + "    a = [a, a, a]\n" * 9
    short = "def short(a):\n    return [a, a, a, a, a, a, a, a, a, a, a, a, a]\n"
    (tmp_path / "a.py").write_text(thin + dense + short, encoding="utf-8")
    measure = measure_tree("a", read_tree(tmp_path))
    assert [function.name for function in densest(measure.functions)] == ["dense", "thin"]
    assert [function.name for function in densest(measure.functions, 1)] == ["dense"]


def _package(folder: Path, texts: dict[str, str]) -> Path:
    root = folder / "p"
    for name, text in {"__init__": "", **texts}.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("back", "when_loaded", "anywhere"),
    [
        ("import p.a\n", [["p.a", "p.b"]], [["p.a", "p.b"]]),
        ("from p import a\n", [["p.a", "p.b"]], [["p.a", "p.b"]]),
        ("from .a import x\n", [["p.a", "p.b"]], [["p.a", "p.b"]]),
        ("def f():\n    from p.a import x\n", [], [["p.a", "p.b"]]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.a\n", [], []),
        ("import p.c\n", [], []),
    ],
)
def test_circles(tmp_path: Path, back: str, when_loaded: list[list[str]], anywhere: list[list[str]]) -> None:
    root = _package(tmp_path, {"a": "from p.b import y\n", "b": back, "c": "import os\n"})
    sources = {module_name(source.path, root): source for source in read_tree(root)}
    assert circles(import_graph(sources, inside_functions=False)) == when_loaded
    assert circles(import_graph(sources, inside_functions=True)) == anywhere


def test_a_circle_through_a_subpackage(tmp_path: Path) -> None:
    root = _package(
        tmp_path, {"s/__init__": "from .. import a\n", "a": "from p.s.m import z\n", "s/m": "import p.s\n"}
    )
    sources = {module_name(source.path, root): source for source in read_tree(root)}
    assert circles(import_graph(sources, inside_functions=False)) == [["p.a", "p.s", "p.s.m"]]


def test_the_command_prints_markdown(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    (peer / "a.py").write_text("box = 1\n", encoding="utf-8")
    assert main([str(tree), "--beside", str(peer)]) == 0
    printed = capsys.readouterr().out
    assert "|  | toy | peer |" in printed
    assert "| nodes per line of code | 3.4 | 3.0 |" in printed
    assert "| identifier words found in no peer, % | 88 | – |" in printed
    assert "* when loaded: none" in printed


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nowhere"])
    assert "nowhere does not exist" in capsys.readouterr().err
