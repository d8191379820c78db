"""Curves of a training: its losses, and what checkpoints reached on validation frames."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.files import atomic_path

__all__ = ["draw_curves", "read_losses"]

_LOSSES = ("box", "object", "class")


def read_losses(run: Path) -> list[dict[str, float]]:
    """Rows of step, minutes and mean losses of a training.

    Args:
        run: Folder with ``losses.csv``.

    Raises:
        FormatError: The table is missing or lacks a column.
    """
    names = ("step", "minutes", *_LOSSES)
    try:
        with (run / "losses.csv").open(encoding="utf-8", newline="") as file:
            return [{name: float(row[name]) for name in names} for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as cause:
        raise FormatError(
            f"expected a table with {', '.join(names)}",
            path=run / "losses.csv",
            remedy="give the folder that `python -m tools.detector train` wrote",
        ) from cause


def draw_curves(run: Path, picture: Path, ap50: Mapping[float, float] | None = None) -> Path:
    """Draw the losses over the minutes, and AP50 on validation frames where it was measured.

    Args:
        run: Folder with ``losses.csv``.
        picture: The file.
        ap50: AP50 by minute.

    Returns:
        The picture's path.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_losses(run)
    minutes = [row["minutes"] for row in rows]
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name in _LOSSES:
        axes.plot(minutes, [row[name] for row in rows], label=f"{name} loss")
    axes.set(xlabel="minutes", ylabel="mean training loss", ylim=(0, None))
    axes.grid(alpha=0.3)
    if ap50:
        right = axes.twinx()
        right.plot(list(ap50), list(ap50.values()), "k--", marker="o", label="AP50, validation")
        right.set(ylabel="AP50", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize="small")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(picture) as path:
        figure.savefig(path, dpi=110, format="png")
    plt.close(figure)
    return picture
