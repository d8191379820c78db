"""Scores against ground truth: IDF1, IDP, IDR, HOTA, DetA, AssA and MOTA, and the official AI City evaluation."""

from mtmc.evaluate.evaluate import evaluate_files, evaluate_tables
from mtmc.evaluate.report import Evaluation
from mtmc.evaluate.scores import Scores, score, score_per_camera

__all__ = ["Evaluation", "Scores", "evaluate_files", "evaluate_tables", "score", "score_per_camera"]
