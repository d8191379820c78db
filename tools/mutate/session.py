"""One pytest run inside a forked process: what it is given, and what it leaves."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Packages of the repository: a forked run must load them from its own copy.
OWN_PACKAGES = ("mtmc", "reid", "tests", "tools")
#: Bytes of private memory that a run may use, so that a mutant cannot take all of the machine's.
MEMORY_LIMIT = 6 << 30
#: Exit code of pytest.
NO_TESTS = 5


class TestOrder:
    """pytest plugin: the tests that reach the changed line first; the name of the first that fails.

    Args:
        ranks: place of a test among those that reach the line.
        only: leave all other tests out, and sort over all files.
    """

    __test__ = False

    def __init__(self, ranks: Mapping[str, int], *, only: bool = False) -> None:
        self._ranks, self._only = ranks, only
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Files keep the order of the command line; within one, tests are sorted by their rank."""
        if self._only:
            items[:] = sorted((item for item in items if item.nodeid in self._ranks), key=self._rank)
            return
        files: dict[str, int] = {}
        for item in items:
            files.setdefault(str(item.path), len(files))
        items.sort(key=lambda item: (files[str(item.path)], self._rank(item)))

    def _rank(self, item: Any) -> int:
        return self._ranks.get(item.nodeid, len(self._ranks))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember the first failure."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        """A module that cannot be imported is a failure as well."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


class LineRecorder:
    """pytest plugin: which test runs which line, by switching coverage's context."""

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self._start = 0.0
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Lines from here on belong to this test."""
        self._coverage.switch_context(nodeid)
        self._start = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Processor seconds of setup, call and teardown."""
        self.seconds[nodeid] = time.process_time() - self._start


def output_of(copy: Path) -> Path:
    """File with what pytest printed in the last run on a copy."""
    return copy.parent / "output.txt"


def _enter(copy: Path, cpu_seconds: float) -> None:
    """Make this process a group of its own that works on a copy of the repository, within limits."""
    os.setpgid(0, 0)
    os.chdir(copy)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(output_of(copy), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)

    for name in [name for name in sys.modules if name.split(".")[0] in OWN_PACKAGES]:
        del sys.modules[name]
    original = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [str(copy), *(entry for entry in sys.path if entry not in {"", *original})]
    os.environ["PYTHONPATH"] = str(copy)

    limit = int(cpu_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _pytest(arguments: Sequence[str], temporary: Path, plugins: Sequence[object]) -> int:
    """Run pytest; hypothesis draws the same examples each time and does not look for smaller ones."""
    import pytest
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutate", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutate")
    # Plugins that happen to be installed take longer to load than most tests to run.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={temporary / 'pytest'}"]
    return int(pytest.main([*options, *arguments], plugins=list(plugins)))


def _check_origin(copy: Path) -> None:
    """The packages must have come from the copy; a mutant that is not loaded would survive."""
    for name in ("mtmc", "reid"):
        module = sys.modules.get(name)
        origin = getattr(module, "__file__", None)
        if origin is not None and not Path(origin).is_relative_to(copy):
            raise RuntimeError(f"expected {name} from {copy}, it was loaded from {origin}")


def record(
    copy: Path, test_file: str, sources: Sequence[str], temporary: Path, answer: Path, options: Sequence[str] = ()
) -> None:
    """Run one test file unchanged, with further options of pytest, and write the lines that it runs.

    The answer (JSON) holds ``code``, ``cpu_s``, ``tests`` (seconds by name) and ``lines`` (names of the tests by file
    and line; an empty name stands for imports).
    """
    _enter(copy, 3600)
    import coverage

    # Files by pattern: as a source coverage knows folders and packages only.
    patterns = [str(copy / path if path.endswith(".py") else copy / path / "*") for path in sources]
    recorder = coverage.Coverage(data_file=None, config_file=False, include=patterns)
    plugin = LineRecorder(recorder)
    recorder.start()
    code = _pytest([*options, test_file], temporary, [plugin])
    recorder.stop()
    _check_origin(copy)

    data = recorder.get_data()
    lines = {Path(path).relative_to(copy).as_posix(): data.contexts_by_lineno(path) for path in data.measured_files()}
    answer.write_text(
        json.dumps({"code": code, "cpu_s": time.process_time(), "tests": plugin.seconds, "lines": lines}),
        encoding="utf-8",
    )


def attempt(
    copy: Path, test_files: Sequence[str], ranks: Mapping[str, int], temporary: Path, cpu_seconds: float, answer: Path
) -> None:
    """Run test files until the first failure. The answer (JSON) holds ``code`` and ``failed``."""
    _enter(copy, cpu_seconds)
    _leave_no_bytecode()
    order = TestOrder(ranks)
    code = _pytest(["-x", *test_files], temporary, [order])
    _check_origin(copy)
    answer.write_text(json.dumps({"code": code, "failed": order.failed}), encoding="utf-8")


def attempt_portions(
    copy: Path, portions: Sequence[Sequence[str]], temporary: Path, cpu_seconds: float, answer: Path
) -> None:
    """Run lists of tests, one after the other, until the first failure; the answer is that of :func:`attempt`."""
    _enter(copy, cpu_seconds)
    _leave_no_bytecode()
    code, failed = 0, ""
    for portion in portions:
        order = TestOrder({name: rank for rank, name in enumerate(portion)}, only=True)
        test_files = dict.fromkeys(name.partition("::")[0] for name in portion)
        code, failed = _pytest(["-x", *test_files], temporary, [order]), order.failed
        if code == NO_TESTS:  # their names come from what was changed
            code = 0
        if code:
            break
    _check_origin(copy)
    answer.write_text(json.dumps({"code": code, "failed": failed}), encoding="utf-8")


def _leave_no_bytecode() -> None:
    """What is compiled from a changed file must not be found by the next run."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
