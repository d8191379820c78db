"""The command on a repository of one function: what is noticed, what is not, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pytest

pytest.importorskip("mutmut", reason="needs the extra 'mutation'")

from tools.mutate.mutants import Mutant
from tools.mutate.results import Result, append, load, reusable, summary, survivors
from tools.mutate.runner import Forks, Outcome, TestFile, quick_plan_for, record_test_files
from tools.mutate.workspace import Workspace, make_workspace

ROOT = Path(__file__).resolve().parents[3]

SOURCE = """
def clipped(value):
    if value > 10:
        return 10
    return value


def unused():
    return 1
"""
TESTS = """
from mtmc.clean.clip import clipped

def test_clipped():
    assert clipped(11) == 10
    assert clipped(3) == 3
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    files = {
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\npythonpath = ['.']\n",
        "mtmc/__init__.py": "",
        "mtmc/clean/__init__.py": "",
        "mtmc/clean/clip.py": SOURCE,
        "tests/mtmc/clean/test_clip.py": TESTS,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def run(root: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    temporary = root.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tools.mutate", "clean", "--root", str(root), "--out", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not list(temporary.iterdir())
    return done


def everything(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_command(repository: Path, tmp_path: Path) -> None:
    before = everything(repository)
    out = tmp_path / "out"
    done = run(repository, out, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert everything(repository) == before

    statuses = {result.diff: result.status for result in load(out / "results.jsonl")}
    assert statuses == {
        "    - if value > 10:\n    + if value >= 10:": "survived",
        "    - if value > 10:\n    + if value > 11:": "killed",
        "    - return 10\n    + return 11": "killed",
        "    - return 1\n    + return 2": "unreached",
    }
    listed = (out / "survivors.txt").read_text(encoding="utf-8")
    assert "mtmc/clean/clip.py:3 in clipped (swap_op)\n    - if value > 10:\n    + if value >= 10:" in listed
    assert "mtmc/clean/clip.py:9 in unused (number, no test runs this line)" in listed
    assert "| clean | 4 | 2 | 0 | 0 | 1 | 1 | 50.0 % |" in done.stdout

    # Finished mutants are not run again …
    again = run(repository, out)
    assert "4 mutants, 4 of them known" in again.stdout
    assert len(load(out / "results.jsonl")) == 4
    assert "| clean | 4 | 2 | 0 | 0 | 1 | 1 | 50.0 % |" in again.stdout

    # … unless the tests have changed.
    test = repository / "tests/mtmc/clean/test_clip.py"
    test.write_text(TESTS + "    assert clipped(10.0) is not 10\n".replace("is not 10", "== 10"), encoding="utf-8")
    more = run(repository, out, "--keep-killed")
    assert "4 mutants, 2 of them known" in more.stdout


@pytest.mark.slow
def test_tests_that_fail_beforehand(repository: Path, tmp_path: Path) -> None:
    (repository / "tests/mtmc/clean/test_clip.py").write_text(TESTS + "    assert False\n", encoding="utf-8")
    done = run(repository, tmp_path / "out")
    assert done.returncode == 1
    assert "expected tests that pass before anything is changed, tests/mtmc/clean/test_clip.py" in done.stderr


@pytest.mark.parametrize("source", ["mtmc/clean", "mtmc/clean/clip.py"])
def test_lines_are_seen_in_folders_and_in_single_files(repository: Path, tmp_path: Path, source: str) -> None:
    """What was seen is kept, so that the second time no test is run."""
    place, test = make_workspace(repository, tmp_path / "0"), "tests/mtmc/clean/test_clip.py"
    for _ in range(2):
        (seen,) = record_test_files(place, [test], [source], tmp_path / "kept", quick=True)
        lines = seen.lines["mtmc/clean/clip.py"]
        assert lines["4"] == [f"{test}::test_clipped"]
        assert "9" not in lines
        assert len(list((tmp_path / "kept").iterdir())) == 1


def mutant_of(line: int) -> Mutant:
    return Mutant("k", PurePosixPath("a.py"), line, (line, line), "f", "number", ("1",), ("2",), "")


def test_a_quick_plan_has_the_tests_of_the_line_from_all_files() -> None:
    """Line 1 runs at import and once more in t::c, which takes all the time there is; line 2 in two files."""
    one = TestFile(
        "t.py", 30.0, {"t::a": 2.0, "t::b": 1.0, "t::c": 20.0}, {"a.py": {"1": ["", "t::c"], "2": ["t::a"]}}
    )
    other = TestFile("u.py", 3.0, {"u::a": 0.5}, {"a.py": {"2": ["u::a"]}})
    assert quick_plan_for(mutant_of(2), [one, other]).portions == (("u::a", "t::a"),)
    assert quick_plan_for(mutant_of(1), [one, other]).portions == (("t::c",),)
    assert quick_plan_for(mutant_of(3), [one, other]).test_files == ()
    many = TestFile("t.py", 9.0, {f"t::{i:02d}": 0.1 for i in range(20)}, {"a.py": {"1": [""]}})
    first, rest = quick_plan_for(mutant_of(1), [many]).portions
    assert [*first, *rest] == [f"t::{i:02d}" for i in range(20)]
    assert len(first) < len(rest)


def test_an_unknown_path(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.mutate", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "got nowhere" in done.stderr


def workspace(folder: Path) -> Workspace:
    (folder / "tree").mkdir(parents=True)
    (folder / "tmp").mkdir()
    (folder / "tree" / "a.py").write_text("a = 1\n", encoding="utf-8")
    return Workspace(copy=folder / "tree", temporary=folder / "tmp")


def test_a_run_that_does_not_end_is_stopped_and_the_file_restored(tmp_path: Path) -> None:
    place = workspace(tmp_path / "0")
    outcomes: list[Outcome] = []
    forks = Forks([place])

    def prepare(chosen: Workspace, stack: ExitStack) -> None:
        stack.enter_context(chosen.changed(Path("a.py"), "a = 2\n"))  # type: ignore[arg-type]

    forks.start(lambda chosen, answer: time.sleep(60), prepare, 0.2, outcomes.append)
    assert not forks.has_room()
    assert (place.copy / "a.py").read_text(encoding="utf-8") == "a = 2\n"
    forks.wait()
    assert outcomes == [Outcome(answer=None, timed_out=True)]
    assert (place.copy / "a.py").read_text(encoding="utf-8") == "a = 1\n"
    assert forks.has_room()


def test_an_answer_is_read(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    forks = Forks([workspace(tmp_path / "0")])
    for number in (1, 2):
        forks.start(
            lambda chosen, answer, number=number: answer.write_text(json.dumps({"code": number}), encoding="utf-8"),
            lambda chosen, stack: None,
            60,
            outcomes.append,
        )
        forks.wait()
    assert [outcome.answer for outcome in outcomes] == [{"code": 1}, {"code": 2}]


def result(key: str, status: str, digest: str = "d", target: str = "t") -> Result:
    return Result(target, digest, key, "a.py", 3, "f", "number", "    - 1\n    + 2", status, "")


def test_results_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert load(path) == []
    append(path, result("a", "killed"))
    append(path, result("b", "survived"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"target": "t", "dig')
    assert load(path) == [result("a", "killed"), result("b", "survived")]


def test_results_hold_for_one_state_of_the_code() -> None:
    results = [result("a", "killed", "old"), result("b", "survived", "old"), result("c", "survived", "new")]
    assert set(reusable(results, "new", keep_killed=False)) == {"c"}
    assert set(reusable(results, "new", keep_killed=True)) == {"a", "c"}


def test_the_summary_by_hand() -> None:
    statuses = ["killed", "killed", "timeout", "equivalent", "survived"]
    results = [result(str(i), status) for i, status in enumerate(statuses)] + [result("x", "unreached", target="u")]
    lines = summary(results).splitlines()
    assert lines[2] == "| t | 5 | 2 | 1 | 1 | 1 | 0 | 80.0 % |"
    assert lines[3] == "| u | 1 | 0 | 0 | 0 | 0 | 1 | 0.0 % |"
    assert lines[4] == "| all | 6 | 2 | 1 | 1 | 1 | 1 | 66.7 % |"
    assert survivors(results).count("a.py:3 in f") == 2
