"""Tables in Markdown, against text written by hand."""

from __future__ import annotations

from tools.markdown import table


def test_table() -> None:
    found = table(["", "IDF1"], [["S01", ".714"], ["S03", ""]])
    assert found.splitlines() == ["|  | IDF1 |", "|---|---|", "| S01 | .714 |", "| S03 |  |"]
