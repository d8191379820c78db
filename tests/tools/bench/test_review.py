"""The oracle of the review bench on a town whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mtmc.diagnose.matched_run import MatchedRun
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.table import Table
from mtmc.types import GlobalTrack
from mtmc.view.questions import Question
from tests.mtmc.view.town import VEHICLES, town
from tools.bench.review import (
    at_random,
    connected,
    idf1_of_best_questions,
    idf1_of_own_links,
    idf1_per_answer,
    reviewed_run,
    strongest_links,
    true_vehicles,
)

#: The run takes this vehicle of one camera and that of the other for one; by the truth they are two.
WRONG = 1


@pytest.fixture
def world(tmp_path: Path):
    viewed = town(tmp_path)
    number = {camera.id: camera.number for camera in viewed.cameras}
    passages = viewed.passages
    vehicles = {k + 1: (passages[k], passages[VEHICLES + k]) for k in range(VEHICLES)}
    vehicles |= {WRONG + 1: (passages[WRONG],), VEHICLES + 1: (passages[VEHICLES + WRONG],)}
    truth = table_of_tracks([GlobalTrack(k, members) for k, members in vehicles.items()], number)
    written = table_of_tracks(viewed.run.tracks, number)
    return viewed, MatchedRun.of(truth, written, Table.empty(), {}, "plain")


def test_the_oracle_knows_the_vehicles(world) -> None:
    viewed, matched = world
    expected = [*range(1, VEHICLES + 1)] * 2
    expected[VEHICLES + WRONG] = VEHICLES + 1
    np.testing.assert_array_equal(true_vehicles(viewed, matched), expected)


@pytest.mark.parametrize("choose", [lambda found: found[0], at_random(0)], ids=["review", "random"])
def test_answers_lead_to_the_truth(world, choose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    viewed, matched = world
    scores = idf1_per_answer(reviewed_run(viewed, matched), choose)
    assert scores[0] == pytest.approx(matched.score(matched.written).idf1, abs=0.01)
    assert scores[0] == pytest.approx(1 - 1 / (2 * VEHICLES))  # one of two passages of one vehicle
    assert scores[-1] == pytest.approx(1.0)


def test_own_links_lead_to_the_truth_of_links_that_depend_on_nothing_else(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)
    viewed, matched = world
    scores = idf1_of_own_links(reviewed_run(viewed, matched), (0, 100))
    assert scores == pytest.approx([1 - 1 / (2 * VEHICLES), 1.0])


def test_ghosts_are_one_vehicle_with_no_other(world) -> None:
    """Two tracklets that match no true vehicle are not the same, though both have the label −1."""
    reviewed = reviewed_run(*world)
    ghosts = replace(reviewed, vehicle=np.where(np.arange(2 * VEHICLES) < 2, -1, reviewed.vehicle))
    assert not ghosts.is_same(Question(0, 1, False, 0.5, 1))
    assert ghosts.is_same(Question(2, VEHICLES + 2, True, 0.5, 1))


def test_an_answer_adds_its_own_link(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another truth, vehicle 5 of the first camera and 7 of the second are one: only the answer joins them."""
    monkeypatch.setattr("tools.bench.review.questions", lambda *_: [Question(5, VEHICLES + 7, False, 0.5, 40)])
    reviewed = reviewed_run(*world)
    vehicle = reviewed.vehicle.copy()
    vehicle[VEHICLES + 7] = vehicle[5]
    seen = []
    scored = replace(reviewed, vehicle=vehicle, score=lambda labels: seen.append(labels) or 0.0)
    idf1_of_own_links(scored, (0, 1))
    before, after = seen
    assert before[5] != before[VEHICLES + 7]
    assert after[5] == after[VEHICLES + 7]


def test_a_vehicle_hangs_together_by_its_most_probable_links(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passages of one vehicle: of their three links the two of .9 and .8 are the tree."""
    candidates = SimpleNamespace(pairs=np.array([[0, 1], [0, 2], [1, 2]]))
    monkeypatch.setattr("tools.bench.review.link_probability", lambda *_: np.array([0.9, 0.3, 0.8]))
    assert set(strongest_links(candidates, np.zeros(3, np.int64))) == {(0, 1), (1, 2)}


def test_the_best_question_is_the_only_wrong_link(world) -> None:
    viewed, matched = world
    scores = idf1_of_best_questions(reviewed_run(viewed, matched), (0, 1, 2))
    assert scores == pytest.approx([1 - 1 / (2 * VEHICLES), 1.0, 1.0])


def test_links_connect_vehicles() -> None:
    labels = connected(6, {(0, 3), (3, 4), (1, 5)})
    groups = {frozenset(np.flatnonzero(labels == label).tolist()) for label in labels.tolist()}
    assert groups == {frozenset({0, 3, 4}), frozenset({1, 5}), frozenset({2})}
    assert len(set(connected(3, []).tolist())) == 3
