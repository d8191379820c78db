"""Which changes are made of a source, that they are named apart from their line, and how a sample is drawn."""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

import pytest

pytest.importorskip("mutmut", reason="needs the extra 'mutation'")

from tools.mutate.equivalent import PATH, load_equivalents, reason_for, unknown_files
from tools.mutate.mutants import change_count, mutants_of, sample, shares
from tools.mutate.targets import TARGETS, chosen, source_files

ROOT = Path(__file__).resolve().parents[3]
FILE = PurePosixPath("a.py")


def changes(tmp_path: Path, text: str) -> set[tuple[str, str]]:
    """Lines before and after of every mutant."""
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    return {("\n".join(mutant.before), "\n".join(mutant.after)) for mutant in mutants_of(tmp_path, FILE)}


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("a = b + 1", {"a = b - 1", "a = b + 2", "a = None"}),
        (
            "a = min(b, c)",
            {"a = max(b, c)", "a = min(None, c)", "a = min(b, None)", "a = min(b, )", "a = min(c)", "a = None"},
        ),
        ("a += b", {"a -= b", "a = b"}),
        ("a.sort()", {"pass"}),
        ("a = not b", {"a = b", "a = None"}),
        ("a = x if b else y", {"a = x if (b) and False else y", "a = x if (b) or True else y", "a = None"}),
        ("a = b < c and d", {"a = b <= c and d", "a = b < c or d", "a = None"}),
        ("a: int = True", {"a: int = False", "a: int = None"}),
        ("f('x')", {"pass", "f('XXxXX')", "f(None)"}),
        ("f(b, description='x')", {"pass", "f(None, description='x')", "f(description='x')"}),
    ],
)
def test_changes_of_a_line(tmp_path: Path, line: str, after: set[str]) -> None:
    assert changes(tmp_path, f"{line}\n") == {(line, text) for text in after}


@pytest.mark.parametrize(
    "text",
    [
        "'''A module.'''\n",
        "import a\nfrom b import c\n",
        "raise ValueError('a' + 'b', 1)\n",
        "__all__ = ['a', 'b']\n",
        "if TYPE_CHECKING:\n    a = 1 + 2\n",
        "if __name__ == '__main__':\n    main()\n",
        "log.info('%s', 1 + 2)\n",
        "@cache(1)\ndef f(a: list[1]) -> 'x':\n    '''Text.'''\n",
        "class A:\n    a: int\n    '''What it is.'''\n",
    ],
)
def test_what_is_never_changed(tmp_path: Path, text: str) -> None:
    assert not changes(tmp_path, text)


def test_a_condition_is_negated(tmp_path: Path) -> None:
    assert changes(tmp_path, "if a:\n    pass\n") == {("if a:", "if not a:")}
    assert changes(tmp_path, "while a:\n    pass\n") == {("while a:", "while not a:")}


