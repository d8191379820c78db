"""Random partitions: links have their probabilities, alternatives exclude each other, the result is repeatable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mtmc.traffic.link_sampling import LinkedPassages, sample_partitions
from mtmc.types import Passage
from tests.builders import tracklet

SAMPLES = 2000
MARGIN = 4 * 0.5 / SAMPLES**0.5  # four standard errors of a share that is drawn
EXACT = 0.5 / SAMPLES


def linked(
    cameras: str, pairs: Sequence[tuple[int, int, float]], vehicle: Sequence[int] | None = None
) -> LinkedPassages:
    """One passage for each letter, a camera."""
    passages = [
        Passage(tracklet(camera, k, start_s=10.0 * k), np.zeros(0, np.float32), "", "", np.full((10, 2), np.nan))
        for k, camera in enumerate(cameras)
    ]
    ordered = sorted(pairs, key=lambda pair: -pair[2])
    return LinkedPassages(passages, vehicle or list(range(len(cameras))), ordered)


def shares(of: LinkedPassages, *pairs: tuple[int, int]) -> list[float]:
    """Share of partitions that join each pair."""
    partitions = sample_partitions(of, SAMPLES)
    return [
        sum(any(i in group and j in group for group in partition) for partition in partitions) / SAMPLES
        for i, j in pairs
    ]


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95])
def test_a_link_is_joined_with_its_probability(probability: float) -> None:
    assert shares(linked("ab", [(0, 1, probability)]), (0, 1)) == pytest.approx([probability], abs=EXACT)


def test_the_links_of_a_chain_each_have_their_probability() -> None:
    pairs = [(0, 1, 0.9), (1, 2, 0.8), (0, 2, 0.75)]  # the first two alone would join (0, 2) in 0.72
    *earlier, last = shares(linked("abc", pairs), (0, 1), (1, 2), (0, 2))
    assert last == pytest.approx(0.75, abs=EXACT)
    assert earlier == pytest.approx([0.9, 0.8], abs=MARGIN)  # the last pair joins one of them along with itself


def test_alternatives_exclude_each_other() -> None:
    of = linked("abb", [(0, 1, 0.6), (0, 2, 0.4)])  # passages 1 and 2 are in one camera, and two vehicles
    assert shares(of, (0, 1), (0, 2), (1, 2)) == pytest.approx([0.6, 0.4, 0.0], abs=EXACT)
    joined = {len(partition) for partition in sample_partitions(of, SAMPLES)}
    assert joined == {2}  # 0.6 + 0.4 = 1: passage 0 is always one vehicle with one of them


def test_passages_of_one_camera_are_joined_where_the_run_or_a_link_says_so() -> None:
    pairs = [(0, 1, 0.9), (0, 2, 0.9)]
    assert shares(linked("abb", pairs), (1, 2))[0] == 0.0
    assert shares(linked("abb", pairs, vehicle=[1, 1, 1]), (1, 2)) == pytest.approx([0.81], abs=MARGIN)
    with_link = linked("abb", [*pairs, (1, 2, 0.5)])
    assert shares(with_link, (1, 2))[0] > 0.7


def test_partitions_hold_every_passage_once_and_are_repeatable() -> None:
    rng = np.random.default_rng(0)
    pairs = [(i, j, float(rng.random())) for i in range(12) for j in range(i + 1, 12) if rng.random() < 0.4]
    of = linked("abcabcabcabc", pairs)
    partitions = sample_partitions(of, 50, seed=3)
    assert all(sorted(k for group in partition for k in group) == list(range(12)) for partition in partitions)
    assert partitions == sample_partitions(of, 50, seed=3)
    assert partitions != sample_partitions(of, 50, seed=4)
