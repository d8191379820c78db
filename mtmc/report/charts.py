"""Bars over time, and ranges with their median."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from markupsafe import Markup

from mtmc.render.style import clock_text
from mtmc.report.elements import color_of, rectangle, svg, text

__all__ = ["Range", "bars_svg", "ranges_svg"]

_WIDTH, _NAMES, _RIGHT = 1080.0, 300.0, 110.0
_BAR_ROW, _BAR_HEIGHT = 64.0, 44.0
_ROW, _TOP = 24.0, 26.0
_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Range:
    """A row of a chart of ranges.

    Attributes:
        name: Text of the row.
        low, middle, high: 15th, 50th and 85th percentile.
        interval: 90 % interval of the median; None where it cannot be estimated.
        count: Number of vehicles.
    """

    name: str
    low: float
    middle: float
    high: float
    interval: tuple[float, float] | None
    count: int


def bars_svg(
    counts: Mapping[str, Sequence[int]], start_s: float, bin_s: float, start_utc: datetime | None = None
) -> Markup:
    """One row of bars per camera, all on one scale.

    Args:
        counts: Vehicles in each bin by camera, as many bins for each, at least one.
        start_s: Scene time of the first bin.
        bin_s: Length of a bin, seconds.
        start_utc: Date of second 0 of the scene's clock, for times of day; None if unknown.
    """
    clock = partial(clock_text, start_utc=start_utc)
    greatest = max(max(row) for row in counts.values()) or 1
    bins = len(next(iter(counts.values())))
    step = (_WIDTH - 90 - 36) / bins  # half a time of day fits behind the last bin
    elements = []
    for k, (camera, row) in enumerate(counts.items()):
        base = _BAR_ROW * (k + 1)
        elements.append(text(0, base - 6, _shortened(camera, 12), "name"))
        for index, vehicles in enumerate(row):
            tall = _BAR_HEIGHT * vehicles / greatest
            begin_s = start_s + index * bin_s
            title = f"{camera}, {clock(begin_s)} to {clock(begin_s + bin_s)}: {vehicles}"
            elements.append(rectangle(90 + index * step, base - tall, max(step - 1.5, 0.5), tall, color_of(k), title))
        elements.append(text(_WIDTH, base - 6, sum(row), "tick", "end"))
    foot = _BAR_ROW * len(counts) + 18
    for index in range(0, bins + 1, max(1, -(-bins // 10))):
        elements.append(text(90 + index * step, foot, clock(start_s + index * bin_s)[:-2], "tick", "middle"))
    return svg(_WIDTH, foot + 6, "Vehicles over time", elements)


def ranges_svg(ranges: Sequence[Range], unit: str) -> Markup:
    """A bar from the 15th to the 85th percentile, a dot at the median, a thin line for its interval.

    Args:
        ranges: The rows, at least one.
        unit: Of the values.
    """
    ends: list[float] = [value for r in ranges for value in (r.low, r.high, *(r.interval or ()))]
    low, high = min([*ends, 0.0]), max([*ends, 1.0])

    def x(value: float) -> float:
        return _NAMES + (_WIDTH - _NAMES - _RIGHT) * (value - low) / (high - low)

    height = _TOP + _ROW * len(ranges)
    elements = []
    for value in _ticks(low, high):
        line = Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="20" y2="{1:.1f}"/>')
        elements += [line.format(x(value), height), text(x(value), 13, _signed(value, unit, 0), "tick", "middle")]
    for k, r in enumerate(ranges):
        y = _TOP + _ROW * k + _ROW / 2
        interval = "" if r.interval is None else f", 90 % interval {r.interval[0]:.1f} to {r.interval[1]:.1f}"
        title = (
            f"{r.name}: median {r.middle:.1f} {unit}{interval}; 15 % {r.low:.1f}, 85 % {r.high:.1f}, n = {r.count}"
        )
        elements.append(text(_NAMES - 10, y + 4, _shortened(r.name, 46), "name", "end"))
        elements.append(rectangle(x(r.low), y - 6, max(x(r.high) - x(r.low), 1.0), 12, "var(--alone)", title))
        if r.interval is not None:
            line = Markup('<line class="interval" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
            elements.append(line.format(x(r.interval[0]), x(r.interval[1]), y, y))
        elements.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x(r.middle), y))
        elements.append(text(_WIDTH, y + 4, f"{_signed(r.middle, unit)}, n = {r.count}", "tick", "end"))
    return svg(_WIDTH, height + 6, "Ranges", elements)


def _ticks(low: float, high: float) -> list[float]:
    """At most eight round values."""
    step = next((size for size in _STEPS if (high - low) / size <= 8), _STEPS[-1])
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _signed(value: float, unit: str, decimals: int = 1) -> str:
    return f"{value:.{decimals}f} {unit}".replace("-", "−")


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
