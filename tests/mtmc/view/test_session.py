"""Answers, and the identities that follow from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmc.associate.link_probability import link_probability
from mtmc.errors import ConfigError, FormatError
from mtmc.formats.track1 import read_track1
from mtmc.types import Array
from mtmc.view.association import CorrectedRun
from mtmc.view.corrections import Corrections, stable_ids
from mtmc.view.journal import Entry
from mtmc.view.questions import _wrong_if_one, questions
from mtmc.view.session import Session
from tests.mtmc.view.town import VEHICLES, town

FIRST = list(range(VEHICLES))


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory):
    return town(tmp_path_factory.mktemp("run"))


@pytest.fixture
def session(viewed, tmp_path: Path) -> Session:
    return Session(viewed, tmp_path)


def vehicles(session: Session) -> Array:
    return session.state()[1].vehicle


def joined_pair(session: Session) -> tuple[int, int]:
    found = vehicles(session)
    return next((a, b) for a, b in combinations(range(len(found)), 2) if found[a] == found[b])


def test_without_answers_it_is_the_run(session: Session) -> None:
    assert session.association.agrees_with_run
    in_result = session.viewed.run_id > 0
    assert (vehicles(session)[in_result] == session.viewed.run_id[in_result]).all()
    assert len(set(vehicles(session).tolist())) < 2 * VEHICLES  # some were joined
    assert session.export().read_bytes() == (session.viewed.run.out / "track1.txt").read_bytes()


def test_different_separates_and_undo_restores(session: Session) -> None:
    before = vehicles(session)
    a, b = joined_pair(session)
    session.answer(0, (a, b), is_same=False)
    after = vehicles(session)
    assert after[a] != after[b]
    untouched = (before != before[a]) & (after == before)
    assert untouched.sum() >= len(before) - 4  # vehicles that the answer leaves alone keep their numbers
    session.undo(1, 1)
    np.testing.assert_array_equal(vehicles(session), before)
    session.undo(2, 2)  # an undo can be undone
    np.testing.assert_array_equal(vehicles(session), after)


def test_same_joins_whatever_the_log_odds_say(session: Session) -> None:
    before = vehicles(session)
    apart = next((a, b) for a, b in combinations(FIRST, 2) if before[a] != before[b])
    session.answer(0, apart, is_same=True)
    assert vehicles(session)[apart[0]] == vehicles(session)[apart[1]]


def test_other_links_follow(session: Session) -> None:
    """A passage that is joined with another vehicle leaves its own one, without a further answer."""
    before = vehicles(session)
    joined = [k for k in range(VEHICLES - 1) if before[k] == before[VEHICLES + k]]
    followed = []
    for k in joined:
        solution = session.association.solve(Corrections(must_link=frozenset({(k, VEHICLES + k + 1)})))
        followed.append(bool(solution.vehicle[k] != solution.vehicle[VEHICLES + k]))
    assert any(followed)


def test_the_file_of_answers_alone_gives_the_same_identities(session: Session) -> None:
    a, b = joined_pair(session)
    session.answer(0, (a, b), is_same=False)
    again = Session(session.viewed, session.folder)
    np.testing.assert_array_equal(vehicles(again), vehicles(session))
    assert again.state()[0] == 1


def test_merge_and_split_by_hand(session: Session) -> None:
    before = vehicles(session)
    first, second = sorted(set(before.tolist()))[:2]
    session.merge(0, [first, second])
    members = np.flatnonzero(np.isin(before, (first, second)))
    merged = vehicles(session)
    assert len(set(merged[members].tolist())) == 1
    session.undo(1, 1)
    a, b = joined_pair(session)
    session.split(2, [b])
    assert vehicles(session)[a] != vehicles(session)[b]
    rest = np.flatnonzero(before == before[a])
    assert len({vehicles(session)[k] for k in rest if k != b}) == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.answer(0, (0, 0), True), "expected two passages"),
        (lambda s: s.answer(0, (0, 10**6), True), "expected two passages"),
        (lambda s: s.merge(0, [1]), "expected two or more vehicles"),
        (lambda s: s.merge(0, [1, 10**6]), "expected two or more vehicles"),
        (lambda s: s.split(0, []), "expected passages of one vehicle"),
        (lambda s: s.split(0, [2 * VEHICLES]), "expected passages of this run"),
        (lambda s: s.undo(0, 1), "expected the number of an answer that counts"),
    ],
)
def test_answers_that_make_no_sense_leave_no_trace(session: Session, call, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call(session)
    assert session.state()[0] == 0
    assert not session.journal.path.exists()


def test_a_contradiction_names_the_earlier_answers(session: Session) -> None:
    session.answer(0, (0, 1), is_same=True)
    session.answer(1, (4, 5), is_same=True)
    session.answer(2, (1, 2), is_same=True)
    with pytest.raises(ConfigError, match="contradicts answers 1, 3; undo an earlier answer first"):
        session.answer(3, (0, 2), is_same=False)
    assert session.state()[0] == 3


def test_a_restored_answer_contradicts_those_that_were_given_meanwhile(session: Session) -> None:
    session.answer(0, (0, 1), is_same=True)
    session.undo(1, 1)
    session.answer(2, (0, 1), is_same=False)
    with pytest.raises(ConfigError, match="contradicts answer 3; undo"):
        session.undo(3, 2)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (
            {"action": "cut", "tracks": (("c001", 1),), "frame": 5, "number": 2},
            "answer 2 makes tracklet c001/2 a second",
        ),
        (
            {"action": "cut", "tracks": (("c001", 1),), "frame": 9999, "number": 99},
            "expected a frame after 0 and up to 39",
        ),
        ({"action": "delete", "tracks": (("c009", 1),)}, "answer 2 is about tracklet c009/1"),
        ({"action": "different", "cannot_link": (("c001", 1, "c001", 2),)}, "answers 1, 2 contradict one another"),
    ],
)
def test_impossible_answers_of_an_edited_journal(session: Session, facts: dict[str, Any], says: str) -> None:
    session.answer(0, (0, 1), is_same=True)
    with session.journal.path.open("a") as file:
        file.write(json.dumps(asdict(Entry(2, **facts))) + "\n")
    with pytest.raises(
        FormatError, match=rf"journal\.jsonl: holds answers that are not possible: {says}.*remove the line"
    ):
        Session(session.given, session.folder)


def test_questions_by_expected_boxes_and_only_open_ones(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    asked = session.questions()
    worth = [q.expected_boxes for q in asked]
    assert worth == sorted(worth, reverse=True)
    assert asked
    top = asked[0]
    assert top.expected_boxes == top.boxes * ((1 - top.probability) if top.is_joined else top.probability)
    session.answer(0, (top.a, top.b), is_same=top.is_joined)
    assert (top.a, top.b) not in [(q.a, q.b) for q in session.questions()]


def counted(vehicles: list[Array], camera: Array, boxes: Array) -> int:
    """Boxes of one true vehicle with its identity: the largest part that several cameras see, as scores count them.

    Of a vehicle that one camera sees, the largest part.
    """
    is_one_camera = len({k for v in vehicles for k in camera[v]}) == 1
    return max((int(boxes[v].sum()) for v in vehicles if is_one_camera or len(set(camera[v])) > 1), default=0)


def test_boxes_at_stake_are_those_that_an_answer_corrects(session: Session) -> None:
    candidates = session.association.candidates
    assert candidates is not None
    solution = session.state()[1]
    boxes = np.arange(1, 2 * VEHICLES + 1)
    camera = session.viewed.camera
    for question in questions(candidates, solution, boxes):
        a = solution.labels == solution.labels[question.a]
        b = solution.labels == solution.labels[question.b]
        if not question.is_joined:
            is_apart = any(
                candidates.evidence.constraints.rule(i, j) for i in np.flatnonzero(a) for j in np.flatnonzero(b)
            )
            whole = counted([a | b], camera, boxes) - counted([a, b], camera, boxes)
            assert question.boxes == (min(boxes[question.a], boxes[question.b]) if is_apart else whole)
        elif a.sum() == 2:
            assert question.boxes == min(boxes[question.a], boxes[question.b])
        else:
            assert 0 < question.boxes <= boxes[a].sum() // 2


def test_vehicles_that_an_answer_keeps_apart_are_at_stake_by_the_pair_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    candidates = session.association.candidates
    assert candidates is not None
    labels = np.arange(2 * VEHICLES)
    labels[VEHICLES], labels[VEHICLES + 1] = 0, 1  # vehicle 0 has passages 0 and 14, vehicle 1 has 1 and 15
    boxes = np.arange(1, 2 * VEHICLES + 1)

    def asked(cannot_link: frozenset[tuple[int, int]]) -> list[tuple[int, int, int]]:
        solution = CorrectedRun(Corrections(cannot_link=cannot_link), labels, labels + 1)
        found = [q for q in questions(candidates, solution, boxes) if not q.is_joined]
        return [(q.a, q.b, q.boxes) for q in found if {labels[q.a], labels[q.b]} == {0, 1}]

    whole = boxes[0] + boxes[VEHICLES]  # the smaller one: two cameras see each of both
    assert asked(frozenset()) == [(0, VEHICLES + 1, whole)]
    assert asked(frozenset({(0, 1)})) == [(0, VEHICLES + 1, boxes[0])]
    assert asked(frozenset({(0, VEHICLES + 1)})) == [(1, VEHICLES, boxes[1])]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ([0], [2], 1 + 4),  # a camera each: none of the boxes has an identity across cameras
        ([0], [1], 1),  # one camera
        ([0, 2], [3], 8),  # the larger one has no identity across cameras, the smaller one has
        ([1, 3], [2], 4),
        ([0, 2], [1, 3], 5),
    ],
)
def test_a_vehicle_of_one_camera_has_no_identity_across_cameras(
    first: list[int], second: list[int], wrong: int
) -> None:
    camera, boxes = np.array([0, 0, 1, 1]), np.array([1, 2, 4, 8])
    assert _wrong_if_one([first, second], camera, boxes) == wrong
    assert _wrong_if_one([second, first], camera, boxes) == wrong
    parts = [np.array(first), np.array(second)]
    assert counted([np.concatenate(parts)], camera, boxes) - counted(parts, camera, boxes) == wrong


def test_a_vehicle_is_asked_about_along_its_strongest_links(session: Session) -> None:
    """Each question is the strongest of all pairs across the division of the vehicle that it stands for."""
    candidates = session.association.candidates
    assert candidates is not None
    labels = np.zeros(2 * VEHICLES, np.int64)  # one vehicle of everything
    solution = CorrectedRun(Corrections(must_link=frozenset({(0, 1)})), labels, labels + 1)
    boxes = np.random.default_rng(0).integers(1, 99, 2 * VEHICLES)
    found = [q for q in questions(candidates, solution, boxes) if q.is_joined]
    probability = link_probability(candidates, labels, np.arange(len(candidates.pairs)))
    edges = [(q.a, q.b) for q in found]
    tree = sorted(_spanning_tree(candidates.pairs.tolist(), probability.tolist(), {(0, 1)}))
    assert set(edges) <= set(tree)
    for question in found:
        rest = [edge for edge in tree if edge != (question.a, question.b)]
        part = _component(question.a, [*rest, (0, 1)])
        assert question.boxes == min(boxes[sorted(part)].sum(), boxes.sum() - boxes[sorted(part)].sum())
        across = [
            p for (i, j), p in zip(candidates.pairs.tolist(), probability, strict=True) if (i in part) != (j in part)
        ]
        assert question.probability == pytest.approx(max(across))


def _spanning_tree(pairs: list[list[int]], weight: list[float], given: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Kruskal's algorithm with components found anew for every edge."""
    chosen = set(given)
    for _, (i, j) in sorted(zip([-w for w in weight], pairs, strict=True)):
        if j not in _component(i, chosen):
            chosen.add((i, j))
    return chosen - given


