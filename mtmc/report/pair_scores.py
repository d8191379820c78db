"""Scores of every pair of cameras: what ``mtmc evaluate --cameras A,B`` prints."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mtmc.evaluate import Scores, evaluate_tables
from mtmc.evaluate.load import truth_of
from mtmc.formats.table import Table
from mtmc.render.report import Section
from mtmc.report.elements import table
from mtmc.scene import Scene, read_roi

__all__ = ["pair_scores", "pair_section"]


def pair_scores(scene: Scene, predicted: Table) -> dict[tuple[str, str], Scores]:
    """Identity scores by the official protocol, by the names of two cameras that have true vehicles in common.

    Args:
        scene: The cameras with their ground truth.
        predicted: The result.

    Raises:
        FormatError: A ground truth file is malformed, or no row of any of them counts.
    """
    if all(camera.ground_truth is None for camera in scene.cameras):
        return {}
    truth = truth_of(scene.cameras)
    rois = {number: read_roi(path, official=True) for number, path in truth.rois.items()} or None
    names = {camera.number: camera.id for camera in scene.cameras}
    scores = {}
    for pair in combinations(np.unique(truth.table.camera).tolist(), 2):
        if not np.intersect1d(*(truth.table.id[truth.table.camera == number] for number in pair)).size:
            continue
        of_pair = truth.table[np.isin(truth.table.camera, pair)]
        found = evaluate_tables(of_pair, predicted, rois, protocol="aicity", skip_missing=True, metrics=("identity",))
        scores[names[pair[0]], names[pair[1]]] = found.overall
    return scores


def pair_section(scores: dict[tuple[str, str], Scores]) -> Section:
    """The scores as a table."""
    rows = [
        (f"{a} – {b}", *(f"{100 * value:.1f}" for value in (s.idf1, s.idp, s.idr)), s.idtp, s.idfp, s.idfn)
        for (a, b), s in scores.items()
    ]
    columns = ("Cameras", "IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN")
    lead = (
        "Only the ground truth of the two cameras counts; pairs without a true vehicle in common are left out. "
        "Shares in percent, the last three columns in boxes."
    )
    return Section("Scores of pairs of cameras", lead, table(columns, rows))
