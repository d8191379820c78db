"""What the README promises: its commands run as printed, its links lead somewhere, its settings exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mtmc.cli import main as mtmc_main
from mtmc.config import load_config
from reid.cli import main as reid_main
from tests.builders import first_seconds

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]
#: Of each camera of the sample; all of it takes minutes, and what is shipped with it is the same.
SAMPLE_FRAMES = 40
MAINS = {"mtmc": mtmc_main, "reid": reid_main}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.M | re.S)


def commands(page: str, language: str) -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(page, language) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page)):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


@pytest.mark.slow
def test_commands_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sh`` blocks run as they stand, one after the other, beside the first seconds of the sample.

    ``text`` blocks need other files.
    """
    first_seconds(ROOT / "sample_videos", tmp_path / "sample_videos", SAMPLE_FRAMES)
    monkeypatch.chdir(tmp_path)
    for command in commands("README.md", "sh"):
        name, *words = shlex.split(command)
        if name == "make":
            dry = ["make", "--dry-run", *words]
            assert subprocess.run(dry, cwd=ROOT, capture_output=True, check=False).returncode == 0, command
        else:
            assert MAINS[name](words) == 0, command


@pytest.mark.parametrize("command", commands("README.md", "text"))
def test_settings_in_examples_exist(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "mtmc" and words[1] == "run":
        load_config(overrides=[words[i + 1] for i, word in enumerate(words) if word == "-o"])


def test_python_snippets_run(tmp_path: Path) -> None:
    for snippet in blocks("README.md", "python"):
        done = subprocess.run(
            [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
