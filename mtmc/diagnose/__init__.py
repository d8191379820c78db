"""How much of the score each stage loses, which links are wrong, and why.

::

    matched_run.py     the run matched to ground truth, box by box
    missed_boxes.py    the stage that lost each true box without a match
    waterfall.py       the loss of IDF1, divided into parts that sum to it
    oracles.py         oracle experiments: one stage perfect at a time
    link_evidence.py   what the run's association computes for a pair of tracklets
    link_errors.py     wrong and missing links, with their reasons
    crops.py, waterfall_plot.py, report.py   image crops, the plot, and text, JSON and page
"""

from __future__ import annotations

from pathlib import Path

from mtmc.diagnose.crops import view_crops
from mtmc.diagnose.link_errors import LinkError, TrackletView, find_link_errors
from mtmc.diagnose.link_evidence import link_explainer
from mtmc.diagnose.matched_run import MatchedRun, match_run
from mtmc.diagnose.missed_boxes import losing_stages
from mtmc.diagnose.oracles import Oracle, rerun, rewrite
from mtmc.diagnose.report import SHOWN_ERRORS, Diagnosis
from mtmc.diagnose.waterfall import PARTS, Step, waterfall
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.outputs import note_derived
from mtmc.pipeline.render import hidden_in_run
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.pipeline.run import MapCameras
from mtmc.types import Array

__all__ = [
    "PARTS",
    "Diagnosis",
    "LinkError",
    "MatchedRun",
    "Oracle",
    "Step",
    "TrackletView",
    "diagnose",
    "link_errors_of",
    "losing_stages",
    "match_run",
]


def link_errors_of(run: LoadedRun, matched: MatchedRun, losing_stage: Array) -> list[LinkError]:
    """All link errors of a run by the evidence of its own association; see :func:`find_link_errors`."""
    config = run.config.associate.for_embedder(match_similarity_of(run.results))
    explainer = link_explainer(run.passages, run.scene, config, run.scene_model)
    return find_link_errors(run, matched, losing_stage, explainer)


def diagnose(
    folder: Path,
    *,
    gt: Path | None = None,
    out: Path | None = None,
    reruns: bool = True,
    map_cameras: MapCameras | None = None,
) -> Diagnosis:
    """Diagnose a finished run, and write ``diagnosis.json`` and ``diagnosis.html``.

    Args:
        folder: The folder of a finished run.
        gt: Ground truth as a file or folder; that of the run's scene if None.
        out: Where to write; ``folder/diagnosis`` if None.
        reruns: Also run the pipeline on perfect input (:func:`~mtmc.diagnose.oracles.rerun`).
        map_cameras: Where these runs process cameras.

    Raises:
        MtmcError: The run or its ground truth cannot be read.
    """
    run = load_run(folder)
    matched = match_run(run, gt)
    out = folder / "diagnosis" if out is None else out

    losing_stage = losing_stages(run, matched)
    steps = waterfall(matched, losing_stage)

    link_errors = link_errors_of(run, matched, losing_stage)

    oracles = rewrite(matched)
    if reruns:
        oracles += rerun(run, matched, out / "oracles", map_cameras)

    diagnosis = Diagnosis(run.scene.name, matched.protocol, steps, oracles, link_errors)
    diagnosis.write_json(out / "diagnosis.json")
    hidden = hidden_in_run(run.results, run.config.render, run.cache)
    crops = view_crops(link_errors[:SHOWN_ERRORS], run.scene, hidden, run.config.render.blur)
    diagnosis.write_page(out / "diagnosis.html", crops)
    note_derived(folder, [out / "diagnosis.json", out / "diagnosis.html"])
    return diagnosis
