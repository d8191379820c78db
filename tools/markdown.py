"""Tables in Markdown: whole ones, and line by line for figures that take long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["heading", "row", "table"]


def table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """The names of the columns and the cells of each row.

    >>> print(table(["place", "IDF1"], [["S01", ".714"]]))
    | place | IDF1 |
    |---|---|
    | S01 | .714 |
    """
    return "\n".join([heading(columns), *map(row, rows)])


def heading(columns: Sequence[str]) -> str:
    """The first two lines of a table."""
    return row(columns) + "\n" + "|---" * len(columns) + "|"


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"
