"""Mutants that no test can notice, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tools.mutate.mutants import Mutant

PATH = Path(__file__).with_name("equivalent.yaml")

Change = tuple[str, tuple[str, ...], tuple[str, ...]]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def load_equivalents(path: Path = PATH) -> dict[Change, str]:
    """Reasons by file and change.

    The file is a list of mappings with ``file``, ``before``, ``after`` (the lines that change, as the list of
    survivors shows them; indentation does not matter) and ``reason``.

    Raises:
        ValueError: an entry that lacks one of them.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    known: dict[Change, str] = {}
    for number, entry in enumerate(entries, start=1):
        missing = {"file", "before", "after", "reason"} - set(entry)
        if missing or not str(entry["reason"]).strip():
            raise ValueError(f"{path}: entry {number}: expected file, before, after and reason, got {sorted(entry)}")
        known[entry["file"], _lines(entry["before"]), _lines(entry["after"])] = entry["reason"]
    return known


def reason_for(mutant: Mutant, known: Mapping[Change, str]) -> str | None:
    """Why a mutant cannot be noticed, if it is one of those named."""
    return known.get((str(mutant.path), mutant.before, mutant.after))


def unknown_files(known: Mapping[Change, str], root: Path) -> Sequence[str]:
    """Files that entries name and the repository does not have."""
    return sorted({file for file, _, _ in known if not (root / file).exists()})
