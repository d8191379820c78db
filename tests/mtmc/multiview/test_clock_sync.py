"""Clock offsets: the evidence against a naive twin, the path against all paths, clocks against known worlds."""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest

from mtmc.multiview import clock_sync
from mtmc.multiview.clock_sync import estimate_clock_offsets
from mtmc.multiview.trajectories import Trajectories, sample_trajectories
from tests.mtmc.associate.test_graph import passage

BINS, ZERO = 81, 40  # half-second bins from −20 s to 20 s


def offset_s(bin_: int) -> float:
    return (bin_ - ZERO) * 0.5


def naive_table(
    co_observations: list[tuple[int, int, float, float]], other_offset_s: float, steps: int
) -> np.ndarray:
    """The log likelihood ratios of a pair of cameras. A co-observation is (own, other, own time, other time)."""
    table = np.zeros((steps, BINS))
    for side in (0, 1):
        passages = sorted({m[side] for m in co_observations})
        rate = len(co_observations) / len(passages) / BINS
        for k in passages:
            own = [m for m in co_observations if m[side] == k]
            chance = 2 * (1 + len(own)) / (1 / rate + BINS)
            own_time = sum(m[2] for m in own) / len(own)
            other_time = sum(m[3] for m in own) / len(own)
            for b in range(BINS):
                count = 0.0
                for m in own:
                    wanted = m[3] + other_offset_s - m[2]
                    count += max(0.0, 1 - abs(wanted - offset_s(b)) / 1.0)
                seen_at = own_time if side == 0 else other_time + other_offset_s - offset_s(b)
                step = min(max(int(seen_at // 5), 0), steps - 1)
                table[step, b] += 0.5 * np.log(0.5 + 0.5 * count / chance)
    return table


@pytest.mark.parametrize("other_offset_s", [0.0, 2.0])
def test_the_evidence_of_two_cameras_against_a_naive_twin(other_offset_s: float) -> None:
    rng = np.random.default_rng(3)
    co_observations = [
        (int(own), int(other), float(time), float(time + rng.uniform(-8, 8)))
        for own, other, time in zip(
            rng.integers(0, 6, 25), rng.integers(0, 5, 25), rng.uniform(8, 40, 25), strict=True
        )
    ]
    camera = np.array([0] * 6 + [1] * 5)
    own, other, own_s, other_s = (np.array(column) for column in zip(*co_observations, strict=True))
    found = clock_sync._pairs_of_cameras(clock_sync._CoObservations(own, other + 6, own_s, other_s), camera, 0.0)
    table = found[0, 1].log_likelihood_ratios(np.full(10, other_offset_s), 10)
    np.testing.assert_allclose(table, naive_table(co_observations, other_offset_s, 10), atol=1e-9)

    # Seen from the other camera, the same co-observations imply the opposite offset.
    swapped = [(m[1], m[0], m[3], m[2]) for m in co_observations]
    table = found[1, 0].log_likelihood_ratios(np.full(10, other_offset_s), 10)
    np.testing.assert_allclose(table, naive_table(swapped, other_offset_s, 10), atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_best_of_all_that_never_decrease(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = 6 * rng.standard_normal((3, BINS))

    def log_posterior(path: tuple[int, ...]) -> float:
        jumps = sum(a != b for a, b in pairwise(path))
        change = 0.0 if path[0] == ZERO else np.log(81)
        return sum(table[k, b] for k, b in enumerate(path)) - jumps * np.log(100 * 40) - change

    best = max(combinations_with_replacement(range(BINS), 3), key=log_posterior)
    found = clock_sync._viterbi(table)
    assert found.bins.tolist() == list(best)
    assert found.log_posterior == pytest.approx(log_posterior(best))


def test_the_given_clock_is_kept_unless_the_odds_against_it_are_decisive() -> None:
    table = np.zeros((4, BINS))
    table[:, ZERO + 6] = 2.3  # 9.2 in all, against a prior of log 81 = 4.4: posterior log odds of 4.8
    assert (clock_sync._best_path(table).bins == ZERO).all()
    table[:, ZERO + 6] = 2.4  # 5.2
    assert (clock_sync._best_path(table).bins == ZERO + 6).all()


def test_as_many_clocks_of_a_group_as_possible_stay_as_given() -> None:
    offsets = np.array([[0, 4, 4, 4], [6, 4, 4, 4]])
    shifted = clock_sync._with_most_as_given(ZERO + offsets) - ZERO
    assert shifted.tolist() == [[-4, 0, 0, 0], [2, 0, 0, 0]]


def street(
    rng: np.random.Generator,
    begins: list[tuple[float, ...]],
    *,
    late_s: tuple[float, ...] = (0.0, 0.0),
    lost: tuple[int, float, float] = (0, np.inf, 0.0),
    seen: float = 1.0,
) -> tuple[Trajectories, np.ndarray]:
    """Vehicles of one lane, 80 m of which all cameras see; ``begins[c]`` is when they enter camera c's view.

    ``late_s``: how much each camera's clock is behind. ``lost``: (camera, when, seconds) of a loss of frames.
    """
    passages = []
    for c, times in enumerate(begins):
        for k, begin in enumerate(times):
            if rng.random() > seen:
                continue
            time_s = np.arange(0, 8, 0.1)
            ground = np.stack([10 * time_s + rng.normal(0, 0.3), np.full(80, rng.normal(0, 0.3))], axis=1)
            clock_s = begin + time_s - late_s[c]
            if c == lost[0] and begin > lost[1]:
                clock_s = clock_s - lost[2]
            passages.append(passage(f"c{c}", k + 1, clock_s, ground))
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    return sample_trajectories(passages), camera


def poisson(rng: np.random.Generator, per_s: float, duration_s: float) -> tuple[float, ...]:
    gaps = rng.exponential(1 / per_s, int(2 * per_s * duration_s)) + 1.0
    times = np.cumsum(gaps)
    return tuple(times[times < duration_s].tolist())


@pytest.mark.parametrize("seed", range(6))
def test_no_clock_is_invented_in_a_stream_of_equal_vehicles(seed: int) -> None:
    """Dense platoons every 15 s, of which either camera misses three in ten: many other offsets have matches, too."""
    rng = np.random.default_rng(seed)
    times = tuple(15.0 * wave + 2.0 * k + rng.uniform(0, 0.6) for wave in range(8) for k in range(5))
    trajectories, camera = street(rng, [times, times], seen=0.7)
    assert estimate_clock_offsets(trajectories, camera) is None


@pytest.mark.parametrize("seed", range(6))
def test_unrelated_streets_keep_their_clocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trajectories, camera = street(rng, [poisson(rng, 0.2, 120), poisson(rng, 0.2, 120)])
    assert estimate_clock_offsets(trajectories, camera) is None


def test_offsets_and_losses_are_found_more_finely_than_a_bin() -> None:
    rng = np.random.default_rng(4)
    times = poisson(rng, 0.25, 200)
    trajectories, camera = street(rng, [times, times, times], late_s=(0.0, 2.3, 0.0), lost=(2, 100.0, 4.8), seen=0.9)
    offsets = estimate_clock_offsets(trajectories, camera)
    assert offsets is not None
    at = np.repeat([40.0, 170.0], 3)
    found = offsets.at(at, np.tile(np.arange(3), 2)).reshape(2, 3)
    np.testing.assert_allclose(found, [[0.0, 2.3, 0.0], [0.0, 2.3, 4.8]], atol=0.15)

    # Frames get lost, and are never found.
    assert (np.diff(offsets.offset_s, axis=0) >= 0).all()


def test_passages_late_in_a_recording_are_compared() -> None:
    """Two cameras see a vehicle at one position, the second one three seconds later, after an hour."""
    ground = np.stack([10 * np.arange(0, 8, 0.1), np.zeros(80)], axis=1)
    passages = [passage(f"c{c}", 1, 3600 + 3 * c + np.arange(0, 8, 0.1), ground) for c in range(2)]
    found = clock_sync._find_co_observations(sample_trajectories(passages), np.array([0, 1]), 6.0)
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])
    assert found.second_s - found.first_s == pytest.approx([3.0])


def test_passages_without_a_calibration_have_no_samples() -> None:
    ground = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
    passages = [passage("c0", 1, 0.1 * np.arange(20), np.full((20, 2), np.nan))]
    passages.append(passage("c0", 2, 0.1 * np.arange(20), ground))
    found = sample_trajectories(passages)
    assert found.owner.tolist() == [1, 1, 1, 1]  # at 0, 0.5, 1 and 1.5 s
    np.testing.assert_allclose(found.xy[:, 0], [0, 5, 10, 15], atol=1e-9)
    assert found.first.tolist() == [-1, 0]
    assert found.last.tolist() == [-1, 3]
