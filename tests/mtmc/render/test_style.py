"""Colors differ where they meet, and moments are written as people read them."""

from __future__ import annotations

import colorsys
import itertools
from datetime import datetime, timezone

import pytest

from mtmc.geometry.clock import midnight_s
from mtmc.render.style import clock_text, hex_color, vehicle_color


def test_neighbors_in_number_have_other_hues():
    hues = [colorsys.rgb_to_hsv(*(c / 255 for c in vehicle_color(i)))[0] for i in range(1, 200)]
    for a, b in itertools.chain(itertools.pairwise(hues), zip(hues, hues[2:], strict=False)):
        assert min(abs(a - b), 1 - abs(a - b)) > 0.08


def test_twelve_colors_in_a_row_are_all_apart():
    for first in range(1, 100):
        palette = [vehicle_color(i) for i in range(first, first + 12)]
        assert (
            min(sum(abs(x - y) for x, y in zip(a, b, strict=True)) for a, b in itertools.combinations(palette, 2))
            > 25
        )


def test_dark_letters_are_readable_on_every_color():
    def luminance(rgb):
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for i in range(1, 300):
        assert (luminance(vehicle_color(i)) + 0.05) / (luminance((18, 22, 28)) + 0.05) > 4.5


def test_colors_are_stable():
    assert [hex_color(vehicle_color(i)) for i in (1, 2, 1000)] == ["#59a935", "#abbfff", "#da60a5"]


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0:00.0"),
        (9.96, "0:10.0"),
        (59.95, "1:00.0"),
        (3599.99, "1:00:00.0"),
        (-1.5, "−0:01.5"),
        (-0.01, "0:00.0"),
    ],
)
def test_clock_text(time_s, text):
    assert clock_text(time_s) == text


def test_a_full_hour_is_shown_as_such_whatever_the_fraction_of_the_start() -> None:
    """Moments are rounded, not their distance from second 0, of which 0.78 s is short of a tenth."""
    for milliseconds in range(1000):
        start = datetime(2026, 5, 12, 7, 0, 0, 1000 * milliseconds, tzinfo=timezone.utc)
        assert clock_text(midnight_s(start) + 8 * 3600, start) == "08:00:00.0"
    assert clock_text(-0.04, datetime(2026, 5, 12, tzinfo=timezone.utc)) == "00:00:00.0"
