"""What the videos and the page share: a color for every vehicle, and how a moment is written."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

__all__ = ["GRAY", "clock_text", "hex_color", "vehicle_color"]

RGB = tuple[int, int, int]

#: Vehicles that only one camera saw.
GRAY: RGB = (170, 176, 184)

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def vehicle_color(global_id: int) -> RGB:
    """A vehicle's color: strong, the same everywhere, and far from those of its neighbors in number.

    Hues turn by the golden angle, so any run of ids is spread evenly around the circle; lightness alternates so that
    ids whose hues come close again still differ.
    """
    lightness = (0.76, 0.66, 0.84)[global_id % 3]
    return _oklch(lightness, 0.17, global_id * _GOLDEN_ANGLE)


def hex_color(rgb: RGB) -> str:
    """The color as style sheets write it.

    >>> hex_color((255, 0, 16))
    '#ff0010'
    """
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def clock_text(time_s: float, start_utc: datetime | None = None) -> str:
    """Scene seconds as people read them, to a tenth; where the date of second 0 is known, the time of day.

    The time of day is that of the date's time zone. The date stands before it where it is not that of second 0.

    >>> clock_text(62.44), clock_text(3600), clock_text(-0.26)
    ('1:02.4', '1:00:00.0', '−0:00.3')
    >>> start = datetime.fromisoformat("2026-05-12T07:00:00+02:00")
    >>> clock_text(62.44, start), clock_text(-36000, start)
    ('07:01:02.4', '2026-05-11 21:00:00.0')
    """
    if start_utc is not None:
        moment = start_utc + timedelta(seconds=time_s, milliseconds=50)  # cut to tenths below, which rounds
        text = moment.replace(tzinfo=None).isoformat(" ", "milliseconds")[:-2]
        return text if moment.date() != start_utc.date() else text[11:]
    tenths = round(abs(time_s) * 10)
    sign = "−" if time_s < 0 and tenths else ""
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{clock}:{tenths // 10:02d}.{tenths % 10}"


def _oklch(lightness: float, chroma: float, hue: float) -> RGB:
    """Oklab in polar form to sRGB, clipped to what screens show (B. Ottosson, "A perceptual color space", 2020)."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3  # noqa: E741
    m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
        _gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
        _gamma(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
    )


def _gamma(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * encoded)