def _component(start: int, edges) -> set[int]:
    reached = {start}
    while following := {k for edge in edges for k in edge if reached & set(edge)} - reached:
        reached |= following
    return reached


def test_numbers_stay_where_nothing_changes() -> None:
    before = np.array([3, 3, 5, 5, 5, 9])
    labels = np.array([0, 0, 1, 1, 2, 3])
    assert stable_ids(labels, before, np.array([1, 1, 2, 2, 7, 1])).tolist() == [3, 3, 10, 10, 5, 9]
    assert stable_ids(labels, np.zeros(6, int), np.ones(6)).tolist() == [1, 1, 2, 2, 3, 4]


def test_the_exported_file_holds_the_corrected_identities(session: Session) -> None:
    a, b = joined_pair(session)
    session.answer(0, (a, b), is_same=False)
    table = read_track1(session.export())
    camera = session.viewed.camera
    for k in (a, b):
        number = session.viewed.cameras[int(camera[k])].number
        frames = session.viewed.passages[k].tracklet.frame
        rows = (table.camera == number) & np.isin(table.frame, frames)
        assert vehicles(session)[k] in set(table.id[rows].tolist())


def test_a_checked_vehicle_stays_so_until_its_tracklets_change(session: Session) -> None:
    a, b = joined_pair(session)
    before = vehicles(session)
    members = np.flatnonzero(before == before[a]).tolist()
    solution = session.state()[1]
    session.check(0, members)
    assert session.snapshot().checked == {int(before[a])}
    assert session.state()[1] is solution  # no identity is searched again
    other = next(k for k in FIRST if before[k] != before[a])
    session.answer(1, (a, other), is_same=True)
    assert session.snapshot().checked == frozenset()
    session.undo(2, 2)
    assert session.snapshot().checked == {int(before[a])}
    session.answer(3, (a, b), is_same=False)
    assert session.snapshot().checked == frozenset()


