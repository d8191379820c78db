"""Change the source in small ways and see whether a test notices.

``python -m tools.mutate --sample 800 --seed 0 --jobs 2 mtmc/track`` takes a seeded sample of the mutants of the
given targets, folders or files. Each runs in a copy of the repository, with the tests that reach the changed line,
until the first failure. Results are appended to ``OUT/results.jsonl``; a run that was stopped goes on.
``OUT/survivors.txt`` lists what no test noticed. Mutants that cannot be noticed are named, with the reason, in
``tools/mutate/equivalent.yaml``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tools.mutate.equivalent import load_equivalents, reason_for
from tools.mutate.mutants import Mutant, change_count, sample, shares
from tools.mutate.results import MISSED, Result, append, load, reusable, summary, survivors
from tools.mutate.runner import find_test_files, preload, record_test_files, run_mutants
from tools.mutate.targets import NUMERIC, TARGETS, TESTING, chosen
from tools.mutate.workspace import Workspace, clone, digest_of, make_workspace

ROOT = Path(__file__).resolve().parents[2]
#: Libraries count their threads when they are loaded; a run has one processor. Coverage's contexts need its tracer.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "COVERAGE_CORE": "ctrace",
}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description=__doc__)
    parser.add_argument("paths", metavar="PATH", nargs="*", help=f"{', '.join(TARGETS)}, folders or files of them")
    parser.add_argument("--sample", type=int, default=800, metavar="N", help="how many mutants, over all files (800)")
    parser.add_argument("--seed", type=int, default=0, help="names the sample (0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time (1)")
    parser.add_argument("--out", type=Path, default=Path("runs/mutation"), metavar="DIR", help="(runs/mutation)")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the repository (this one)")
    parser.add_argument(
        "--keep-killed",
        action="store_true",
        help="after code or tests have changed: run only mutants that were not noticed before",
    )
    return parser.parse_args(argv)


def _report(result: Result) -> None:
    """One line on the terminal; a survivor with its change."""
    print(f"{result.status:10} {result.path}:{result.line} {result.operator} {result.note}", flush=True)
    if result.status in MISSED:
        print(result.diff, flush=True)


def run_target(
    name: str,
    mutants: Sequence[Mutant],
    workspaces: Sequence[Workspace],
    out: Path,
    digest: str,
    *,
    keep_killed: bool,
) -> list[Result]:
    """Results of all mutants of a target; those that stand in the file already are not run again."""
    target = TARGETS[name]
    equivalents = load_equivalents()
    known = reusable(load(out / "results.jsonl"), digest, keep_killed=keep_killed)

    finished: list[Result] = []
    remaining: list[Mutant] = []
    for mutant in mutants:
        reason = reason_for(mutant, equivalents)
        if reason is not None:
            finished.append(Result.of(name, digest, mutant, "equivalent", reason))
        elif mutant.key in known:
            earlier = known[mutant.key]
            finished.append(Result.of(name, digest, mutant, earlier.status, earlier.note))
        else:
            remaining.append(mutant)
    print(f"{name}: {len(mutants)} mutants, {len(finished)} of them known", flush=True)
    if not remaining:
        return finished

    def report(mutant: Mutant, status: str, note: str) -> None:
        result = Result.of(name, digest, mutant, status, note)
        append(out / "results.jsonl", result)
        finished.append(result)
        _report(result)

    preload([*NUMERIC, *TESTING, *target.preload])
    first = workspaces[0]
    tests = find_test_files(first.copy, [test for test in target.tests if (first.copy / test).exists()])
    recorded = record_test_files(first, tests, target.sources, out / "recorded", quick=target.quick)
    test_files = list(recorded)
    print(f"{name}: {len(test_files)} test files, {sum(file.cpu_s for file in test_files):.0f} s", flush=True)
    run_mutants(workspaces, remaining, test_files, report, quick=target.quick)
    return finished


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 2 for arguments that make no sense, 1 where a test fails before anything is changed."""
    arguments = _arguments(argv)
    root = arguments.root.resolve()
    try:
        selection = chosen(root, arguments.paths)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("MTMC_SHARED", str(root.parent / "shared"))
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        first = make_workspace(root, Path(folder) / "0")
        digest = digest_of(first)
        others = [clone(first, _made(Path(folder) / str(job))) for job in range(1, arguments.jobs)]
        workspaces = [first, *others]

        parts = _parts(root, selection, arguments.sample)
        for name, files in selection.items():
            total = sum(parts[file] for file in files)
            mutants = sample(root, files, total, arguments.seed)
            try:
                results += run_target(name, mutants, workspaces, out, digest, keep_killed=arguments.keep_killed)
            except RuntimeError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            (out / "survivors.txt").write_text(survivors(results) + "\n", encoding="utf-8")

    print(f"\n{summary(results)}\n\nsurvivors: {out / 'survivors.txt'}")
    return 0


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _parts(root: Path, selection: dict[str, list[PurePosixPath]], total: int) -> dict[PurePosixPath, int]:
    """How many mutants each file gets, over all targets."""
    return shares({file: change_count(root, file) for files in selection.values() for file in files}, total)


if __name__ == "__main__":
    sys.exit(main())
