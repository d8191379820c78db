"""What answers in ``mtmc view`` are worth: IDF1 after 0, 5, 10, 20 and 50 answers of an oracle.

    python -m tools.bench.review RUN…
    python -m tools.bench.review --data DATA    # and the tracklets of CityFlow's S01, S03 and S04, plainly scored

Each RUN is the folder of a finished run with ground truth. The oracle gives every tracklet the true identity
that most of its boxes match, and answers by it; a tracklet that matches no true vehicle is one vehicle with no other.

Questions come in the order of the review, or in random order among the same open questions (mean of several seeds).
After each answer the association is solved again, as the server does it. For comparison ("own link") answers to the
questions that the review has before any answer change their own link alone: "different" takes it away, "same" adds
it, and nothing is solved again. ``--best`` measures what questions can be worth at most ("best"): of all candidate
pairs whose decision is wrong, the one is asked about whose answer raises IDF1 most (minutes for each run).
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from mtmc.associate import AssociateConfig
from mtmc.associate.candidates import Candidates
from mtmc.associate.graph import scored_candidates, solve
from mtmc.associate.link_probability import link_probability
from mtmc.associate.numbering import in_order, number
from mtmc.diagnose.matched_run import MatchedRun, match_run
from mtmc.pipeline.results import load_run
from mtmc.types import Array
from mtmc.view.association import CorrectedRun, RunAssociation
from mtmc.view.corrections import Corrections
from mtmc.view.questions import Question, questions
from mtmc.view.run_data import ViewedRun, view_of
from tools.bench.association import idf1_of, places
from tools.bench.cityflow_cases import SCENES, oracle
from tools.bench.contest import place_for

__all__ = [
    "Reviewed",
    "at_random",
    "connected",
    "idf1_of_best_questions",
    "idf1_of_own_links",
    "idf1_per_answer",
    "main",
    "reviewed_run",
    "true_vehicles",
]

MILESTONES = (0, 5, 10, 20, 50)

#: Chooses one of the open questions, which come in the order of the review.
Choice = Callable[[Sequence[Question]], Question]


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed:
    """N tracklets whose identities answers correct.

    Attributes:
        candidates: Their pairs.
        boxes: int64 (N,), boxes of each.
        vehicle: int64 (N,), the true vehicle of each, −1 for those of none.
        score: IDF1 of labels int64 (N,).
    """

    candidates: Candidates
    boxes: Array
    vehicle: Array
    score: Callable[[Array], float]

    def solve(self, corrections: Corrections) -> CorrectedRun:
        """The identities under some corrections; numbers of vehicles are of no interest."""
        constraints = self.candidates.evidence.constraints.replaced(
            must_link=corrections.must_link, cannot_link=corrections.cannot_link
        )
        labels = solve(self.candidates, constraints)
        return CorrectedRun(corrections, labels, labels + 1)

    def is_same(self, question: Question) -> bool:
        """The answer of the oracle."""
        return bool(self.vehicle[question.a] == self.vehicle[question.b] >= 0)


def reviewed_run(viewed: ViewedRun, matched: MatchedRun) -> Reviewed:
    """A finished run, scored as its result is.

    Raises:
        ValueError: The run was not associated by the method ``graph``.
    """
    association = RunAssociation(viewed)
    if association.candidates is None:
        raise ValueError(f"{viewed.run.out}: expected a run of associate.method=graph")

    def score(labels: Array) -> float:
        return matched.score(association.table(CorrectedRun(Corrections(), labels, labels + 1))).idf1

    return Reviewed(association.candidates, viewed.lengths, true_vehicles(viewed, matched), score)


def reviewed_places(data: Path) -> Iterator[tuple[str, Reviewed]]:
    """CityFlow's S01, S03 and S04: given tracklets, places learned from them as a run learns them."""
    for name, maker in places(data):
        if name not in SCENES:
            continue
        place = maker()
        known = place_for(place.case, "learned on given ground")
        passages = in_order(known.passages)
        config = AssociateConfig().for_embedder(place.match_similarity)
        yield (
            name,
            Reviewed(
                candidates=scored_candidates(passages, known.scene, config)[0],
                boxes=np.array([len(p.tracklet) for p in passages], np.int64),
                vehicle=oracle(passages, place.case.truth, place.case.scene),
                score=lambda labels, place=place, passages=passages: idf1_of(place, number(passages, labels)) / 100,
            ),
        )


def true_vehicles(viewed: ViewedRun, matched: MatchedRun) -> Array:
    """The true identity of each passage, -1 for those that match none: int64 (N,)."""
    camera_number = {camera.id: camera.number for camera in viewed.cameras}
    boxes = matched.boxes
    label = dict(zip(zip(boxes.camera.tolist(), boxes.track_id.tolist(), strict=True), matched.label, strict=True))
    names = ((camera_number[p.tracklet.camera_id], p.tracklet.track_id) for p in viewed.passages)
    return np.array([label.get(name, -1) for name in names], np.int64)


def idf1_per_answer(reviewed: Reviewed, choose: Choice, milestones: Sequence[int] = MILESTONES) -> list[float]:
    """IDF1 after each number of answers in ``milestones``, which increase."""
    corrections, scores = Corrections(), []
    for count in range(milestones[-1] + 1):
        solution = reviewed.solve(corrections)
        if count in milestones:
            scores.append(reviewed.score(solution.labels))
        open_questions = questions(reviewed.candidates, solution, reviewed.boxes)
        if open_questions:
            asked = choose(open_questions)
            corrections = _with_answer(corrections, (asked.a, asked.b), reviewed.is_same(asked))
    return scores


