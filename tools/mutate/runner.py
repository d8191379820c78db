"""Runs mutants: a process that has loaded NumPy, SciPy and pytest forks once for each, several at a time."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.mutate.mutants import Mutant
from tools.mutate.session import attempt, attempt_portions, output_of, record
from tools.mutate.workspace import Workspace, digest_of

#: Processor seconds of a run: the time of its tests unchanged, times this, plus some for the start.
TIME_FACTOR = 4
TIME_EXTRA_S = 15
#: Wall seconds for each processor second: other programs may have the processors.
WALL_FACTOR = 10
POLL_S = 0.02
#: Tests that are tried before all others, so that few test files have to be imported for most mutants.
FIRST_PORTION = 8
#: Processor seconds of tests, unchanged, that a quick plan spends on a mutant.
QUICK_S = 15
#: The longest that one test file may take unchanged.
RECORD_WALL_S = 3600
PYTEST_PASSED, PYTEST_FAILED, PYTEST_INTERRUPTED, PYTEST_NO_TESTS = 0, 1, 2, 5


@dataclass(frozen=True)
class TestFile:
    """A test file and what it runs.

    Attributes:
        path: relative to the repository.
        cpu_s: processor seconds of the whole file, unchanged.
        tests: processor seconds of each test.
        lines: for each source file the tests that run a line; an empty name stands for imports.
    """

    __test__ = False

    path: str
    cpu_s: float
    tests: Mapping[str, float]
    lines: Mapping[str, Mapping[str, Sequence[str]]]

    def reaching(self, mutant: Mutant) -> list[str]:
        """Names of the tests that run the statement that changes."""
        lines = self.lines.get(str(mutant.path), {})
        first, last = mutant.statement
        return sorted({name for line in range(first, last + 1) for name in lines.get(str(line), ())})


@dataclass(frozen=True)
class Plan:
    """The test files that can notice a mutant, the quickest first, and the order of the tests in them.

    With ``portions``, lists of tests, these alone are run, one portion after the other in its order.
    """

    test_files: tuple[str, ...]
    ranks: Mapping[str, int]
    cpu_s: float
    portions: tuple[tuple[str, ...], ...] = ()


def plan_for(mutant: Mutant, test_files: Sequence[TestFile]) -> Plan:
    """Files with a test that runs the statement.

    All tests of such a file are run, those that reach the statement first: what one of them computes may be kept for
    the next (a fixture of the module), so that only the first is seen to run it.
    """
    chosen = []
    for test_file in test_files:
        names = test_file.reaching(mutant)
        if names:
            seconds = min(
                (test_file.tests[name] for name in names if name in test_file.tests), default=test_file.cpu_s
            )
            chosen.append((seconds, test_file, names))
    chosen.sort(key=lambda entry: (entry[0], entry[1].path))

    ranks: dict[str, int] = {}
    for _, test_file, names in chosen:
        known = [name for name in names if name in test_file.tests]
        for name in sorted(known, key=lambda name: (test_file.tests[name], name)):
            ranks[name] = len(ranks)
    return Plan(
        test_files=tuple(test_file.path for _, test_file, _ in chosen),
        ranks=ranks,
        cpu_s=sum(test_file.cpu_s for _, test_file, _ in chosen),
    )


def quick_plan_for(mutant: Mutant, test_files: Sequence[TestFile]) -> Plan:
    """The tests that run the statement and no others, the quickest of all files first, within ``QUICK_S``.

    A statement that runs while modules are imported is one for every test of a file that imports it; tests that run
    it once more come first.
    """
    keys: dict[str, tuple[bool, float, str]] = {}
    chosen = []
    for test_file in test_files:
        names = test_file.reaching(mutant)
        if names:
            chosen.append(test_file.path)
            for name in test_file.tests if "" in names else names:
                keys[name] = (name not in names, test_file.tests[name], name)
    order: list[str] = []
    cpu_s = 0.0
    for name in sorted(keys, key=lambda name: keys[name]):
        seconds = keys[name][1]
        if not order or cpu_s + seconds <= QUICK_S:
            order.append(name)
            cpu_s += seconds
    portions = tuple(order[:FIRST_PORTION]), tuple(order[FIRST_PORTION:])
    return Plan(test_files=tuple(chosen), ranks={}, cpu_s=cpu_s, portions=tuple(filter(None, portions)))


@dataclass
class _Child:
    """A forked run and what has to be put back when it ends."""

    pid: int
    deadline: float
    answer: Path
    cleanup: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True)
class Outcome:
    """How a forked run ended: what it wrote (None if it was stopped), and whether time ran out."""

    answer: Mapping[str, Any] | None
    timed_out: bool


class Forks:
    """Forked runs, at most one for each workspace."""

    def __init__(self, workspaces: Sequence[Workspace]) -> None:
        self._free = list(workspaces)
        self._children: dict[int, tuple[_Child, Workspace, Callable[[Outcome], None]]] = {}

    def has_room(self) -> bool:
        """Whether another run can start."""
        return bool(self._free)

    def are_running(self) -> bool:
        """Whether a run is under way."""
        return bool(self._children)

    def start(
        self,
        work: Callable[[Workspace, Path], None],
        prepare: Callable[[Workspace, ExitStack], None],
        wall_s: float,
        done: Callable[[Outcome], None],
    ) -> None:
        """Fork a run.

        Args:
            work: what the child does; it writes its answer into the given file.
            prepare: what is changed in the workspace beforehand, undone by the stack.
            wall_s: seconds after which the child is stopped.
            done: given the outcome when the child has ended.
        """
        workspace = self._free.pop()
        answer = workspace.temporary.parent / "answer.json"
        answer.unlink(missing_ok=True)
        cleanup = ExitStack()
        prepare(workspace, cleanup)

        pid = os.fork()
        if pid == 0:
            try:
                work(workspace, answer)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
        child = _Child(pid, time.monotonic() + wall_s, answer, cleanup)
        self._children[pid] = (child, workspace, done)

    def wait(self) -> None:
        """Return after at least one run has ended; at once where none is under way."""
        while self._children:
            ended = [pid for pid in self._children if self._has_ended(pid)]
            for pid in ended:
                self._finish(pid, timed_out=False)
            if ended:
                return
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End all runs and put everything back."""
        for pid in list(self._children):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
            self._finish(pid, timed_out=True)

    def _has_ended(self, pid: int) -> bool:
        child, _, _ = self._children[pid]
        if time.monotonic() > child.deadline:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended, _ = os.waitpid(pid, os.WNOHANG)
        return ended == pid

    def _finish(self, pid: int, *, timed_out: bool) -> None:
        child, workspace, done = self._children.pop(pid)
        # Whatever the tests started belongs to the child's process group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        child.cleanup.close()
        self._free.append(workspace)

        answer = None
        with suppress(OSError, ValueError):
            answer = json.loads(child.answer.read_text(encoding="utf-8"))
        if not timed_out:
            done(Outcome(answer=answer, timed_out=answer is None))


