"""What answers in ``mtmc view`` are worth: IDF1 after 0, 5, 10, 20 and 50 answers of an oracle.

    python -m tools.bench.review RUN…

Each RUN is the folder of a finished run with ground truth. The oracle gives every tracklet the true identity
that most of its boxes match, and answers by it; a tracklet that matches no true vehicle is one vehicle with no other.
Questions come in the order of the review, or in random order among the same open questions (mean of several seeds).
After each answer the association is solved again, exactly as the server does it.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mtmc.diagnose.matched_run import MatchedRun, match_run
from mtmc.formats.track1 import read_track1
from mtmc.pipeline.results import load_run
from mtmc.types import Array
from mtmc.view.questions import Question
from mtmc.view.run_data import ViewedRun, view_of
from mtmc.view.session import Session

__all__ = ["idf1_per_answer", "main", "true_vehicles"]

MILESTONES = (0, 5, 10, 20, 50)

#: Chooses one of the open questions, which come in the order of the review.
Choice = Callable[[Sequence[Question]], Question]


def true_vehicles(viewed: ViewedRun, matched: MatchedRun) -> Array:
    """The true identity of each passage, -1 for those that match none: int64 (N,)."""
    number = {camera.id: camera.number for camera in viewed.cameras}
    boxes = matched.boxes
    label = dict(zip(zip(boxes.camera.tolist(), boxes.track_id.tolist(), strict=True), matched.label, strict=True))
    names = ((number[p.tracklet.camera_id], p.tracklet.track_id) for p in viewed.passages)
    return np.array([label.get(name, -1) for name in names], np.int64)


def idf1_per_answer(
    viewed: ViewedRun, matched: MatchedRun, choose: Choice, milestones: Sequence[int] = MILESTONES
) -> list[float]:
    """IDF1 after each number of answers in ``milestones``, which increase."""
    vehicle = true_vehicles(viewed, matched)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(viewed, Path(folder))
        scores = []
        for count in range(milestones[-1] + 1):
            if count in milestones:
                scores.append(matched.score(read_track1(session.export())).idf1)
            open_questions = session.questions()
            if open_questions and count < milestones[-1]:
                asked = choose(open_questions)
                is_same = bool(vehicle[asked.a] == vehicle[asked.b] >= 0)
                session.answer(session.state()[0], (asked.a, asked.b), is_same)
    return scores


def _first(found: Sequence[Question]) -> Question:
    return found[0]


def at_random(seed: int) -> Choice:
    """Any open question with the same probability."""
    generator = np.random.default_rng(seed)
    return lambda found: found[int(generator.integers(len(found)))]


def _row(name: str, scores: Sequence[float]) -> str:
    return f"{name:<24}" + "".join(f"{100 * score:>8.1f}" for score in scores)


def main(argv: Sequence[str] | None = None) -> None:
    """Print one table for all runs."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.review", description="IDF1 per answer of an oracle")
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run with ground truth"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="random orders, 0: none (default 3)")
    parser.add_argument("--answers", type=int, default=MILESTONES[-1], metavar="N", help="at most (default 50)")
    arguments = parser.parse_args(argv)

    milestones = [count for count in MILESTONES if count <= max(arguments.answers, 0)]
    print(f"{'IDF1 after answers':<24}" + "".join(f"{count:>8}" for count in milestones), flush=True)
    of_order: dict[str, list[Array]] = {"review": [], "random": []}
    for path in arguments.runs:
        run = load_run(path)
        viewed, matched = view_of(run), match_run(run)
        choices = {"review": [_first], "random": [at_random(seed) for seed in range(arguments.seeds)]}
        for order, chosen in choices.items():
            if not chosen:
                continue
            runs = [idf1_per_answer(viewed, matched, choose, milestones) for choose in chosen]
            of_order[order].append(np.mean(runs, axis=0))
            print(_row(f"{path.name} {order}", of_order[order][-1].tolist()), flush=True)
    for order, found in of_order.items():
        if found:
            print(_row(f"mean {order}", np.mean(found, axis=0).tolist()))


if __name__ == "__main__":
    main()
