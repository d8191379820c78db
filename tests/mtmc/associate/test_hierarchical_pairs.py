"""Agglomeration of possible pairs, against a naïve twin that recomputes every linkage from the members."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import HierarchicalConfig
from mtmc.scene import Link
from tests.mtmc.associate.test_hierarchical import RED, groups, naive_feasible, passage, scene

LINKAGES = ["average", "complete", "single", "mean_feature"]
WINDOWS = tuple(Link(f"c{a}", "", f"c{b}", "", -6.0, 20.0) for a in range(3) for b in range(3) if a != b)
ROAD = (Link("c0", "", "c1", "", 0, 10), Link("c1", "", "c2", "", 0, 10))


def choices(linkage, *, all_pairs=True, once_per_camera=True, **common):
    rules = HierarchicalConfig(all_pairs=all_pairs, linkage=linkage, once_per_camera=once_per_camera)
    return AssociateConfig(
        method="hierarchical", hierarchical=rules, **{"min_similarity": 0.5, "use_ground": False, **common}
    )


def linkage_of(one, two, items, linkage):
    rows = [np.stack([items[k].embedding.astype(float) for k in group]) for group in (one, two)]
    if linkage == "mean_feature":
        a, b = rows[0].mean(axis=0), rows[1].mean(axis=0)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    values = rows[0] @ rows[1].T
    return float({"average": values.mean(), "complete": values.min(), "single": values.max()}[linkage])


def naive(passages, links, config):
    items = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    parts = [[k] for k in range(len(items))]
    while True:
        options = []
        for one, two in combinations(sorted(parts), 2):
            if all(naive_feasible(items[i], items[j], links, config) for i in one for j in two):
                similarity = linkage_of(one, two, items, config.hierarchical.linkage)
                if similarity >= config.threshold - 1e-9:
                    options.append((-round(similarity, 9), one, two))
        if not options:
            return {frozenset((items[k].tracklet.camera_id, items[k].tracklet.track_id) for k in g) for g in parts}
        _, one, two = min(options)
        parts = [part for part in parts if part not in (one, two)] + [sorted(one + two)]


@st.composite
def situations(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    looks = rng.normal(size=(3, 4))
    passages = []
    for k in range(draw(st.integers(0, 12))):
        start = rng.uniform(0, 40)
        look = looks[rng.integers(3)] + 0.5 * rng.normal(size=4)
        passages.append(passage(f"c{rng.integers(3)}", k + 1, start, start + rng.uniform(0.1, 8), look))
    config = choices(
        draw(st.sampled_from(LINKAGES)),
        min_similarity=draw(st.sampled_from([0.0, 0.5, 0.8])),
        once_per_camera=draw(st.booleans()),
        max_gap_s=draw(st.sampled_from([5.0, 100.0])),
    )
    return passages, draw(st.sampled_from([(), WINDOWS, ROAD])), config, rng.permutation(len(passages))


@settings(max_examples=300, deadline=None)
@given(situations())
def test_equals_the_naive_twin_in_any_order(situation):
    passages, links, config, order = situation
    tracks = associate(passages, scene(*links), config)
    assert groups(tracks) == naive(passages, links, config)
    again = associate([passages[k] for k in order], scene(*links), config)
    assert [t.passages for t in again] == [t.passages for t in tracks]


@pytest.mark.parametrize("linkage", LINKAGES)
def test_a_chain_of_links_is_no_vehicle_unless_its_ends_are_linked(linkage):
    passages = [passage(f"c{k}", 1, 8 * k, 8 * k + 1, RED) for k in range(3)]
    assert len(associate(passages, scene(*ROAD), choices(linkage))) == 2
    assert len(associate(passages, scene(*ROAD, Link("c0", "", "c2", "", 10, 20)), choices(linkage))) == 1
    chained = choices(linkage, all_pairs=False)
    assert len(associate(passages, scene(*ROAD), chained)) == 1


def degrees(angle):
    return np.cos(np.radians(angle)), np.sin(np.radians(angle))


@pytest.mark.parametrize(
    ("linkage", "threshold", "expected"),
    [  # c0 at 0°, c1 at 10°: one. c2 at 50° is 50° and 40° off them, 45° off their mean.
        ("single", np.cos(np.radians(41)), 1),
        ("single", np.cos(np.radians(39)), 2),
        ("complete", np.cos(np.radians(51)), 1),
        ("complete", np.cos(np.radians(49)), 2),
        ("mean_feature", np.cos(np.radians(45.1)), 1),
        ("mean_feature", np.cos(np.radians(44.9)), 2),
        ("average", (np.cos(np.radians(50)) + np.cos(np.radians(40))) / 2 - 0.001, 1),
        ("average", (np.cos(np.radians(50)) + np.cos(np.radians(40))) / 2 + 0.001, 2),
    ],
)
@pytest.mark.parametrize("all_pairs", [True, False])
def test_each_linkage_by_hand(linkage, threshold, expected, all_pairs):
    passages = [passage(f"c{k}", 1, 2 * k, 2 * k + 1, degrees(angle)) for k, angle in enumerate((0, 10, 50))]
    config = choices(linkage, all_pairs=all_pairs, min_similarity=float(threshold))
    assert len(associate(passages, scene(), config)) == expected
