"""Curves of retrieval: how often a right answer is among the first, and which pairs a threshold accepts.

Pictures are uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.analysis.visualization import save_picture
from reid.evaluation.retrieval import RetrievalScores
from reid.evaluation.verification import Verification

__all__ = ["Axis", "cmc_plot", "line_plot", "roc_plot", "write_plots"]

Image = NDArray[Any]

_SIZE_PX = 800, 600
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 30, 70  # margins, px
_COLORS = (31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (90, 90, 90)
_BLACK, _GRID = (0, 0, 0), (222, 222, 222)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEGEND_ROW_PX = 24


class Axis(NamedTuple):
    """What an axis shows.

    Attributes:
        title: Beside it.
        ticks: Values with a line and a number each; the first and the last are its ends.
        log: Equal factors take equal lengths.
    """

    title: str
    ticks: tuple[float, ...]
    log: bool = False

    def share(self, values: NDArray[Any]) -> NDArray[Any]:
        """Where values lie between both ends, 0…1; those outside lie at an end."""
        first, last = self.ticks[0], self.ticks[-1]
        clipped = np.clip(np.asarray(values, np.float64), first, last)
        if self.log:
            return np.asarray(np.log(clipped / first) / np.log(last / first))
        return np.asarray((clipped - first) / (last - first))


def write_plots(folder: Path, scores: Sequence[RetrievalScores], pairs: Verification) -> None:
    """Write ``cmc.png`` and ``roc.png``.

    Raises:
        ConfigError: The files cannot be written.
    """
    save_picture(folder / "cmc.png", cmc_plot(scores))
    save_picture(folder / "roc.png", roc_plot(pairs))


def cmc_plot(scores: Sequence[RetrievalScores]) -> Image:
    """The CMC curve of each evaluation, rank 1 to 50."""
    lowest = min(each.r1 for each in scores)
    floor = min(0.8, np.floor(10 * lowest) / 10)
    shares = np.linspace(floor, 1, round(10 * (1 - floor)) + 1)
    curves = {
        f"{each.protocol}: R1 {100 * each.r1:.1f} %, mAP {100 * each.map:.1f} %": (
            np.arange(1, len(each.cmc) + 1),
            np.array(each.cmc),
        )
        for each in scores
    }
    x = Axis("rank", (1, 5, 10, 20, 30, 40, 50))
    return line_plot(curves, x, Axis("queries with a right answer so far", tuple(shares.round(1).tolist())))


def roc_plot(pairs: Verification) -> Image:
    """Accepted pairs of one vehicle over accepted pairs of two, the latter on a logarithmic axis."""
    far = np.maximum(pairs.false, 0.5) / pairs.different  # no false one has no place on the axis
    lowest = max(-8, int(np.floor(np.log10(1 / pairs.different))))
    decades = tuple(10.0**k for k in range(min(lowest, -1), 1))
    name = f"{pairs.same} pairs of one vehicle, {pairs.different} of two"
    x = Axis("false accept rate", decades, log=True)
    y = Axis("true accept rate", tuple(np.linspace(0, 1, 11).round(1).tolist()))
    # Between two thresholds of the curve only false pairs are added.
    return line_plot({name: (np.repeat(far, 2)[1:], np.repeat(pairs.true / pairs.same, 2)[:-1])}, x, y)


def line_plot(curves: dict[str, tuple[NDArray[Any], NDArray[Any]]], x: Axis, y: Axis) -> Image:
    """Curves over a grid, with a legend at the lower right.

    Args:
        curves: By name, the coordinates (N,) and (N,) of each.
        x: The horizontal axis.
        y: The vertical one.
    """
    picture = _empty_plot(x, y)
    for k, (xs, ys) in enumerate(curves.values()):
        places = np.round(_places(x, y, xs, ys)).astype(np.int32)
        cv2.polylines(picture, [places], False, _COLORS[k % len(_COLORS)], 2, cv2.LINE_AA)
    _add_legend(picture, list(curves))
    return picture


def _places(x: Axis, y: Axis, xs: NDArray[Any], ys: NDArray[Any]) -> NDArray[Any]:
    """Pixels (N, 2) of points."""
    width, height = _SIZE_PX
    across = _LEFT + x.share(xs) * (width - _LEFT - _RIGHT)
    down = height - _BOTTOM - y.share(ys) * (height - _TOP - _BOTTOM)
    return np.stack([across, down], axis=1)


def _empty_plot(x: Axis, y: Axis) -> Image:
    width, height = _SIZE_PX
    picture = np.full((height, width, 3), 255, np.uint8)
    for value, (place, _) in zip(x.ticks, _places(x, y, np.array(x.ticks), np.zeros(len(x.ticks))), strict=True):
        column = round(place)
        cv2.line(picture, (column, _TOP), (column, height - _BOTTOM), _GRID, 1)
        _centered(picture, f"{value:g}", (column, height - _BOTTOM + 22))
    for value, (_, place) in zip(y.ticks, _places(x, y, np.zeros(len(y.ticks)), np.array(y.ticks)), strict=True):
        row = round(place)
        cv2.line(picture, (_LEFT, row), (width - _RIGHT, row), _GRID, 1)
        _centered(picture, f"{value:g}", (_LEFT - 22, row + 5))
    cv2.rectangle(picture, (_LEFT, _TOP), (width - _RIGHT, height - _BOTTOM), _BLACK, 1)
    _centered(picture, x.title, ((_LEFT + width - _RIGHT) // 2, height - 20), 0.55)
    aside = np.full((28, height, 3), 255, np.uint8)
    _centered(aside, y.title, ((_BOTTOM + height - _TOP) // 2, 18), 0.55)
    picture[:, :28] = np.rot90(aside)
    return picture


def _add_legend(picture: Image, names: Sequence[str]) -> None:
    width, height = _SIZE_PX
    longest = max(cv2.getTextSize(_ascii(name), _FONT, 0.5, 1)[0][0] for name in names)
    left, top = width - _RIGHT - longest - 56, height - _BOTTOM - 12 - _LEGEND_ROW_PX * len(names)
    corner = width - _RIGHT - 8, height - _BOTTOM - 8
    cv2.rectangle(picture, (left, top), corner, (255, 255, 255), cv2.FILLED)
    cv2.rectangle(picture, (left, top), corner, _GRID, 1)
    for k, name in enumerate(names):
        row = top + _LEGEND_ROW_PX * k + 16
        cv2.line(picture, (left + 8, row - 4), (left + 32, row - 4), _COLORS[k % len(_COLORS)], 2, cv2.LINE_AA)
        cv2.putText(picture, _ascii(name), (left + 40, row), _FONT, 0.5, _BLACK, 1, cv2.LINE_AA)


def _centered(picture: Image, text: str, place: tuple[int, int], size: float = 0.45) -> None:
    width = cv2.getTextSize(text, _FONT, size, 1)[0][0]
    cv2.putText(picture, text, (place[0] - width // 2, place[1]), _FONT, size, _BLACK, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """OpenCV's letters are those of ASCII."""
    return text.replace("α", "alpha")
