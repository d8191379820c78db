"""Joined and rejected pairs against a loop over all candidates, and their file against what was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate, associate_with_evidence
from mtmc.associate.candidates import CUES, Candidates
from mtmc.associate.graph import candidate_graph, solve
from mtmc.associate.numbering import in_order, number
from mtmc.associate.tracklet_links import TrackletLinks, links_of
from mtmc.errors import FormatError
from mtmc.pipeline.links import read_links, write_links
from mtmc.types import GlobalTrack, Passage
from tests.mtmc.associate.test_graph import place, town

Row = tuple[str, int, str, int, int, str]


def by_hand(
    passages: list[Passage], candidates: Candidates, tracks: list[GlobalTrack]
) -> dict[Row, dict[str, float]]:
    """What each row must be → its log odds by cue, without those that are zero."""
    name = [(p.tracklet.camera_id, p.tracklet.track_id) for p in passages]
    vehicle = {(p.tracklet.camera_id, p.tracklet.track_id): t.global_id for t in tracks for p in t.passages}
    constraints = candidates.evidence.constraints
    rows: dict[Row, dict[str, float]] = {}
    for (i, j), total in zip(candidates.pairs.tolist(), candidates.log_odds.tolist(), strict=True):
        a, b = name[i], name[j]
        one = vehicle[a] == vehicle[b]
        if one or total > 0:
            rule = "" if one else constraints.rule(i, j)
            rows[(*a, *b, vehicle[a] if one else 0, rule)] = candidates.explain(i, j)
    return rows


@pytest.fixture(scope="module")
def world() -> tuple[list[Passage], list[GlobalTrack], TrackletLinks]:
    passages = in_order(town(np.random.default_rng(3), 30, split=0.5)[0])
    found = associate_with_evidence(passages[::-1], place(), AssociateConfig())
    assert found.links is not None
    return passages, found.tracks, found.links


def test_links_against_a_loop_over_all_candidates(
    world: tuple[list[Passage], list[GlobalTrack], TrackletLinks],
) -> None:
    passages, tracks, links = world
    candidates, _ = candidate_graph(passages, place(), AssociateConfig())
    expected = by_hand(passages, candidates, tracks)
    names = ("camera_a", "track_a", "camera_b", "track_b", "global_id", "rule")
    found = list(zip(*(getattr(links, name).tolist() for name in names), strict=True))
    assert found == list(expected)
    assert found == sorted(found, key=lambda row: row[:4])
    assert {row[4] > 0 for row in found} == {True, False}
    for k, cues in enumerate(expected.values()):
        own = {name: float(links.cues[name][k]) for name in CUES if links.cues[name][k]}
        assert own == pytest.approx(cues)
    np.testing.assert_allclose(sum(links.cues.values()), links.log_odds, atol=1e-12)


def test_a_rejected_pair_names_the_rule_that_forbids_it(
    world: tuple[list[Passage], list[GlobalTrack], TrackletLinks],
) -> None:
    passages, _, _ = world
    free, constraints = candidate_graph(passages, place(), AssociateConfig())
    best = int(free.log_odds.argmax())
    i, j = free.pairs[best].tolist()
    forbidden = constraints.replaced(cannot_link=[(i, j)])
    candidates = replace(free, evidence=replace(free.evidence, constraints=forbidden))
    labels = solve(candidates, forbidden)
    links = links_of(candidates, passages, labels, number(passages, labels))
    a, b = passages[i].tracklet, passages[j].tracklet
    is_pair = (links.camera_a == a.camera_id) & (links.track_a == a.track_id)
    is_pair &= (links.camera_b == b.camera_id) & (links.track_b == b.track_id)
    assert (links.rule[is_pair].tolist(), links.global_id[is_pair].tolist()) == (["cannot link"], [0])
    assert set(links.rule[~is_pair].tolist()) == {""}


def test_the_evidence_changes_no_identity(world: tuple[list[Passage], list[GlobalTrack], TrackletLinks]) -> None:
    passages, tracks, _ = world
    plain = associate(passages, place(), AssociateConfig())
    assert [(t.global_id, *map(id, t.passages)) for t in plain] == [
        (t.global_id, *map(id, t.passages)) for t in tracks
    ]


def test_pairs_of_a_vehicle_that_is_left_out_are_left_out() -> None:
    passages, _ = town(np.random.default_rng(3), 20, split=1.0)
    alone = [p for p in passages if p.tracklet.camera_id == "c0"]
    config = AssociateConfig(keep_single_camera=False)
    found = associate_with_evidence(alone, place(), config)
    kept = associate_with_evidence(alone, place(), AssociateConfig())
    assert found.tracks == []
    assert kept.links is not None
    assert (kept.links.global_id > 0).any()
    assert found.links is not None
    assert (found.links.global_id == 0).all()
    assert len(found.links) == (kept.links.global_id == 0).sum()


def test_other_methods_have_no_links() -> None:
    passages, _ = town(np.random.default_rng(3), 5)
    found = associate_with_evidence(passages, place(), AssociateConfig(method="hierarchical"))
    assert (found.links, found.model) == (None, None)
    assert found.tracks


def test_the_similarity_of_the_card_stands_in_for_a_setting_that_is_not_given() -> None:
    passages, _ = town(np.random.default_rng(3), 10)
    strict = associate(passages, place(), AssociateConfig(method="hierarchical"), 0.999)
    given = associate(passages, place(), AssociateConfig(method="hierarchical", min_similarity=0.999))
    chosen = associate(passages, place(), AssociateConfig(method="hierarchical", min_similarity=0.3), 0.999)
    assert len(strict) == len(given) > len(chosen)


def test_the_file_gives_back_what_was_written(
    world: tuple[list[Passage], list[GlobalTrack], TrackletLinks], tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    _, _, links = world
    write_links(links, tmp_path / "links.parquet")
    again = read_links(tmp_path / "links.parquet")
    for name, column in links.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], column)
        assert again.arrays()[name].dtype.kind == column.dtype.kind
    types = {f.name: str(f.type) for f in pq.read_schema(tmp_path / "links.parquet")}
    assert types == {
        "camera_a": "string",
        "track_a": "int64",
        "camera_b": "string",
        "track_b": "int64",
        "global_id": "int64",
        "probability": "double",
        "log_odds": "double",
        **dict.fromkeys(CUES, "double"),
        "rule": "string",
    }
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(FormatError, match="expected the links of a run, got something else"):
        read_links(tmp_path / "bad.parquet")