def test_every_mutant_is_another_program(tmp_path: Path) -> None:
    path = source_files(TARGETS["track"], ROOT)[1]
    mutants = mutants_of(ROOT, path, count=40)
    before = ast.dump(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert len({ast.dump(ast.parse(mutant.text)) for mutant in mutants} - {before}) == len(mutants)


def test_places(tmp_path: Path) -> None:
    text = "class A:\n    def f(self):\n        return g(\n            1,\n        )\n"
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    mutants = mutants_of(tmp_path, FILE)
    [number] = [mutant for mutant in mutants if mutant.operator == "number"]
    assert (number.line, number.statement, number.function) == (4, (3, 5), "A.f")
    assert number.diff() == "    - 1,\n    + 2,"


def test_a_head_is_a_statement_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("for a in range(\n    3\n):\n    b = 1\n    c = 2\n", encoding="utf-8")
    found = {mutant.line: mutant.statement for mutant in mutants_of(tmp_path, FILE) if mutant.operator == "number"}
    assert found == {2: (1, 3), 4: (4, 4), 5: (5, 5)}


def test_a_key_does_not_depend_on_the_line(tmp_path: Path) -> None:
    keys = []
    for text in ("def f(a):\n    return a + 1\n", "import os\n\n\ndef f(a):\n    return a + 1\n"):
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        keys.append({mutant.key for mutant in mutants_of(tmp_path, FILE)})
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_a_sample_is_seeded_and_spread(tmp_path: Path) -> None:
    calls = "".join(f"f{i}(a, b, c, d)\n" for i in range(20))
    (tmp_path / "a.py").write_text(calls + "x = a < b\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("y = 1\n", encoding="utf-8")
    files = [PurePosixPath("a.py"), PurePosixPath("b.py")]

    first, again, other = (sample(tmp_path, files, 12, seed) for seed in (0, 0, 1))
    assert [mutant.key for mutant in first] == [mutant.key for mutant in again]
    assert [mutant.key for mutant in first] != [mutant.key for mutant in other]
    assert len(first) == 12
    assert {str(mutant.path) for mutant in first} == {"a.py", "b.py"}
    # One comparison among some two hundred changes of calls, and it is there.
    assert "swap_op" in {mutant.operator for mutant in first}


@pytest.mark.parametrize("total", [0, 2, 3, 7, 10, 100, 1000])
def test_shares_add_up(total: int) -> None:
    sizes = {PurePosixPath(str(size)): size for size in (0, 1, 5, 40, 54)}
    parts = shares(sizes, total)
    assert all(min(size, 1) <= parts[path] <= size for path, size in sizes.items())
    if total >= 4:
        assert sum(parts.values()) == min(total, 100)


def test_targets_exist() -> None:
    present = {name: target for name, target in TARGETS.items() if (ROOT / target.sources[0]).exists()}
    files = chosen(ROOT, list(present))
    for name, target in present.items():
        missing = [path for path in (*target.sources, *target.tests) if not (ROOT / path).exists()]
        assert not missing, f"{name}: {missing} (tools/mutate/targets.py)"
        assert files[name], name


def test_paths_choose_files() -> None:
    assert chosen(ROOT, ["mtmc/track/kalman.py"]) == {"track": [PurePosixPath("mtmc/track/kalman.py")]}
    assert chosen(ROOT, ["track"]) == chosen(ROOT, ["mtmc/track"])
    with pytest.raises(ValueError, match="got mtmc/nowhere"):
        chosen(ROOT, ["mtmc/nowhere"])


def test_equivalents_need_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- {file: a.py, before: 'a = 1', after: 'a = 2'}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"entry 1: expected file, before, after and reason"):
        load_equivalents(path)

    (tmp_path / FILE).write_text("a = 1\n", encoding="utf-8")
    path.write_text("- {file: a.py, before: '  a = 1', after: 'a = 2', reason: unused}\n", encoding="utf-8")
    known = load_equivalents(path)
    reasons = {mutant.after: reason_for(mutant, known) for mutant in mutants_of(tmp_path, FILE)}
    assert reasons == {("a = 2",): "unused", ("a = None",): None}


def test_named_equivalents_are_mutants() -> None:
    """An entry whose line has changed since is to be looked at again."""
    known = load_equivalents(PATH)
    assert not unknown_files(known, ROOT)
    for file in sorted({file for file, _, _ in known}):
        named = [(before, after) for name, before, after in known if name == file]
        named_lines = {line for before, _ in named for line in before}
        text = (ROOT / file).read_text(encoding="utf-8").splitlines()
        lines = {number for number, line in enumerate(text, start=1) if line.strip() in named_lines}
        made = {(mutant.before, mutant.after) for mutant in mutants_of(ROOT, PurePosixPath(file), lines=lines)}
        stale = [change for change in named if change not in made]
        assert not stale, f"{PATH}: {file} no longer has these changes: {stale}"


def test_counts(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a = 1\n", encoding="utf-8")
    assert change_count(tmp_path, FILE) == 2
