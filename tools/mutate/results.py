"""What became of each mutant: one JSON line each, so that a stopped run goes on; and the list of survivors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.markdown import table
from tools.mutate.mutants import Mutant

NOTICED = {"killed", "timeout"}
MISSED = {"survived", "unreached"}
#: Columns of the summary, by status.
_TITLES = {
    "killed": "killed",
    "timeout": "time ran out",
    "equivalent": "equivalent",
    "survived": "survived",
    "unreached": "not reached",
}


@dataclass(frozen=True)
class Result:
    """One line of the file.

    Attributes:
        target: group of source files (``tools/mutate/targets.py``).
        digest: the code and tests that the result holds for.
        key: names the mutant.
        path: file that was changed.
        line: first line that changes.
        function: qualified name of the function around it.
        operator: how it was made.
        diff: the lines before and after.
        status: ``killed``, ``timeout``, ``survived``, ``unreached`` or ``equivalent``.
        note: the test that noticed it, or the reason of an equivalent.
    """

    target: str
    digest: str
    key: str
    path: str
    line: int
    function: str
    operator: str
    diff: str
    status: str
    note: str

    @classmethod
    def of(cls, target: str, digest: str, mutant: Mutant, status: str, note: str) -> Result:
        """The result of a mutant."""
        return cls(
            target=target,
            digest=digest,
            key=mutant.key,
            path=str(mutant.path),
            line=mutant.line,
            function=mutant.function,
            operator=mutant.operator,
            diff=mutant.diff(),
            status=status,
            note=note,
        )


def append(path: Path, result: Result) -> None:
    """Add a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def load(path: Path) -> list[Result]:
    """All results of a file; a last line that was cut off is left out."""
    results = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            results.append(Result(**json.loads(line)))
        except ValueError:
            continue
    return results


def reusable(results: Iterable[Result], digest: str, *, keep_killed: bool) -> dict[str, Result]:
    """Results by key that hold: those of the same code and tests, and on request all that were noticed before."""
    return {
        result.key: result
        for result in results
        if result.digest == digest or (keep_killed and result.status in NOTICED)
    }


def summary(results: Sequence[Result]) -> str:
    """A Markdown table: mutants of each target by status, and the share that was noticed or is equivalent."""
    targets = list(dict.fromkeys(result.target for result in results))
    groups = [(target, [result for result in results if result.target == target]) for target in targets]
    if len(groups) > 1:
        groups.append(("all", list(results)))

    rows = []
    for name, group in groups:
        count = {status: sum(result.status == status for result in group) for status in _TITLES}
        settled = count["killed"] + count["timeout"] + count["equivalent"]
        rows.append([name, str(len(group)), *map(str, count.values()), f"{100 * settled / len(group):.1f} %"])
    return table(["target", "mutants", *_TITLES.values(), "noticed or equivalent"], rows)


def survivors(results: Iterable[Result]) -> str:
    """The mutants that no test noticed: file and line, function, operator, and the change."""
    blocks = []
    for result in sorted(results, key=lambda result: (result.path, result.line, result.key)):
        if result.status in MISSED:
            reached = "" if result.status == "survived" else ", no test runs this line"
            place = f"{result.path}:{result.line}"
            blocks.append(f"{place} in {result.function or 'the module'} ({result.operator}{reached})\n{result.diff}")
    return "\n\n".join(blocks)
