"""Scores against ground truth: IDF1, IDP, IDR, HOTA, DetA, AssA and MOTA, and the official AI City evaluation."""

from mtmc.evaluate.evaluate import evaluate_files, evaluate_tables
from mtmc.evaluate.report import Evaluation
from mtmc.evaluate.scores import Scores, score, score_per_camera
from mtmc.evaluate.submission import Submission, Violation, check_submission, rules_of_scene

__all__ = [
    "Evaluation",
    "Scores",
    "Submission",
    "Violation",
    "check_submission",
    "evaluate_files",
    "evaluate_tables",
    "rules_of_scene",
    "score",
    "score_per_camera",
]
