"""How much of the score each stage loses, which links were wrong, and why.

::

    case.py       the run beside the truth: which box is which vehicle's
    lost.py       the stage that lost each true box nobody found
    waterfall.py  the run mended step by step until it is the truth: parts that sum to the loss
    oracles.py    one stage perfect at a time
    reasons.py    what association thinks of a pair
    faults.py     wrong and missing links, with their reasons
    crops.py, picture.py, report.py   pictures, text, JSON and a page
"""

from __future__ import annotations

from pathlib import Path

from mtmc.diagnose.case import Case, case_of
from mtmc.diagnose.crops import pictures_of
from mtmc.diagnose.faults import Fault, find_faults
from mtmc.diagnose.lost import lost_at
from mtmc.diagnose.oracles import Oracle, rerun, rewrite
from mtmc.diagnose.reasons import judge_of
from mtmc.diagnose.report import WORST, Diagnosis
from mtmc.diagnose.waterfall import PARTS, Step, waterfall
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.results import load_run
from mtmc.pipeline.run import MapCameras

__all__ = ["PARTS", "Case", "Diagnosis", "Fault", "Oracle", "Step", "case_of", "diagnose"]


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
        folder: What ``mtmc run`` wrote.
        gt: Ground truth as a file or folder; that of the run's scene if None.
        out: Where to write; ``folder/diagnosis`` if None.
        reruns: Also run the pipeline on perfect input (:func:`~mtmc.diagnose.oracles.rerun`).
        map_cameras: Where these runs process cameras.

    Raises:
        MtmcError: The run or its ground truth cannot be read.
    """
    run = load_run(folder)
    case = case_of(run, gt)
    home = folder / "diagnosis" if out is None else out
    lost = lost_at(run, case)
    choices = run.config.associate.for_embedder(match_similarity_of(run.results))
    judge = judge_of(run.passages, run.scene, choices, run.scene_model)
    faults = find_faults(run, case, lost, judge)
    oracles = rewrite(case)
    if reruns:
        oracles += rerun(run, case, home / "oracles", map_cameras)
    diagnosis = Diagnosis(run.scene.name, case.protocol, waterfall(case, lost), oracles, faults)
    diagnosis.write_json(home / "diagnosis.json")
    diagnosis.write_page(home / "diagnosis.html", pictures_of(faults[:WORST], run.scene))
    return diagnosis