def test_a_cut_takes_the_mark_away_for_good(session: Session) -> None:
    alone = FIRST[0]
    session.answer(0, (alone, VEHICLES), is_same=False)
    members = np.flatnonzero(vehicles(session) == vehicles(session)[alone]).tolist()
    session.check(1, members)
    [number] = session.snapshot().checked
    tracklet = session.viewed.passages[alone].tracklet
    session.cut(2, alone, int(tracklet.frame[20]))
    assert session.snapshot().checked == frozenset()
    session.undo(3, 3)
    assert session.snapshot().checked == {number}
    session.cut(4, alone, int(tracklet.frame[20]))
    rest = int(np.argmax(session.viewed.columns()["track"]))
    session.delete(5, [rest])
    assert session.snapshot().checked == frozenset()  # the same name, but fewer boxes


def test_a_cut_of_another_vehicle_ends_no_mark(session: Session) -> None:
    first, *rest = (np.flatnonzero(vehicles(session) == k).tolist() for k in sorted(set(vehicles(session).tolist())))
    session.check(0, first)
    marked = session.snapshot().checked
    other = rest[0][0]
    session.cut(1, other, int(session.viewed.passages[other].tracklet.frame[20]))
    assert session.snapshot().checked == marked != frozenset()


def test_questions_worth_less_than_a_box_are_not_asked(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The links of the town are nearly certain: with three times the boxes, some questions are worth one."""
    found, solution, boxes = session.association.candidates, session.state()[1], 3 * session.viewed.lengths
    assert found is not None
    asked = questions(found, solution, boxes)
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)
    every = questions(found, solution, boxes)
    assert asked == [question for question in every if question.expected_boxes >= 1.0]
    assert 0 < len(asked) < len(every)


def test_the_mark_of_a_part_is_not_that_of_the_whole(session: Session) -> None:
    alone = FIRST[0]
    session.answer(0, (alone, VEHICLES), is_same=False)
    tracklet = session.viewed.passages[alone].tracklet
    session.cut(1, alone, int(tracklet.frame[20]))
    part = session._present.index[tracklet.camera_id, tracklet.track_id]
    members = np.flatnonzero(vehicles(session) == vehicles(session)[part]).tolist()
    assert members == [part]
    session.check(2, members)
    assert len(session.snapshot().checked) == 1
    session.undo(3, 2)
    assert session.snapshot().checked == frozenset()  # the same name, but more boxes


def test_a_part_of_a_vehicle_cannot_be_checked(session: Session) -> None:
    a, _ = joined_pair(session)
    with pytest.raises(ConfigError, match="all passages of a vehicle"):
        session.check(0, [a])
    assert session.state()[0] == 0


def test_the_journal_keeps_checks(session: Session) -> None:
    before = vehicles(session)
    session.check(0, np.flatnonzero(before == before[0]).tolist())
    again = Session(session.viewed, session.folder)
    assert again.snapshot().checked == session.snapshot().checked != frozenset()
