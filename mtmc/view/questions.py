"""Which links to ask a person about: those whose answer is expected to correct most boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.associate.candidates import Candidates
from mtmc.associate.link_probability import link_probability
from mtmc.types import Array
from mtmc.view.association import CorrectedRun

__all__ = ["Question", "questions"]


@dataclass(frozen=True, slots=True)
class Question:
    """Are these two passages one vehicle?

    Attributes:
        a, b: Passages, a < b.
        is_joined: Whether the present solution says so.
        probability: That they are one vehicle.
        boxes: Boxes whose identity would change if the present solution were wrong.
    """

    a: int
    b: int
    is_joined: bool
    probability: float
    boxes: int

    @property
    def expected_boxes(self) -> float:
        """Probability that the present solution is wrong, times the boxes that depend on it."""
        return self.boxes * (1 - self.probability if self.is_joined else self.probability)


def questions(candidates: Candidates, solution: CorrectedRun, boxes: Array) -> list[Question]:
    """Open questions, those first that are expected to correct most boxes.

    Pairs whose answer follows from earlier answers are left out. Of all pairs between two groups that an answer would
    join or separate as a whole, the most doubtful one stands for all.

    Args:
        candidates: Pairs of N passages.
        solution: The present identities.
        boxes: int64 (N,), boxes of each passage.
    """
    rows = _open_rows(candidates, solution)
    probability = link_probability(candidates, solution.labels, rows)
    first, second = candidates.pairs[rows].T
    is_joined = solution.labels[first] == solution.labels[second]
    at_stake = _boxes_at_stake(candidates, solution.labels, rows, boxes)
    expected = at_stake * np.where(is_joined, 1 - probability, probability)

    found: list[Question] = []
    asked: set[tuple[int, int]] = set()
    group = solution.corrections.groups(candidates.n)
    for k in np.lexsort([second, first, -expected]).tolist():
        a, b = int(first[k]), int(second[k])
        # A joined pair stands for the two groups that must be one vehicle, a rejected one for the two vehicles.
        key = (group[a], group[b]) if is_joined[k] else (solution.labels[a], solution.labels[b])
        name = (int(min(key)), int(max(key)))
        if name in asked:
            continue
        asked.add(name)
        found.append(Question(a, b, bool(is_joined[k]), float(probability[k]), int(at_stake[k])))
    return found


def _open_rows(candidates: Candidates, solution: CorrectedRun) -> Array:
    """Rows of pairs that are joined or have positive log odds, and that no answer decides: int64 (L,)."""
    labels, pairs = solution.labels, candidates.pairs
    group = solution.corrections.groups(candidates.n)
    known = solution.corrections.known(candidates.n)
    is_joined = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    of_group = np.sort(group[pairs], axis=1)
    is_open = of_group[:, 0] != of_group[:, 1]
    if known:
        key = of_group[:, 0].astype(np.int64) * candidates.n + of_group[:, 1]
        is_open &= ~np.isin(key, [i * candidates.n + j for i, j in known])
    return np.flatnonzero(is_open & (is_joined | (candidates.log_odds > 0)))


def _boxes_at_stake(candidates: Candidates, labels: Array, rows: Array, boxes: Array) -> Array:
    """Boxes that would change their identity if the present decision about each pair were wrong: int64 (L,).

    Of two vehicles that should be one, the smaller one changes. A vehicle that should be two falls apart by the sign
    of the difference of log odds to the two passages of the pair, and its smaller part changes.
    """
    of_label = np.bincount(labels, boxes, minlength=candidates.n)
    first, second = candidates.pairs[rows].T
    at_stake = np.minimum(of_label[labels[first]], of_label[labels[second]])
    members: dict[int, list[int]] = {}
    for k, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(k)
    pairwise = candidates.pairwise()
    for r in np.flatnonzero(labels[first] == labels[second]).tolist():
        a, b = int(first[r]), int(second[r])
        others = [k for k in members[int(labels[a])] if k not in (a, b)]
        to_a = pairwise.sums([[k] for k in others], [[a]] * len(others))
        to_b = pairwise.sums([[k] for k in others], [[b]] * len(others))
        with_a = boxes[a] + sum(int(boxes[k]) for k, x, y in zip(others, to_a, to_b, strict=True) if x >= y)
        at_stake[r] = min(with_a, of_label[labels[a]] - with_a)
    return np.asarray(at_stake, np.int64)
