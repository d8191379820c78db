"""``python -m reid`` is the command ``reid``."""

from __future__ import annotations

import sys

from reid.cli import main

if __name__ == "__main__":
    sys.exit(main())
