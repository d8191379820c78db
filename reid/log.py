"""Where the log of a command is written: the standard error stream, which progress bars use, too."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

__all__ = ["ToStderr"]


class ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment, and clears progress bars while it does."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stderr
        bars = sys.modules.get("tqdm")
        if bars is None:
            super().emit(record)
            return
        with bars.tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)
