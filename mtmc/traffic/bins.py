"""Bins of traffic figures: intervals of one length.

Where the date of the scene's clock is known, bins are counted from midnight, in the time zone of that date: bins of
15 minutes are the quarters of an hour that a clock shows, as traffic counts have them. Elsewhere they are counted
from second 0 of the scene's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from mtmc.geometry.clock import midnight_s

__all__ = ["QUARTERS", "Bins"]


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of one length.

    Attributes:
        length_s: Their length, seconds.
        origin_s: Scene time at which one of them starts, seconds.
    """

    length_s: float
    origin_s: float = 0.0

    @staticmethod
    def on_the_clock(length_s: float, start_utc: datetime | None) -> Bins:
        """Bins from midnight on.

        Args:
            length_s: Their length, seconds.
            start_utc: Date and time of second 0 of the scene's clock; None if unknown: bins from second 0 on.

        >>> from datetime import timezone
        >>> Bins.on_the_clock(900.0, datetime(2026, 5, 12, 7, 10, tzinfo=timezone.utc)).of(0.0)
        (-600.0, 300.0)
        """
        return Bins(length_s, midnight_s(start_utc))

    def number_of(self, time_s: float) -> int:
        """The number of the bin that holds a moment; 0 for the one that starts at ``origin_s``."""
        return math.floor((time_s - self.origin_s) / self.length_s)

    def start_s(self, number: int) -> float:
        """Scene time at which a bin starts, seconds."""
        return self.origin_s + number * self.length_s

    def of(self, time_s: float) -> tuple[float, float]:
        """Start and end of the bin that holds a moment, scene seconds."""
        number = self.number_of(time_s)
        return self.start_s(number), self.start_s(number + 1)


#: The bins of traffic counts that manuals of traffic engineering use.
QUARTERS = Bins(900.0)
