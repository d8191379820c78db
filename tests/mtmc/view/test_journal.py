"""The journal: whole lines or none, one number after the other, never for another run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mtmc.errors import FormatError, MtmcError
from mtmc.view.journal import Entry, Journal, StaleSequence

PAIR = ("c001", 1, "c002", 5)


def line(action: str, **facts: object) -> str:
    """The second answer of a journal, as somebody may have edited it."""
    return json.dumps(asdict(Entry(2, action)) | facts)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    journal = Journal(path, "abc")
    assert (journal.sequence, path.exists()) == (0, False)
    first = journal.append(0, "same", must_link=(PAIR,))
    second = journal.append(1, "undo", undoes=1)
    assert Journal(path, "abc").entries == journal.entries == (first, second)
    assert (first.sequence, first.must_link, second.undoes) == (1, (PAIR,), 1)


def test_the_file_only_grows(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "abc")
    written = b""
    for k in range(3):
        journal.append(k, "different", cannot_link=(PAIR,))
        assert path.read_bytes().startswith(written)
        written = path.read_bytes()
    assert len(written.splitlines()) == 4


def test_two_servers_are_told_apart_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    one, other = Journal(path, "abc"), Journal(path, "abc")
    one.append(0, "same", must_link=(PAIR,))
    with pytest.raises(StaleSequence, match="another window has answered"):
        other.append(0, "different", cannot_link=(PAIR,))
    assert other.sequence == 1  # it knows the answer of the first one now
    other.append(1, "undo", undoes=1)
    one.reload()
    assert [entry.action for entry in one.entries] == ["same", "undo"]


def test_a_line_that_a_killed_process_left_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "abc").append(0, "same", must_link=(PAIR,))
    with path.open("ab") as file:
        file.write(b'{"sequence": 2, "action": "sa')
    journal = Journal(path, "abc")
    assert journal.sequence == 1
    journal.append(1, "undo", undoes=1)
    assert [entry.action for entry in Journal(path, "abc").entries] == ["same", "undo"]


def test_answers_about_another_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "abc").append(0, "same", must_link=(PAIR,))
    with pytest.raises(FormatError, match=r"answers about other tracklets.*move the file away"):
        Journal(path, "another")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "journal.jsonl:3: cannot be read as JSON"),
        ("[]", "journal.jsonl:3: cannot be read as JSON"),
        ("{}", "journal.jsonl:3: expected answer number 2"),
        (json.dumps({"sequence": 7, "action": "same"}), "journal.jsonl:3: expected answer number 2"),
        ("[" * 200_000, "journal.jsonl:3: cannot be read as JSON"),
        (line("cut", tracks=[], number=99), "journal.jsonl:3: expected answer number 2"),
        (line("cut", tracks=[["c001", 1], ["c001", 2]], number=99), "journal.jsonl:3: expected answer number 2"),
        (line("cut", tracks=[["c001", 1]], number=0), "journal.jsonl:3: expected answer number 2"),
        (line("assign", tracks=[["c001", 1]], number=-5), "journal.jsonl:3: expected answer number 2"),
        (line("assign", tracks=[["c001", 1]], number=2**70), "journal.jsonl:3: expected answer number 2"),
        (line("assign", tracks=[["c001", 1]], number=float("inf")), "journal.jsonl:3: expected answer number 2"),
        (line("class", tracks=[["c001", 1]], class_name="ship"), "journal.jsonl:3: expected answer number 2"),
        (line("same", must_link=[["c001", 1, "c001", 1]]), "journal.jsonl:3: expected answer number 2"),
        (line("undo", undoes=2), "journal.jsonl:3: expected answer number 2"),
        (line("undo"), "journal.jsonl:3: expected answer number 2"),
        (line("same", must_link=[PAIR], undoes=1), "journal.jsonl:3: expected answer number 2"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "abc").append(0, "same", must_link=(PAIR,))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FormatError, match=says):
        Journal(path, "abc")


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "view").write_text("")
    with pytest.raises(MtmcError, match="choose another path"):
        Journal(tmp_path / "view" / "journal.jsonl", "abc").append(0, "same", must_link=(PAIR,))


def test_entries_are_plain_values() -> None:
    assert Entry(1, "same") == Entry(1, "same")
