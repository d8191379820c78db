"""What the commands do, as plain functions: the command line only parses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from mtmc.config import RunConfig, load_config, warnings_of
from mtmc.errors import ConfigError, SceneError
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, write_track1
from mtmc.log import say
from mtmc.pipeline.models import with_chosen_models
from mtmc.pipeline.run import RunResult, run
from mtmc.pipeline.summary import models_line, summary_text
from mtmc.runners import local, ray
from mtmc.scene import Scene, load_scenes
from mtmc.threads import own_threads, share_cores
from mtmc.zoo import names_model

__all__ = ["config_command", "diagnose_command", "run_command", "site_learn_command"]

RUNNERS = {"local": local.map_cameras, "ray": ray.map_cameras}


def run_command(
    *,
    videos: Path,
    out: Path | None,
    config_files: Sequence[Path],
    overrides: Sequence[str],
    runner: str,
    workers: int | None,
    strict: bool,
) -> int:
    """``mtmc run``: every scene in a folder. Returns 2 if anything went wrong on the way, else 0."""
    # Absolute, since worker processes of a cluster have another working directory.
    scenes = load_scenes(absolute(videos))
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers: expected at least 1, got {workers}", remedy="leave it out for one per core")
    name = videos.stem if videos.is_file() else videos.resolve().name
    home = absolute(out or Path("runs") / name)
    results = []
    for scene in scenes:
        config = _with_absolute_models(load_config(config_files, overrides, scene))
        warnings = warnings_of(config, config_files, overrides)
        folder = home if len(scenes) == 1 else home / scene.name
        results.append(_run_scene(scene, config, folder, runner, workers, strict, warnings))
    if len(scenes) > 1:
        _write_combined(scenes, [result.out for result in results], home)
    return 2 if any(result.problems for result in results) else 0


def absolute(path: Path) -> Path:
    """The path from the root, symbolic links left as they are; the address of a stream stays an address."""
    return path if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)) else path.absolute()


def _with_absolute_models(config: RunConfig) -> RunConfig:
    """The configuration with full paths of those model files that are named from the working directory."""
    sections: dict[str, BaseModel] = {}
    for name in ("detect", "embed"):
        section = getattr(config, name)
        named = {key: getattr(section, key, None) for key in ("weights", "card", "attributes")}
        found = {key: _with_absolute_files(value) for key, value in named.items() if value}
        sections[name] = section.model_copy(update=found)
    return config.model_copy(update=sections)


def _with_absolute_files(value: str | Path | tuple[str, ...]) -> str | Path | tuple[str, ...]:
    """One path or several, those of files from the root; names of models stay as they are."""
    if isinstance(value, tuple):
        return tuple(str(_with_absolute_files(name)) for name in value)
    is_file = not names_model(str(value)) and Path(value).exists()
    return str(absolute(Path(value))) if is_file else value


def _run_scene(
    scene: Scene,
    config: RunConfig,
    out: Path,
    runner: str,
    workers: int | None,
    strict: bool,
    warnings: Sequence[str],
) -> RunResult:
    # An accelerator serves all cameras from one process; more would only fight over its memory.
    one_process = {config.detect.device, config.embed.device} != {"cpu"}
    workers = workers or (1 if one_process else min(len(scene.cameras), share_cores(1)))
    threads = config.threads or share_cores(workers)
    own_threads(threads)
    config = with_chosen_models(scene, config)
    say(models_line(scene, config))
    if config.render.blur:
        say(_blur_line(config, out))
    result = run(
        scene,
        config,
        out,
        map_cameras=partial(RUNNERS[runner], workers=workers, threads=threads),
        threads=threads,
        strict=strict,
        how={"runner": runner, "workers": workers, "threads": threads},
        warnings=warnings,
    )
    say(summary_text(scene, result))
    return result


def _blur_line(config: RunConfig, out: Path) -> str:
    return (
        f"{', '.join(config.render.blur)}: unrecognizable in videos, pages and plots where detected or tracked; "
        f"not blurred: {out / 'results' / 'passages'}, {out / 'cache'}, and what mtmc view shows"
    )


def _write_combined(scenes: Sequence[Scene], folders: Sequence[Path], home: Path) -> None:
    """One ``track1.txt`` of all scenarios, identities kept apart; left out where scenarios share camera numbers."""
    numbers = [camera.number for scene in scenes for camera in scene.cameras]
    if len(set(numbers)) < len(numbers):
        say(f"scenarios share camera numbers, so each has its own track1.txt below {home}")
        return
    tables, highest = [], 0
    for folder in folders:
        table = read_track1(folder / "track1.txt")
        tables.append(table.with_columns(id=table.id + highest))
        highest = int(tables[-1].id.max(initial=highest))
    write_track1(Table.concatenate(tables).sorted(), home / "track1.txt")
    say(f"all scenarios: {home / 'track1.txt'}")


def diagnose_command(run: Path, gt: Path | None, out: Path, reruns: bool, workers: int | None) -> str:
    """``mtmc diagnose``: the loss of a finished run by stage; returns the report and writes it as JSON and a page."""
    from mtmc.diagnose import diagnose

    if workers is not None and workers < 1:
        raise ConfigError(f"--workers: expected at least 1, got {workers}", remedy="leave it out for one per core")
    workers = workers or share_cores(1)
    threads = share_cores(workers)
    found = diagnose(
        run,
        gt=gt,
        out=out,
        reruns=reruns,
        map_cameras=partial(local.map_cameras, workers=workers, threads=threads),
    )
    return f"{found.text()}\n\nresults: {out / 'diagnosis.html'}, {out / 'diagnosis.json'}\n"


def site_learn_command(run: Path, out: Path, plots: Path | None, overrides: Sequence[str], fit_boxes: bool) -> str:
    """``mtmc site learn``: learn the scene model from a finished run and write it; returns the report."""
    from mtmc.pipeline.learning import located, write_learned_scene
    from mtmc.pipeline.render import hidden_in_run
    from mtmc.pipeline.results import load_run
    from mtmc.postprocess import fit_box_scales
    from mtmc.settings import YamlFile, parse_settings
    from mtmc.site.config import SiteConfig
    from mtmc.site.learn import learn_scene
    from mtmc.site.plots import draw_plots
    from mtmc.site.report import heading, report

    loaded = load_run(run)
    choices = YamlFile(run, {}, {}).override(overrides)
    usual = loaded.config.learn.model_dump(exclude={"enabled"})
    config = parse_settings(SiteConfig, {**usual, **choices.data}, file=choices)
    passages = [p for result in located(loaded.results, loaded.given) for p in result.passages]
    learned = learn_scene(loaded.given, passages, config)
    scene, text = learned.scene, report(learned)
    if fit_boxes:
        scene, boxes = fit_box_scales(scene, learned.passages)
        text += "\n" + boxes
    write_learned_scene(scene, out, heading(learned))
    text += f"\n{out}\n"
    if plots is not None:
        hidden = hidden_in_run(loaded.results, loaded.config.render, loaded.cache)
        text += "".join(f"{path}\n" for path in draw_plots(learned, plots, hidden))
    return text


def config_command(videos: Path | None, config_files: Sequence[Path], overrides: Sequence[str]) -> str:
    """``mtmc config``: the configuration a run would use, as YAML with the meaning of every key."""
    scene = None
    if videos is not None:
        scenes = load_scenes(videos)
        if len(scenes) > 1:
            names = ", ".join(scene.name for scene in scenes)
            raise SceneError(f"expected one scene, found {names}", path=videos, remedy="name one of them")
        scene = scenes[0]
    return "\n".join(_documented(load_config(config_files, overrides, scene), 0)) + "\n"


def _documented(settings: BaseModel, depth: int) -> list[str]:
    lines = []
    for name, field in type(settings).model_fields.items():
        value: Any = getattr(settings, name)
        pad = "  " * depth
        if isinstance(value, BaseModel):
            lines += [f"{pad}{name}:", *_documented(value, depth + 1)]
            continue
        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
        text = text.removesuffix("...").strip()
        lines.append(f"{pad}{name}: {text}" + (f"  # {field.description}" if field.description else ""))
    return lines
