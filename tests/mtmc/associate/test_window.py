"""A sliding window with fixed identities, beside association of everything at once."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.fitting import fit_scene_model
from mtmc.associate.window import WindowAssociation
from tests.mtmc.associate.frozen import FILES, load
from tools.bench.workload_cluster import pair_f1

CONFIG = AssociateConfig()


def by_end(passages, step_s):
    ordered = sorted(passages, key=lambda p: p.tracklet.end_s)
    return [
        [p for p in ordered if begin <= p.tracklet.end_s < begin + step_s]
        for begin in np.arange(ordered[0].tracklet.end_s, ordered[-1].tracklet.end_s + step_s, step_s)
    ]


def labels_of(passages, identity):
    return np.array([identity[p.tracklet.camera_id, p.tracklet.track_id] for p in passages])


def replayed(world, step_s, **choices):
    window = WindowAssociation(world.scene, CONFIG, **choices)
    identity, sizes = {}, []
    for part in [*by_end(world.passages, step_s), None]:
        for one in window.finish() if part is None else window.add(part):
            name = one.passage.tracklet.camera_id, one.passage.tracklet.track_id
            assert name not in identity  # each is committed once, and stays
            identity[name] = one.identity
        sizes.append(len(window))
    return labels_of(world.passages, identity), sizes


#: Without positions and links, routes are known only after a while: the first vehicles stay apart.
_ROUTES_UNKNOWN = ("nothing_known",)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nearly_what_all_at_once_gives(path):
    world = load(path)
    tracks = associate(world.passages, world.scene, CONFIG)
    whole = labels_of(
        world.passages, {(p.tracklet.camera_id, p.tracklet.track_id): t.global_id for t in tracks for p in t.passages}
    )
    labels, _ = replayed(world, 10.0)
    if path.stem in _ROUTES_UNKNOWN:
        joined = [(i, j) for i, j in combinations(range(len(labels)), 2) if labels[i] == labels[j]]
        assert sum(whole[i] == whole[j] for i, j in joined) >= 0.8 * len(joined)
    else:
        assert pair_f1(labels, whole) > 0.8
    assert labels.min() == 1
    assert set(labels.tolist()) == set(range(1, labels.max() + 1))  # no number is left out


def test_one_call_is_association_at_once():
    world = load(next(path for path in FILES if path.stem == "crossroads"))
    labels, _ = replayed(world, 1e6, settle_s=1e9)
    tracks = associate(world.passages, world.scene, CONFIG)
    given = {(p.tracklet.camera_id, p.tracklet.track_id): t.global_id for t in tracks for p in t.passages}
    assert labels.tolist() == labels_of(world.passages, given).tolist()


def test_what_ended_long_ago_is_forgotten():
    world = load(next(path for path in FILES if path.stem == "crossroads"))
    _, sizes = replayed(world, 5.0, settle_s=4.0, memory_s=6.0)
    assert max(sizes) < len(world.passages) / 2


def test_a_tracklet_comes_once():
    world = load(next(path for path in FILES if path.stem == "crossroads"))
    window = WindowAssociation(world.scene, CONFIG)
    window.add(world.passages[:2])
    with pytest.raises(ValueError, match="each tracklet once"):
        window.add(world.passages[1:3])


def test_the_scene_model_is_fitted_to_a_longer_history(monkeypatch):
    world = load(next(path for path in FILES if path.stem == "crossroads"))
    fitted = []

    def recorded(passages, scene, config):
        fitted.append([(p.tracklet.camera_id, p.tracklet.track_id, p.tracklet.end_s) for p in passages])
        return fit_scene_model(passages, scene, config)

    monkeypatch.setattr("mtmc.associate.window.fit_scene_model", recorded)
    _, sizes = replayed(world, 2.0, settle_s=4.0, memory_s=6.0, history_s=20.0)
    assert max(map(len, fitted)) > max(sizes)
    assert len(fitted) < len(sizes)
    for passages in fitted:
        ends = [end_s for *_, end_s in passages]
        assert max(ends) - min(ends) <= 20.0
    for before, after in pairwise(fitted):
        assert len(set(after) - set(before)) >= WindowAssociation.REFIT_SHARE * len(after)