def _with_answer(corrections: Corrections, pair: tuple[int, int], is_same: bool) -> Corrections:
    if is_same:
        return replace(corrections, must_link=corrections.must_link | {pair})
    return replace(corrections, cannot_link=corrections.cannot_link | {pair})


def idf1_of_own_links(reviewed: Reviewed, milestones: Sequence[int] = MILESTONES) -> list[float]:
    """As :func:`idf1_per_answer`, in the order of the review, if an answer changes its own link alone."""
    solution = reviewed.solve(Corrections())
    asked = questions(reviewed.candidates, solution, reviewed.boxes)
    labels, links = solution.labels, set(strongest_links(reviewed.candidates, solution.labels))
    scores = []
    for count in range(milestones[-1] + 1):
        if count in milestones:
            scores.append(reviewed.score(labels))
        if count < len(asked):
            link = {(asked[count].a, asked[count].b)}
            links = links | link if reviewed.is_same(asked[count]) else links - link
            labels = connected(len(labels), links)
    return scores


def idf1_of_best_questions(reviewed: Reviewed, milestones: Sequence[int] = MILESTONES) -> list[float]:
    """As :func:`idf1_per_answer`, if the question is known, among all candidate pairs, whose answer is worth most."""
    pairs = reviewed.candidates.pairs
    is_true = (reviewed.vehicle[pairs[:, 0]] == reviewed.vehicle[pairs[:, 1]]) & (reviewed.vehicle[pairs[:, 0]] >= 0)
    known: dict[bytes, float] = {}  # many answers lead to the same identities

    def score(labels: Array) -> float:
        key = labels.tobytes()
        if key not in known:
            known[key] = reviewed.score(labels)
        return known[key]

    corrections, scores = Corrections(), []
    for count in range(milestones[-1] + 1):
        labels = reviewed.solve(corrections).labels
        if count in milestones:
            scores.append(score(labels))
        is_joined = labels[pairs[:, 0]] == labels[pairs[:, 1]]
        wrong = np.flatnonzero(is_joined != is_true)
        answered = [_with_answer(corrections, tuple(pairs[k].tolist()), bool(is_true[k])) for k in wrong.tolist()]
        corrections = max([corrections, *answered], key=lambda said: score(reviewed.solve(said).labels))
    return scores


def strongest_links(candidates: Candidates, labels: Array) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, that hold vehicles together: a maximum spanning tree of each by probability."""
    rows = np.flatnonzero(labels[candidates.pairs[:, 0]] == labels[candidates.pairs[:, 1]])
    first, second = candidates.pairs[rows].T
    length = 2.0 - link_probability(candidates, labels, rows)  # a sparse graph has no edges of length 0
    tree = minimum_spanning_tree(csr_array((length, (first, second)), shape=(len(labels), len(labels)))).tocoo()
    return list(zip(tree.row.tolist(), tree.col.tolist(), strict=True))


def connected(n: int, links: Collection[tuple[int, int]]) -> Array:
    """The labels of N passages that links connect: int64 (N,)."""
    first, second = np.array(sorted(links), np.int64).reshape(-1, 2).T
    graph = csr_array((np.ones(len(first)), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _first(found: Sequence[Question]) -> Question:
    return found[0]


def at_random(seed: int) -> Choice:
    """Any open question with the same probability."""
    generator = np.random.default_rng(seed)
    return lambda found: found[int(generator.integers(len(found)))]


def _row(name: str, scores: Sequence[float]) -> str:
    return f"{name:<24}" + "".join(f"{100 * score:>8.1f}" for score in scores)


def _measured(
    reviewed: Reviewed, seeds: int, milestones: Sequence[int], has_best: bool
) -> Iterator[tuple[str, Array]]:
    """Name of each order of the questions, and IDF1 at the milestones."""
    yield "review", np.array(idf1_per_answer(reviewed, _first, milestones))
    if seeds:
        of_seed = [idf1_per_answer(reviewed, at_random(seed), milestones) for seed in range(seeds)]
        yield "random", np.mean(of_seed, axis=0)
    yield "own link", np.array(idf1_of_own_links(reviewed, milestones))
    if has_best:
        yield "best", np.array(idf1_of_best_questions(reviewed, milestones))


def _all_reviewed(runs: Sequence[Path], data: Path | None) -> Iterator[tuple[str, Reviewed]]:
    for path in runs:
        run = load_run(path)
        yield path.name, reviewed_run(view_of(run), match_run(run))
    if data is not None:
        yield from reviewed_places(data)


def main(argv: Sequence[str] | None = None) -> None:
    """Print one table for all runs and places, and the means."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.review", description="IDF1 per answer of an oracle")
    parser.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN", help="folder of a finished run with ground truth"
    )
    parser.add_argument("--data", type=Path, help="folder of CityFlow's S01/, S03_tracklets/, S04_tracklets/, cam_*/")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="random orders, 0: none (default 3)")
    parser.add_argument("--answers", type=int, default=MILESTONES[-1], metavar="N", help="at most (default 50)")
    parser.add_argument("--best", action="store_true", help="also the questions whose answers are worth most")
    arguments = parser.parse_args(argv)

    milestones = [count for count in MILESTONES if count <= max(arguments.answers, 0)]
    print(f"{'IDF1 after answers':<24}" + "".join(f"{count:>8}" for count in milestones), flush=True)
    of_order: dict[str, list[Array]] = {}
    for name, reviewed in _all_reviewed(arguments.runs, arguments.data):
        for order, scores in _measured(reviewed, arguments.seeds, milestones, arguments.best):
            of_order.setdefault(order, []).append(scores)
            print(_row(f"{name} {order}", scores.tolist()), flush=True)
    for order, found in of_order.items():
        print(_row(f"mean {order}", np.mean(found, axis=0).tolist()))


if __name__ == "__main__":
    main()
