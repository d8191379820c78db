"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# No test uses the network, nor a model that a developer has downloaded.
os.environ["MTMC_OFFLINE"] = "1"
os.environ["MTMC_MODELS"] = str(Path(tempfile.gettempdir()) / "mtmc-tests-have-no-models")

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MTMC_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Path of reference material that is not part of the repository; skips the test where it is absent."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"reference material {relative} is not at hand (set MTMC_SHARED)")
        return path

    return find
