"""The methods of ``reid`` side by side on the synthetic city's crops: what each part of each paper brings.

    python -m tools.bench.reid_methods                         # hours; finished cells are kept and reused
    python -m tools.bench.reid_methods --only val --minutes 30
    python -m tools.bench.reid_methods --table                 # no training, the table of what is there
    python -m tools.bench.reid_methods --bench imagenet        # days: from ImageNet weights, five seeds

A cell is one variant of a method with one seed. It is trained by ``configs/reid/<method>_synthcity.yaml``, changed as
``tools/bench/reid_methods.yaml`` says, and becomes one JSON file; an interrupted one goes on from its checkpoint. The
crops are rendered where they are missing. The test part has other vehicles and other cameras than the training part
and is used whole, lookalikes included. The last epoch counts, whatever its score.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from mtmc.files import atomic_path
from reid.settings import read_yaml
from tools import markdown

__all__ = ["Cell", "cells_in_order", "load_cell", "report", "run", "table", "training"]

_CONFIGS = Path(__file__).parents[2] / "configs" / "reid"
_GUESS_MIN = 8.0
_BENCHES = {"small": "reid_methods.yaml", "imagenet": "reid_methods_imagenet.yaml"}

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One training to make.

    Attributes:
        variant: Its name in the table.
        method: Key of :data:`reid.methods.METHODS`.
        seed: Of everything random.
        content: The whole training as nested mappings, but for root and output.
        untrained: Measure the network as it starts.
        stages_of: The cell whose earlier stages, such as generated images, this one uses where they are there.
        adapts: The cell whose trained network this one starts from; it learns from the adaptation part, which holds
            other vehicles by the cameras of the test part.
    """

    variant: str
    method: str
    seed: int
    content: dict[str, Any]
    untrained: bool = False
    stages_of: Cell | None = None
    adapts: Cell | None = None

    @property
    def name(self) -> str:
        """For files."""
        words = "".join(c if c.isalnum() or c == "-" else " " for c in self.variant).split()
        return f"{'_'.join(words)}_s{self.seed}"

    def key(self, data: Mapping[str, Any]) -> str:
        """Tells this training from one with other choices or other data."""
        facts = [self.content, self.untrained, self.seed, dict(data)]
        if self.adapts is not None:
            facts.append(self.adapts.key(data))
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def training(method: str, choices: Mapping[str, Any], bench: Mapping[str, Any]) -> dict[str, Any]:
    """The training of a variant: the method's own file, then what all share, the method's part, the variant's."""
    content = read_yaml(_CONFIGS / f"{method}_synthcity.yaml").data
    # Milestones belong to another decay.
    content["schedule"] = {k: v for k, v in content.get("schedule", {}).items() if k != "milestones"}
    for change in (bench["shared"], bench["methods"].get(method) or {}, choices):
        content = _merged(content, change)
    return {k: v for k, v in content.items() if k not in ("data", "output", "seed")}


def cells_in_order(bench: Mapping[str, Any], seeds: int, only: str = "") -> list[Cell]:
    """All cells, the first seed of every variant before the second of any.

    Args:
        bench: What ``tools/bench/reid_methods.yaml`` holds.
        seeds: How many.
        only: Keep the variants whose name begins so.
    """
    cells = []
    for seed in range(seeds):
        of_seed: dict[str, Cell] = {}
        for entry in bench["variants"]:
            cell = Cell(
                entry["name"],
                entry["method"],
                seed,
                training(entry["method"], {k: entry[k] for k in ("options", "schedule") if k in entry}, bench),
                bool(entry.get("untrained")),
                *(of_seed[entry[role]] if role in entry else None for role in ("stages_of", "adapts")),
            )
            of_seed[cell.variant] = cell
        cells += [cell for cell in of_seed.values() if cell.variant.startswith(only)]
    return cells


def load_cell(cell: Cell, folder: Path, key: str | None = None) -> Result | None:
    """What was found earlier; None where there is nothing, or ``key`` says that it was another training."""
    path = folder / f"{cell.name}.json"
    if not path.is_file():
        return None
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    return found if key is None or found["key"] == key else None


def run(
    cells: Sequence[Cell],
    folder: Path,
    measure: Callable[[Cell], Result],
    key: Callable[[Cell], str],
    *,
    limit_min: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Cell]:
    """Make the missing cells one after the other.

    Args:
        cells: In order.
        folder: Of the cells' files.
        measure: Trains and measures; what it returns is kept together with the cell's names and key.
        key: Of a cell's choices and data.
        limit_min: Stop before a cell that would probably end later than this many minutes from now.
        clock: Seconds.

    Returns:
        The cells that were made now.
    """
    begin, made = clock(), []
    for cell in cells:
        if load_cell(cell, folder, key(cell)) is not None:
            continue
        spent = (clock() - begin) / 60
        if limit_min is not None and spent + _expected_min(cell, cells, folder) > limit_min:
            print(f"stopped before {cell.name}: it would pass {limit_min:g} minutes", flush=True)
            break
        print(f"{cell.name} …", flush=True)
        found = {
            "variant": cell.variant,
            "method": cell.method,
            "seed": cell.seed,
            "key": key(cell),
            **measure(cell),
        }
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / f"{cell.name}.json") as path:
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"  mAP {100 * found['map']:.1f}, rank-1 {100 * found['rank1']:.1f}", flush=True)
        made.append(cell)
    return made


