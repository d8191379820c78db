"""Curves of a training that may have gone through several runs: a table and a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.files import atomic_path

__all__ = ["draw_curves", "join_losses"]

_LOSSES = {"box": "train/box_loss", "class": "train/cls_loss", "dfl": "train/dfl_loss"}


def join_losses(runs: Sequence[Path]) -> list[dict[str, float]]:
    """Rows of epoch, minutes and mean losses, of runs one after the other.

    Args:
        runs: Folders with Ultralytics' ``results.csv``.

    Raises:
        FormatError: A table is missing or lacks a column.
    """
    rows: list[dict[str, float]] = []
    for run in runs:
        before = rows[-1] if rows else {"epoch": 0.0, "minutes": 0.0}
        try:
            with (run / "results.csv").open(encoding="utf-8", newline="") as file:
                rows += [
                    {
                        "epoch": before["epoch"] + float(row["epoch"]),
                        "minutes": before["minutes"] + float(row["time"]) / 60,
                        **{name: float(row[column]) for name, column in _LOSSES.items()},
                    }
                    for row in csv.DictReader(file)
                ]
        except (OSError, KeyError, ValueError) as cause:
            raise FormatError(
                f"expected a table with epoch, time, {', '.join(_LOSSES.values())}",
                path=run / "results.csv",
                remedy="give the folders that `python -m tools.detector train` wrote",
            ) from cause
    return rows


def draw_curves(runs: Sequence[Path], out: Path, ap50: Mapping[float, float] | None = None) -> Path:
    """Write ``curves.csv`` (losses) and ``curves.png`` (losses, and AP50 on validation frames where measured).

    Args:
        runs: Folders with Ultralytics' ``results.csv``, in order.
        out: Folder for both.
        ap50: AP50 by epoch.

    Returns:
        The picture's path.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = join_losses(runs)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "curves.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 4) for name, value in row.items()} for row in rows)
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name in _LOSSES:
        axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], marker=".", label=f"{name} loss")
    axes.set(xlabel="epoch", ylabel="mean training loss", ylim=(0, None))
    axes.grid(alpha=0.3)
    if ap50:
        right = axes.twinx()
        right.plot(list(ap50), list(ap50.values()), "k--", marker="o", label="AP50, validation")
        right.set(ylabel="AP50", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize="small")
    figure.savefig(out / "curves.png", dpi=110)
    plt.close(figure)
    return out / "curves.png"
