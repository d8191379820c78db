"""Repairs of single tracklets: what is cut, deleted, of another class or number, and what undo restores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtmc.embed import EmbedConfig
from mtmc.errors import ConfigError
from mtmc.formats.track1 import read_track1
from mtmc.types import CLASSES
from mtmc.view.corrections import stable_ids
from mtmc.view.run_data import ViewedRun
from mtmc.view.session import Session
from tests.builders import write_video
from tests.mtmc.view.test_search import hue
from tests.mtmc.view.town import SIZE_WH, VEHICLES, frame_count, town

PASSAGES = 2 * VEHICLES


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> ViewedRun:
    return town(tmp_path_factory.mktemp("run"))


@pytest.fixture
def session(viewed: ViewedRun, tmp_path: Path) -> Session:
    return Session(viewed, tmp_path)


def names(session: Session) -> list[tuple[str, int]]:
    return [(p.tracklet.camera_id, p.tracklet.track_id) for p in session.viewed.passages]


def vehicle_of(session: Session, camera: str, track: int) -> int:
    return int(session.state()[1].vehicle[names(session).index((camera, track))])


def test_a_cut_makes_two_tracklets_of_the_same_boxes(session: Session) -> None:
    whole = session.viewed.passages[3].tracklet
    before = session.state()[1].vehicle
    session.cut(0, 3, int(whole.frame[12]))
    first = session.viewed.passages[names(session).index(("c001", 4))].tracklet
    second = session.viewed.passages[names(session).index(("c001", VEHICLES + 1))].tracklet
    assert (len(first), len(second)) == (12, len(whole) - 12)
    np.testing.assert_array_equal(np.concatenate([first.frame, second.frame]), whole.frame)
    np.testing.assert_array_equal(np.concatenate([first.xyxy, second.xyxy]), whole.xyxy)
    after = {name: int(v) for name, v in zip(names(session), session.state()[1].vehicle, strict=True)}
    rest = [k for k in range(PASSAGES) if k not in (3, VEHICLES + 3)]
    others = [(p.tracklet.camera_id, p.tracklet.track_id) for p in session._given.viewed.passages]
    assert [after[others[k]] for k in rest] == before[rest].tolist()  # vehicles that it does not touch keep numbers
    session.undo(1, 1)
    assert session.viewed.passages[3].tracklet is whole
    np.testing.assert_array_equal(session.state()[1].vehicle, before)


def test_parts_are_embedded_anew_and_joined_anew(tmp_path: Path) -> None:
    """Two vehicles are one tracklet in the first camera: red before frame 20 of it, cyan afterwards."""
    images = np.full((frame_count(2), SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
    images[:20] = (220, 20, 20)
    images[20:100] = (20, 220, 220)
    video = write_video(tmp_path / "video.mp4", images)
    looks = EmbedConfig(weights="color_histogram")
    viewed = town(tmp_path / "run", videos=(video, video), vehicles=2, looks=hue, embed=looks)
    session = Session(viewed, tmp_path / "view")
    session.cut(0, 0, 20)
    parts = [p for p in session.viewed.passages if p.tracklet.camera_id == "c001" and p.tracklet.track_id != 2]
    assert [len(p.tracklet) for p in parts] == [20, 20]
    assert float(parts[0].embedding @ parts[1].embedding) < 0.5
    for part in parts:
        assert part.embedding.shape == viewed.passages[0].embedding.shape
        assert part.tracklet.track_id in session.viewed.run.results[0].thumbnails
    red, cyan = (session.viewed.run.results[0].thumbnails[p.tracklet.track_id].mean(axis=(0, 1)) for p in parts)
    assert red[0] > 180 > 60 > red[1]
    assert cyan[1] > 180 > 60 > cyan[0]


def test_without_a_video_the_parts_have_no_embedding(session: Session) -> None:
    session.cut(0, 0, 10)
    sizes = {name: len(p.embedding) for name, p in zip(names(session), session.viewed.passages, strict=True)}
    assert sizes[("c001", 1)] == sizes[("c001", VEHICLES + 1)] == 0
    assert sizes[("c001", 2)] > 0


def test_numbers_of_new_tracklets_are_never_used_again(session: Session) -> None:
    session.cut(0, 0, 10)
    session.undo(1, 1)
    session.cut(2, 0, 10)
    assert ("c001", VEHICLES + 2) in names(session)
    session.cut(3, names(session).index(("c001", VEHICLES + 2)), 20)
    assert ("c001", VEHICLES + 3) in names(session)
    again = Session(session._given.viewed, session.folder)
    assert names(again) == names(session)
    np.testing.assert_array_equal(again.state()[1].vehicle, session.state()[1].vehicle)


def test_a_cut_that_later_answers_need_is_not_undone(session: Session) -> None:
    session.cut(0, 0, 10)
    new = names(session).index(("c001", VEHICLES + 1))
    session.answer(1, (new, new + 1), is_same=False)
    with pytest.raises(ConfigError, match="answer 2 is about tracklet c001/15, which would not be there"):
        session.undo(2, 1)
    assert session.state()[0] == 2
    session.undo(2, 2)
    session.undo(3, 1)
    assert len(session.viewed.passages) == PASSAGES


def test_a_deleted_tracklet_leaves_the_result_and_what_was_said_of_it(session: Session) -> None:
    session.answer(0, (0, 1), is_same=True)
    session.answer(1, (1, 2), is_same=False)
    gone = session.viewed.passages[1].tracklet
    session.delete(2, [1])
    assert ("c001", 2) not in names(session)
    assert len(session.viewed.passages) == PASSAGES - 1
    corrections = session.state()[1].corrections
    assert (corrections.must_link, corrections.cannot_link) == (frozenset(), frozenset())
    table = read_track1(session.export())
    assert not ((table.camera == 1) & np.isin(table.frame, gone.frame)).any()  # it was alone in its frames
    session.undo(3, 3)
    assert session.state()[1].corrections.must_link == frozenset({(0, 1)})


def test_all_tracklets_cannot_be_deleted(session: Session) -> None:
    with pytest.raises(ConfigError, match="expected some tracklets to remain"):
        session.delete(0, range(PASSAGES))
    assert session.state()[0] == 0


def test_a_class_by_hand_is_a_cue_of_association(session: Session) -> None:
    session.reclassify(0, [0, 5], "bus")
    session.reclassify(1, [5], "truck")
    classes = [CLASSES[p.tracklet.class_id] for p in session.viewed.passages]
    assert (classes[0], classes[5]) == ("bus", "truck")
    assert classes[1] == CLASSES[session._given.viewed.passages[1].tracklet.class_id]
    with pytest.raises(ConfigError, match="expected the name of a class, got 'spaceship'"):
        session.reclassify(2, [0], "spaceship")


def test_a_vehicle_gets_a_free_number_and_keeps_it(session: Session) -> None:
    before = session.state()[1].vehicle
    members = np.flatnonzero(before == before[0]).tolist()
    session.assign(0, members, 400)
    after = session.state()[1].vehicle
    assert (after[members] == 400).all()
    rest = [k for k in range(PASSAGES) if k not in members]
    np.testing.assert_array_equal(after[rest], before[rest])
    other = next(k for k in rest if k < VEHICLES)
    session.answer(1, (members[0], other), is_same=False)
    assert (session.state()[1].vehicle[members] == 400).all()
    session.assign(2, members, 401)  # a later number stands before an earlier one
    assert (session.state()[1].vehicle[members] == 401).all()


def test_a_passage_moves_to_another_vehicle(session: Session) -> None:
    before = session.state()[1].vehicle
    source = next(k for k in range(VEHICLES) if (before == before[k]).sum() > 1)
    target = next(int(v) for v in before if v != before[source])
    rest = [k for k in np.flatnonzero(before == before[source]).tolist() if k != source]
    joined = np.flatnonzero(before == target).tolist()
    session.assign(0, [source], target)
    after = session.state()[1].vehicle
    assert {int(after[k]) for k in [source, *joined]} == {target}
    assert all(after[k] == before[source] for k in rest)


def test_a_number_that_is_taken_meanwhile_makes_way() -> None:
    labels, before, boxes = np.array([0, 0, 1, 2]), np.array([1, 1, 2, 0]), np.array([5, 5, 5, 5])
    assert stable_ids(labels, before, boxes).tolist() == [1, 1, 2, 3]
    assert stable_ids(labels, before, boxes, [(0, 2)]).tolist() == [2, 2, 3, 4]
    assert stable_ids(labels, before, boxes, [(3, 3)]).tolist() == [1, 1, 2, 3]
    assert stable_ids(labels, before, boxes, [(0, 3)]).tolist() == [3, 3, 2, 4]
    assert stable_ids(labels, before, boxes, [(0, 9), (1, 7), (2, 9)]).tolist() == [9, 9, 2, 3]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.cut(0, PASSAGES, 5), "expected passages of this run"),
        (lambda s: s.cut(0, 0, 0), r"expected a frame after 0 and up to 39, got 0"),
        (lambda s: s.cut(0, 0, 40), r"expected a frame after 0 and up to 39, got 40"),
        (lambda s: s.delete(0, []), "expected passages of this run"),
        (lambda s: s.assign(0, [0], 0), "numbers start at 1"),
        (lambda s: s.assign(0, [0], int(s.state()[1].vehicle[0])), "expected another number"),
        (lambda s: s.assign(0, [0, 1], 5), "expected passages of one vehicle"),
        (lambda s: s.assign(0, [], 5), "expected passages of one vehicle"),
    ],
)
def test_repairs_that_make_no_sense_leave_no_trace(session: Session, call, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call(session)
    assert session.state()[0] == 0
    assert not session.journal.path.exists()


def test_a_journal_without_repairs_is_still_read(session: Session) -> None:
    session.answer(0, (0, 1), is_same=True)
    lines = [json.loads(line) for line in session.journal.path.read_text().splitlines()]
    for name in ("tracks", "frame", "number", "class_name"):
        del lines[1][name]
    session.journal.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = Session(session.viewed, session.folder)
    np.testing.assert_array_equal(again.state()[1].vehicle, session.state()[1].vehicle)
