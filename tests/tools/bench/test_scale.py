"""The workloads of association at scale: what they promise, and F1 of pairs against a twin that counts pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tools.bench.scale import METHODS_ON_TRIAL
from tools.bench.workload_cluster import city, pair_f1, road


def test_f1_of_pairs_against_a_twin():
    rng = np.random.default_rng(1)
    found, true = rng.integers(0, 6, 30), rng.integers(0, 5, 30)
    pairs = [{(i, j) for i, j in combinations(range(30), 2) if v[i] == v[j]} for v in (found, true)]
    expected = 2 * len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))
    assert pair_f1(found, true) == pytest.approx(expected)


@pytest.mark.parametrize("make", [city, road])
def test_workloads_are_as_large_as_asked_for_and_repeat(make):
    work, again = make(300, 16), make(300, 16)
    assert len(work.passages) == len(work.vehicle) == 300
    names = {camera.id for camera in work.scene.cameras}
    assert {p.tracklet.camera_id for p in work.passages} <= names
    assert len({(p.tracklet.camera_id, p.tracklet.track_id) for p in work.passages}) == 300
    assert [p.embedding.tobytes() for p in work.passages] == [p.embedding.tobytes() for p in again.passages]
    assert (work.vehicle == again.vehicle).all()


def test_a_city_grows_with_its_tracklets():
    assert len(city(400, 8).scene.cameras) == 4
    assert len(city(1600, 8).scene.cameras) == 16


@pytest.mark.parametrize("method", list(METHODS_ON_TRIAL))
def test_everyone_on_trial_labels_every_tracklet(method):
    work = road(60, 16)
    assert METHODS_ON_TRIAL[method](work).shape == (60,)
