"""Measure how source code reads, as Markdown tables.

``python -m tools.legibility mtmc reid --beside ../peers/trackers ../peers/supervision`` puts each PATH in a column.
Own words are those found in none of the trees of ``--beside`` (for one of these: in none of the others of them).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.legibility.circles import circles, import_graph, module_name
from tools.legibility.measures import Spread, TreeMeasure, densest, measure_tree, own_word_share
from tools.legibility.source import SourceFile, read_tree
from tools.markdown import table


def _spread(spread: Spread) -> str:
    return f"{spread.median} / {spread.high} / {spread.largest}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f}"


def _per_hundred(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


#: Label of a row and how its cell is written.
ROWS: list[tuple[str, Callable[[TreeMeasure], str]]] = [
    ("modules", lambda tree: str(tree.modules)),
    ("lines of a file: median / 90 % / max", lambda tree: _spread(tree.file_lines)),
    ("lines of a function: median / 90 % / max", lambda tree: _spread(tree.function_lines)),
    ("nodes per line of code", lambda tree: f"{tree.nodes_per_line:.1f}"),
    (
        "expressions per simple statement: median / 90 %",
        lambda tree: f"{tree.nodes_per_statement.median} / {tree.nodes_per_statement.high}",
    ),
    ("mean length of a variable's name", lambda tree: f"{tree.identifier_length:.1f}"),
    ("variables of one letter, %", lambda tree: _percent(tree.one_letter)),
    ("lines with a comment per 100 lines of code", lambda tree: _per_hundred(tree.comments_per_line)),
    ("documented public functions, %", lambda tree: _percent(tree.documented)),
    ("typed functions, %", lambda tree: _percent(tree.typed)),
    ("docstrings that name a shape or a unit, %", lambda tree: _percent(tree.shapes_in_docstrings)),
    ("raise / assert", lambda tree: f"{tree.raises} / {tree.asserts}"),
]


def figures(trees: Sequence[TreeMeasure], beside: Sequence[TreeMeasure]) -> str:
    """One column per tree, one row per figure."""
    columns = [*trees, *beside]
    rows = [[label, *(cell(tree) for tree in columns)] for label, cell in ROWS]

    own_words = [own_word_share(tree, [peer for peer in beside if peer is not tree]) for tree in columns]
    rows.append(["identifier words found in no peer, %", *map(_percent, own_words)])
    return table(["", *(tree.name for tree in columns)], rows)


def densest_table(tree: TreeMeasure, root: Path, count: int) -> str:
    """The densest functions of a tree, their place relative to it."""
    rows = []
    for function in densest(tree.functions, count):
        where = function.path.relative_to(root.parent).as_posix()
        rows.append(
            [
                f"`{function.name}`",
                f"{where}:{function.line}",
                f"{function.density:.1f}",
                str(function.code_line_count),
                str(function.local_names),
            ]
        )
    return table(["function", "where", "nodes per line", "lines of code", "local names"], rows)


def circle_lines(root: Path, sources: Sequence[SourceFile]) -> list[str]:
    """The import circles of a package as list items; a sentence where there is none."""
    named = {module_name(source.path, root): source for source in sources}
    lines = []
    for label, inside_functions in (("when loaded", False), ("with imports inside functions", True)):
        found = circles(import_graph(named, inside_functions=inside_functions))
        lines += [f"* {label}: {', '.join(group)}" for group in found] or [f"* {label}: none"]
    return lines


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.legibility", description=__doc__)
    parser.add_argument("paths", metavar="PATH", nargs="*", type=Path, default=[Path("mtmc"), Path("reid")])
    parser.add_argument("--beside", metavar="PATH", nargs="+", type=Path, default=[], help="peers, further columns")
    parser.add_argument("--densest", metavar="N", type=int, default=10, help="how many dense functions to list (10)")
    arguments = parser.parse_args(argv)
    missing = [str(path) for path in [*arguments.paths, *arguments.beside] if not path.exists()]
    if missing:
        parser.error(f"expected folders of Python source, {', '.join(missing)} does not exist")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; the exit code is always 0."""
    arguments = _arguments(argv)
    paths = [path.resolve() for path in arguments.paths]
    sources = [read_tree(path) for path in paths]
    trees = [measure_tree(path.stem, files) for path, files in zip(paths, sources, strict=True)]
    beside = [measure_tree(path.stem, read_tree(path.resolve())) for path in arguments.beside]

    print(figures(trees, beside))
    for path, files, tree in zip(paths, sources, trees, strict=True):
        print(f"\nDensest functions of {tree.name}\n\n{densest_table(tree, path, arguments.densest)}")
        if path.is_dir():
            print(f"\nImport circles of {tree.name}\n\n" + "\n".join(circle_lines(path, files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
