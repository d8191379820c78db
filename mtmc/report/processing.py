"""Sections about the processing: seconds by stage, and the command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from mtmc.config import RunConfig
from mtmc.render.report import Section
from mtmc.report.elements import table

__all__ = ["command_section", "repeating_command", "timing_section"]


def timing_section(manifest: Mapping[str, Any]) -> Section:
    """Wall and CPU seconds of every stage.

    Args:
        manifest: The run's ``run.json``.
    """
    seconds = sorted(manifest["seconds"].items(), key=lambda item: -item[1]["cpu"])
    rows = [(stage, f"{s['wall']:.1f}", f"{s['cpu']:.1f}") for stage, s in seconds if s["wall"] >= 0.05]
    frames = sum(camera["counts"].get("frames", 0) for camera in manifest["cameras"].values())
    how = manifest["run"]
    lead = (
        f"Sums over all cameras of the last run; stages whose earlier results were used again took no time. "
        f"{frames:,} frames, runner {how.get('runner', 'unknown')}, {how.get('workers', 1)} worker processes with "
        f"{how.get('threads', 1)} threads each."
    )
    versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
    made = f"mtmc {manifest['mtmc']}, Python {how['python']}, {how['machine']}; {versions}"
    body = table(("Stage", "Wall, s", "CPU, s"), rows) + Markup('<p class="soft">{}</p>').format(made)
    return Section("Processing time", lead, body)


def command_section(manifest: Mapping[str, Any], config: RunConfig, out: Path) -> Section:
    """The command; arguments as of :func:`repeating_command`."""
    command = repeating_command(Path(manifest["place"]["folder"]), config, out)
    lead = "Settings that are not named have their defaults; run.json holds all of them."
    return Section("Command", lead, Markup("<pre>{}</pre>").format(command))


def repeating_command(videos: Path, config: RunConfig, out: Path) -> str:
    """A command that repeats a run, quoted for a POSIX shell.

    Args:
        videos: Folder of the scene.
        config: The run's settings.
        out: Folder of the run.
    """
    changed = _differences(config.model_dump(mode="json"), RunConfig().model_dump(mode="json"))
    overrides = [part for key, value in changed.items() for part in ("-o", f"{key}={_yaml(value)}")]
    return shlex.join(["mtmc", "run", "--videos", str(videos), "--out", str(out), *overrides])


def _differences(values: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values that differ from the defaults by their dotted key."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            found |= _differences(value, default, f"{prefix}{name}.")
        elif value != default:
            found[prefix + name] = value
    return found


def _yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
    return text.removesuffix("...").strip()