def preload(names: Sequence[str]) -> None:
    """Import packages before the first fork; those that are not installed are left out."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)
    # What is loaded now stays: no collection of garbage has to look at it after a fork.
    gc.freeze()


def find_test_files(root: Path, tests: Sequence[str]) -> list[str]:
    """Test modules below the given folders, and source modules that hold doctests."""
    found: set[str] = set()
    for test in tests:
        path = root / test
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            has_tests = file.name.startswith("test_") or ">>> " in file.read_text(encoding="utf-8")
            if has_tests:
                found.add(file.relative_to(root).as_posix())
    return sorted(found)


def record_test_files(
    workspace: Workspace, test_files: Sequence[str], sources: Sequence[str], kept: Path, *, quick: bool
) -> Iterator[TestFile]:
    """Run each test file unchanged in a process of its own and see which lines it runs.

    Args:
        workspace: where to run them.
        test_files: relative to the repository.
        sources: files and folders whose lines count.
        kept: folder for what was seen, so that it need not be run again while source and test file are the same.
        quick: leave out tests that are marked slow.

    Raises:
        RuntimeError: a test fails without any mutant.
    """
    forks = Forks([workspace])
    options = ("-m", "not slow") if quick else ()
    shared = digest_of(workspace, tests=False)
    kept.mkdir(parents=True, exist_ok=True)
    try:
        for test_file in test_files:
            facts = [shared, sources, options, (workspace.copy / test_file).read_text(encoding="utf-8"), test_file]
            path = kept / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
            if not path.exists():
                _record(forks, workspace, test_file, sources, options, path)
            answer = json.loads(path.read_text(encoding="utf-8"))
            if answer["code"] != PYTEST_NO_TESTS:
                yield TestFile(path=test_file, cpu_s=answer["cpu_s"], tests=answer["tests"], lines=answer["lines"])
    finally:
        forks.stop()


def _record(
    forks: Forks, workspace: Workspace, test_file: str, sources: Sequence[str], options: Sequence[str], path: Path
) -> None:
    """Run one test file unchanged and keep what was seen at ``path``.

    Raises:
        RuntimeError: a test fails.
    """
    answer = _recorded(forks, test_file, sources, options).answer
    if answer is None or answer["code"] not in {PYTEST_PASSED, PYTEST_NO_TESTS}:
        printed = output_of(workspace.copy).read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"expected tests that pass before anything is changed, {test_file}: {printed}")
    path.write_text(json.dumps(answer), encoding="utf-8")


def _recorded(forks: Forks, test_file: str, sources: Sequence[str], options: Sequence[str]) -> Outcome:
    """Outcome of one test file, unchanged."""

    def work(workspace: Workspace, answer: Path) -> None:
        record(workspace.copy, test_file, sources, workspace.temporary, answer, options)

    outcomes: list[Outcome] = []
    forks.start(work, lambda workspace, stack: None, RECORD_WALL_S, outcomes.append)
    forks.wait()
    return outcomes[0]


def run_mutants(
    workspaces: Sequence[Workspace],
    mutants: Sequence[Mutant],
    test_files: Sequence[TestFile],
    report: Callable[[Mutant, str, str], None],
    *,
    quick: bool,
) -> None:
    """Run the tests of each mutant; ``report`` gets the mutant, its status, and the test that noticed it.

    Mutants come in an order that does not depend on their place, so that a run that was stopped has a fair part.
    A status is ``killed``, ``timeout`` (counts as noticed), ``survived`` or ``unreached`` (no test runs the line).
    """
    forks = Forks(workspaces)
    try:
        for mutant in sorted(mutants, key=lambda mutant: mutant.key):
            plan = (quick_plan_for if quick else plan_for)(mutant, test_files)
            if not plan.test_files:
                report(mutant, "unreached", "")
                continue
            if not forks.has_room():
                forks.wait()
            _start(forks, mutant, plan, report)
        while forks.are_running():
            forks.wait()
    finally:
        forks.stop()


def _start(forks: Forks, mutant: Mutant, plan: Plan, report: Callable[[Mutant, str, str], None]) -> None:
    """Fork the run of one mutant."""
    cpu_s = TIME_FACTOR * plan.cpu_s + TIME_EXTRA_S

    def work(workspace: Workspace, answer: Path) -> None:
        if plan.portions:
            attempt_portions(workspace.copy, plan.portions, workspace.temporary, cpu_s, answer)
        else:
            attempt(workspace.copy, plan.test_files, plan.ranks, workspace.temporary, cpu_s, answer)

    def prepare(workspace: Workspace, stack: ExitStack) -> None:
        stack.enter_context(workspace.changed(mutant.path, mutant.text))

    def done(outcome: Outcome) -> None:
        report(mutant, *_verdict(mutant, outcome))

    forks.start(work, prepare, WALL_FACTOR * cpu_s, done)


def _verdict(mutant: Mutant, outcome: Outcome) -> tuple[str, str]:
    """Status and the test that noticed it.

    Raises:
        RuntimeError: pytest could not be run at all.
    """
    if outcome.answer is None:
        return "timeout", ""
    code, failed = outcome.answer["code"], str(outcome.answer["failed"])
    if code == PYTEST_PASSED:
        return "survived", ""
    if code in {PYTEST_FAILED, PYTEST_INTERRUPTED}:
        return "killed", failed
    raise RuntimeError(f"expected pytest to run the tests of {mutant.path}:{mutant.line}, it gave exit code {code}")
