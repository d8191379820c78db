"""Pairs and identities given from outside: what the solver makes of them, and a model saved and applied again."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mtmc.associate import AssociateConfig
from mtmc.associate.candidates import candidates
from mtmc.associate.fitting import fit_scene_model
from mtmc.associate.graph import candidate_graph, solve
from mtmc.associate.scene_model import SceneModel
from mtmc.errors import FormatError
from tests.mtmc.associate.frozen import FILES, load

CONFIG = AssociateConfig()


def frozen(name):
    return load(next(path for path in FILES if path.stem == name))


@pytest.fixture(scope="module")
def crossroads():
    world = frozen("crossroads")
    found, constraints = candidate_graph(world.passages, world.scene, CONFIG)
    return found, constraints, solve(found, constraints)


def same_groups(a, b):
    return np.array_equal(a[:, None] == a, b[:, None] == b)


def test_identities_that_stand_are_kept_and_others_join_them(crossroads):
    found, constraints, labels = crossroads
    fixed = np.full(len(labels), -1)
    known = np.arange(0, len(labels), 2)
    fixed[known] = 1000 + labels[known]
    again = solve(found, constraints, fixed)
    np.testing.assert_array_equal(again[known], fixed[known])
    assert (again[fixed < 0] >= 0).all()
    joined = np.isin(again[fixed < 0], fixed[known])
    assert joined.mean() > 0.5  # most vehicles have a member among every second passage
    assert same_groups(again, labels) or (again[:, None] == again).sum() > 0.9 * (labels[:, None] == labels).sum()


def test_wrong_identities_stand_too(crossroads):
    """Two passages of one vehicle under two identities stay apart, two of different ones under one together."""
    found, constraints, labels = crossroads
    pairs = list(combinations(range(len(labels)), 2))
    together = next((i, j) for i, j in pairs if labels[i] == labels[j])
    apart = next((i, j) for i, j in pairs if labels[i] != labels[j] and labels[i] != labels[together[0]])
    fixed = np.full(len(labels), -1)
    fixed[list(together)], fixed[list(apart)] = (7, 8), 9
    again = solve(found, constraints, fixed)
    assert again[list(together)].tolist() == [7, 8]
    assert again[list(apart)].tolist() == [9, 9]
    assert constraints.replaced(identity=fixed).rule(*together) == "two identities"
    assert not set(again[fixed < 0].tolist()) & set(range(7))  # new identities come after those that stand


def test_nothing_fixed_is_the_plain_solution(crossroads):
    found, constraints, labels = crossroads
    assert same_groups(solve(found, constraints, np.full(len(labels), -1)), labels)


def test_pairs_that_must_or_cannot_be_linked(crossroads):
    found, constraints, labels = crossroads
    pairs = list(combinations(range(len(labels)), 2))
    must = [p for p in pairs if constraints.rule(*p)][:3]  # whatever a rule says
    cannot = [p for p in pairs if labels[p[0]] == labels[p[1]] and not set(p) & {k for q in must for k in q}][:5]
    given = constraints.replaced(must_link=must, cannot_link=cannot)
    again = solve(found, given)
    assert all(again[i] == again[j] for i, j in must)
    assert all(again[i] != again[j] for i, j in cannot)
    assert [given.rule(*p) for p in (*must, *cannot)] == [""] * 3 + ["cannot link"] * 5


def test_must_link_cannot_join_two_identities(crossroads):
    _, constraints, labels = crossroads
    fixed = np.full(len(labels), -1)
    fixed[[0, 1]] = 3, 4
    with pytest.raises(ValueError, match=r"identities that stand already: \[3, 4\]"):
        constraints.replaced(must_link=[(0, 1)], identity=fixed)


@pytest.mark.parametrize("name", ["crossroads", "aligned_planes", "links_only", "nothing_known"])
def test_a_saved_model_gives_the_same_log_odds(name, tmp_path):
    world = frozen(name)
    model = fit_scene_model(world.passages, world.scene, CONFIG)
    model.save(tmp_path / "model.npz")
    found = candidates(world.passages, world.scene, CONFIG, SceneModel.load(tmp_path / "model.npz"))
    fitted, constraints = candidate_graph(world.passages, world.scene, CONFIG)
    np.testing.assert_array_equal(found.pairs, fitted.pairs)
    np.testing.assert_array_equal(found.log_odds, fitted.log_odds)
    np.testing.assert_array_equal(solve(found, constraints), solve(fitted, constraints))


def test_a_model_serves_some_of_its_cameras(tmp_path):
    """What is known of a camera does not depend on which others there are."""
    world = frozen("crossroads")
    model = fit_scene_model(world.passages, world.scene, CONFIG)
    some = [p for p in world.passages if p.tracklet.camera_id != "c001"]
    rows = [k for k, p in enumerate(world.passages) if p.tracklet.camera_id != "c001"]
    whole, part = (candidates(p, world.scene, CONFIG, model) for p in (world.passages, some))
    shared = 0
    for (i, j), cosine in zip(part.pairs.tolist(), part.evidence.cosine, strict=True):
        row = whole.row(rows[i], rows[j])
        if row >= 0:
            shared += 1
            assert whole.evidence.cosine[row] == pytest.approx(cosine, abs=1e-5)
    assert shared > 100
    position = whole.evidence.aligned.trajectories, part.evidence.aligned.trajectories
    for k, row in enumerate(rows[:20]):
        np.testing.assert_allclose(position[0].xy[position[0].first[row]], position[1].xy[position[1].first[k]])


def test_what_is_no_model_is_an_error(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, version=0)
    with pytest.raises(FormatError, match="fit it again"):
        SceneModel.load(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_model_that_was_cut_off_is_an_error(tmp_path, share):
    world = frozen("crossroads")
    path = tmp_path / "model.npz"
    fit_scene_model(world.passages, world.scene, CONFIG).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FormatError, match="expected a scene model of association"):
        SceneModel.load(path)
    path.write_bytes(whole[:100] + bytes(len(whole) // 2) + whole[100 + len(whole) // 2 :])
    with pytest.raises(FormatError, match="expected a scene model of association"):
        SceneModel.load(path)