def _expected_min(cell: Cell, cells: Sequence[Cell], folder: Path) -> float:
    """Minutes that a cell will take: as other seeds of it did, or as the longest of all."""
    if cell.untrained:
        return 0.5
    done = [(c, float(found["minutes"])) for c in cells if (found := load_cell(c, folder)) and not c.untrained]
    same = [minutes for c, minutes in done if c.variant == cell.variant]
    return max(same or [minutes for _, minutes in done] or [_GUESS_MIN])


def table(results: Sequence[Result], order: Sequence[str]) -> str:
    """Mean over seeds with its 95 % interval, in percent, and CPU minutes of training, as a Markdown table.

    Minutes are those of the cells that were trained in one go.
    """
    lines = []
    for variant in order:
        rows = [r for r in results if r["variant"] == variant]
        if not rows:
            lines.append([variant, "not yet", "", "", "0"])
            continue
        whole = [r["minutes"] for r in rows if not r["resumed"]]
        minutes = f"{statistics.mean(whole):.1f}" if whole else ""
        shares = (_with_interval([100 * r[name] for r in rows]) for name in ("map", "rank1"))
        lines.append([variant, *shares, minutes, str(len(rows))])
    return markdown.table(["variant", "mAP %", "rank-1 %", "CPU minutes", "seeds"], lines)


def claims(results: Sequence[Result], pairs: Sequence[Sequence[str]]) -> str:
    """For each claim the difference in mAP over the seeds that both have, as a Markdown table.

    The interval and p are those of Student's paired t test; p is two-sided.
    """
    lines = []
    for better, worse in pairs:
        by_seed = [{r["seed"]: 100 * r["map"] for r in results if r["variant"] == v} for v in (better, worse)]
        shared = sorted(by_seed[0].keys() & by_seed[1].keys())
        gains = [by_seed[0][s] - by_seed[1][s] for s in shared]
        shown = _with_interval(gains, "+") if gains else "not yet"
        lines.append([f"{better} over {worse}", shown, _paired_p(gains), str(len(gains))])
    return markdown.table(["claim", "difference in mAP, points", "p", "seeds"], lines)


def report(path: Path, text: str, name: str = "bench-reid") -> None:
    """Put ``text`` between the marks of this name in a Markdown file, or at its end where it has none."""
    old = path.read_text(encoding="utf-8") if path.is_file() else "# Methods side by side\n"
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = old.partition(first)
    tail = rest.partition(last)[2].strip() if found else ""
    parts = [head.rstrip(), f"{first}\n{text}\n{last}", *([tail] if tail else [])]
    whole = "\n\n".join(parts) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(whole, encoding="utf-8")


def main() -> None:
    """Train what is missing, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", choices=sorted(_BENCHES), default="small", help="which plan")
    parser.add_argument("--work", type=Path, help="folder for crops and networks [runs/bench_reid…]")
    parser.add_argument("--cells", type=Path, help="folder of finished cells [docs/reid/cells…]")
    parser.add_argument("--report", type=Path, default=Path("docs/reid.md"), help="Markdown file to update")
    parser.add_argument("--seeds", type=int, help="trainings per variant")
    parser.add_argument("--only", default="", help="variants whose name begins so")
    parser.add_argument("--minutes", type=float, help="start no cell that would end later than this")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    bench = read_yaml(Path(__file__).with_name(_BENCHES[options.bench])).data
    suffix = "" if options.bench == "small" else f"_{options.bench}"
    options.work = options.work or Path(f"runs/bench_reid{suffix}")
    options.cells = options.cells or Path(f"docs/reid/cells{suffix}")
    options.seeds = options.seeds or bench["seeds"]
    if not options.table:
        from tools.bench.reid_cell import measure_on

        run(
            cells_in_order(bench, options.seeds, options.only),
            options.cells,
            measure_on(options.work, bench["data"], options.threads),
            lambda cell: cell.key(bench["data"]),
            limit_min=options.minutes,
        )
    every = cells_in_order(bench, options.seeds)
    results = [found for c in every if (found := load_cell(c, options.cells, c.key(bench["data"]))) is not None]
    order = list(dict.fromkeys(cell.variant for cell in every))
    text = f"{table(results, order)}\n\n{claims(results, bench['claims'])}"
    print(text)
    report(options.report, text, "bench-reid" + suffix.replace("_", "-"))


def _with_interval(values: Sequence[float], sign: str = "") -> str:
    """The mean and the half width of its 95 % interval by Student's t."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:{sign}.1f}"
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:{sign}.1f} ± {stats.t.ppf(0.975, len(values) - 1) * error:.1f}"


def _paired_p(gains: Sequence[float]) -> str:
    """How probable gains at least as large are where there is none; "" for fewer than two or for equal ones."""
    if len(gains) < 2 or statistics.stdev(gains) == 0:
        return ""
    p = stats.ttest_1samp(gains, 0.0).pvalue
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second over the first."""
    out = dict(first)
    for key, value in second.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


if __name__ == "__main__":
    main()
