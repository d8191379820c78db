"""From a finished run to one self-contained page."""

from __future__ import annotations

from pathlib import Path

from mtmc.errors import FormatError
from mtmc.formats.track1 import read_track1
from mtmc.pipeline.outputs import note_derived
from mtmc.pipeline.render import hidden_in_run, thumbnails_of, with_frame_counts
from mtmc.pipeline.results import load_run, read_manifest
from mtmc.pipeline.scoring import score_rows, score_scene
from mtmc.render.report import write_report
from mtmc.report.pair_scores import pair_scores, pair_section
from mtmc.report.place import place_sections
from mtmc.report.processing import command_section, timing_section
from mtmc.report.traffic import traffic_sections
from mtmc.traffic import run_tables

__all__ = ["report_run"]

_ONE_BIN_S = 1e9  # holds any recording


def report_run(run: Path, out: Path) -> None:
    """Write the page: what the run's own page shows but its videos, scores of pairs, traffic, place and processing.

    All pictures and styles are in the page, and it refers to no other file or host.

    Args:
        run: The folder that ``mtmc run`` wrote.
        out: HTML file.

    Raises:
        MtmcError: The run cannot be read, or the page cannot be written.
    """
    loaded = load_run(run)
    manifest = read_manifest(run / "run.json")
    problems = list(manifest["problems"])
    scores, pairs = None, []
    try:
        predicted = read_track1(run / "track1.txt")
        scores = score_rows(score_scene(loaded.scene, predicted), loaded.scene)
        of_pairs = pair_scores(loaded.scene, predicted)
        pairs = [pair_section(of_pairs)] if of_pairs else []
    except FormatError as error:  # the ground truth has moved
        problems.append(f"no scores: {error}")

    tables = run_tables(loaded, _ONE_BIN_S)
    hidden = hidden_in_run(loaded.results, loaded.config.render, loaded.cache)
    write_report(
        out,
        scene=with_frame_counts(loaded.scene, loaded.results),
        tracks=loaded.tracks,
        thumbnails=thumbnails_of(loaded.results, loaded.config.render),
        scores=scores,
        notes=problems,
        made_with={task: model["name"] for task, model in manifest["models"].items()},
        config=loaded.config.render,
        sections=[
            *pairs,
            *traffic_sections(tables),
            *place_sections(loaded.scene, loaded.passages, hidden),
        ],
        closing=[timing_section(manifest), command_section(manifest, loaded.config, run.absolute())],
    )
    note_derived(run, [out])
