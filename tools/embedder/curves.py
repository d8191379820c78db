"""Curves of a training that may have gone through several stages: a table and a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.files import atomic_path

__all__ = ["draw_curves", "join_logs"]

_COLUMNS = ("learning_rate", "loss", "identity", "spread")
_PAIR_LOSSES = ("triplet", "circle")  # a training has one of them


def join_logs(runs: Sequence[Path]) -> list[dict[str, float]]:
    """Rows of stage, epoch (from 1, going on), minutes and what the log holds, of trainings one after the other.

    Args:
        runs: Folders with ``log.jsonl``.

    Raises:
        FormatError: A log is missing or lacks something.
    """
    rows: list[dict[str, float]] = []
    for stage, run in enumerate(runs, start=1):
        try:
            for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                minutes = (rows[-1]["minutes"] if rows else 0.0) + entry["seconds"] / 60
                pairs = next((name for name in _PAIR_LOSSES if name in entry), _PAIR_LOSSES[0])
                values = {name: float(entry[name]) for name in (*_COLUMNS, pairs)}
                rows.append({"stage": stage, "epoch": len(rows) + 1, "minutes": minutes, **values})
        except (OSError, KeyError, ValueError) as cause:
            raise FormatError(
                f"expected lines of JSON with seconds, {', '.join(_COLUMNS)} and {' or '.join(_PAIR_LOSSES)}",
                path=run / "log.jsonl",
                remedy="give the folders that `reid train` wrote",
            ) from cause
    return rows


def draw_curves(runs: Sequence[Path], out: Path) -> Path:
    """Write ``curves.csv`` and ``curves.png``; returns the picture's path."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = join_logs(runs)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "curves.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 5) for name, value in row.items()} for row in rows)
    figure, (upper, lower) = plt.subplots(2, figsize=(6.4, 4.6), sharex=True, layout="constrained")
    for stage in sorted({row["stage"] for row in rows}):
        part = [row for row in rows if row["stage"] == stage]
        epochs = [row["epoch"] for row in part]
        upper.plot(epochs, [row["identity"] for row in part], "C0.-", label="identity" if stage == 1 else None)
        for color, name in enumerate(_PAIR_LOSSES, start=1):
            if name in part[0]:
                values = [row[name] for row in part]
                known = name in lower.get_legend_handles_labels()[1]
                lower.plot(epochs, values, f"C{color}.-", label=None if known else name)
        if stage > 1:
            for axes in (upper, lower):
                axes.axvline(epochs[0] - 0.5, color="0.7", linestyle="--", linewidth=1)
    for axes in (upper, lower):
        axes.set(ylabel="mean loss", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    lower.set_xlabel("epoch; the dashed line is where the second stage begins" if len(runs) > 1 else "epoch")
    figure.savefig(out / "curves.png", dpi=110)
    plt.close(figure)
    return out / "curves.png"
