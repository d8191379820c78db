"""Which links to ask a person about: those whose answer is expected to correct most boxes.

The expected number of boxes is the probability that the present decision is wrong, times the boxes that depend on it:

* *Joined.* That the parts A and B of a vehicle are one rests on the strongest link between them. Links of a maximum
  spanning tree of the vehicle are therefore asked about, and no others. Taking one away leaves A and B. If the link
  is wrong, the boxes of the smaller part have a wrong identity.
* *Rejected.* Of all pairs between two vehicles the most probable one is asked about. If both are one vehicle, the
  boxes of the larger one may have its identity, and those of the other have a wrong one. A vehicle that one camera
  sees has no identity across cameras: if another camera sees it too, all of its boxes are wrong. If a constraint or
  an earlier answer keeps the two apart, they are not one as a whole: only the passages of the pair itself can be
  wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.associate.candidates import Candidates
from mtmc.associate.constraints import Constraints
from mtmc.associate.link_probability import link_features, members_of
from mtmc.types import Array
from mtmc.view.association import CorrectedRun

__all__ = ["Question", "questions"]

_LEAST_EXPECTED_BOXES = 1.0  # fewer are not worth a question

#: The neighbors of each node of a forest.
Forest = Mapping[int, list[int]]


@dataclass(frozen=True, slots=True)
class Question:
    """Are these two passages one vehicle?

    Attributes:
        a, b: Passages, a < b.
        is_joined: Whether the present solution says so.
        probability: That they are one vehicle.
        boxes: Boxes whose identity is wrong if the present solution is.
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

    Pairs whose answer follows from earlier answers are left out.

    Args:
        candidates: Pairs of N passages.
        solution: The present identities.
        boxes: int64 (N,), boxes of each passage.
    """
    rows = _open_rows(candidates, solution)
    probability = link_features(candidates, solution.labels, rows, None).probability()
    # The most probable pairs first; sorting is stable and rows are in order of their passages.
    order = np.argsort(-probability, kind="stable")
    rows, probability = rows[order], probability[order]
    pairs = candidates.pairs[rows]
    is_joined = solution.labels[pairs[:, 0]] == solution.labels[pairs[:, 1]]
    found = [
        *_joined(pairs[is_joined], probability[is_joined], solution, boxes),
        *_rejected(rows[~is_joined], probability[~is_joined], candidates, solution, boxes),
    ]
    found = [question for question in found if question.expected_boxes >= _LEAST_EXPECTED_BOXES]
    return sorted(found, key=lambda question: (-question.expected_boxes, question.a, question.b))


def _open_rows(candidates: Candidates, solution: CorrectedRun) -> Array:
    """Rows of candidate pairs that no answer decides: int64 (L,)."""
    group = solution.corrections.groups(candidates.n)
    of_group = np.sort(group[candidates.pairs], axis=1).astype(np.int64)
    is_open = of_group[:, 0] != of_group[:, 1]
    known = [i * candidates.n + j for i, j in solution.corrections.known(candidates.n)]
    return np.flatnonzero(is_open & ~np.isin(of_group[:, 0] * candidates.n + of_group[:, 1], known))


def _joined(pairs: Array, probability: Array, solution: CorrectedRun, boxes: Array) -> Iterator[Question]:
    """The links of a maximum spanning forest; pairs int (L, 2) come in descending order of probability."""
    group = solution.corrections.groups(len(boxes))  # what must be one vehicle is one node
    connected = DisjointSet(np.unique(group).tolist())
    forest: dict[int, list[int]] = defaultdict(list)
    links = []
    for k, (a, b) in enumerate(group[pairs].tolist()):
        if connected.merge(a, b):
            forest[a].append(b)
            forest[b].append(a)
            links.append(k)
    of_node = np.bincount(group, boxes, minlength=len(boxes))
    of_vehicle = np.bincount(solution.labels, boxes, minlength=len(boxes))
    for k in links:
        a, b = pairs[k].tolist()
        part = of_node[_part(forest, int(group[a]), int(group[b]))].sum()
        at_stake = min(part, of_vehicle[solution.labels[a]] - part)
        yield Question(a, b, True, float(probability[k]), int(at_stake))


def _part(forest: Forest, start: int, barrier: int) -> list[int]:
    """The nodes that can be reached without the link from ``start`` to ``barrier``."""
    reached, ahead = {start, barrier}, [start]
    while ahead:
        following = [node for node in forest[ahead.pop()] if node not in reached]
        reached.update(following)
        ahead += following
    return sorted(reached - {barrier})


def _constraints(candidates: Candidates, solution: CorrectedRun) -> Constraints:
    """Those that the solution was found under."""
    corrections = solution.corrections
    return candidates.evidence.constraints.replaced(
        must_link=corrections.must_link, cannot_link=corrections.cannot_link
    )


def _rejected(
    rows: Array, greatest: Array, candidates: Candidates, solution: CorrectedRun, boxes: Array
) -> Iterator[Question]:
    """The most probable pair of every two vehicles.

    Args:
        rows: int (L,), rows of rejected pairs, in descending order of ``greatest``.
        greatest: float64 (L,), the probability of each pair if nothing keeps the two vehicles apart.
        candidates: As in :func:`questions`, like the others.
        solution: The present identities.
        boxes: int64 (N,).
    """
    labels, group = solution.labels, solution.corrections.groups(len(boxes))
    of_vehicle = np.bincount(labels, boxes, minlength=len(boxes)).astype(np.int64)
    of_node = np.bincount(group, boxes, minlength=len(boxes)).astype(np.int64)
    vehicles = np.sort(labels[candidates.pairs[rows]], axis=1).astype(np.int64)
    _, first = np.unique(vehicles[:, 0] * len(boxes) + vehicles[:, 1], return_index=True)
    most = greatest[first] * of_vehicle[vehicles[first]].sum(axis=1)
    rows = rows[first[most >= _LEAST_EXPECTED_BOXES]]

    features = link_features(candidates, labels, rows, _constraints(candidates, solution).conflict)
    camera, members = candidates.evidence.aligned.camera, members_of(labels)
    probability, is_apart = features.probability().tolist(), features.is_apart.tolist()
    for (a, b), p, apart in zip(candidates.pairs[rows].tolist(), probability, is_apart, strict=True):
        both = members[int(labels[a])], members[int(labels[b])]
        stake = of_node[group[[a, b]]].min() if apart else _wrong_if_one(both, camera, boxes)
        yield Question(a, b, False, p, int(stake))


def _wrong_if_one(vehicles: Sequence[list[int]], camera: Array, boxes: Array) -> int:
    """Boxes of two vehicles, given by their passages, whose identity is wrong if both are one.

    With |A| ≥ |B| boxes: |B| if several cameras see A, or one camera sees both. Else A has no identity across cameras
    that its boxes could keep: |A| if several cameras see B, |A| + |B| if they do not.
    """
    size = [int(boxes[members].sum()) for members in vehicles]
    cameras = [set(camera[members].tolist()) for members in vehicles]
    is_one_camera = len(set.union(*cameras)) == 1
    kept = [count for count, seen_by in zip(size, cameras, strict=True) if is_one_camera or len(seen_by) > 1]
    return sum(size) - max(kept, default=0)
