"""Boxes that no tracklet holds: which they are, and what becomes of them when they are given to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmc.embed import EmbedConfig
from mtmc.errors import ConfigError, FormatError
from mtmc.formats.mot import read_mot
from mtmc.view.run_data import EDGE_UNITS_PER_PX, FRAMES_PER_CHUNK, ViewedRun
from mtmc.view.session import Session
from mtmc.view.untracked import Untracked
from tests.mtmc.view.test_browser import WAIT_MS, Window, browser, served
from tests.mtmc.view.test_browser import pytestmark as needs_browser
from tests.mtmc.view.town import film, town

__all__ = ["browser"]

VEHICLES = 3
#: Frame and box of what was detected beside the first tracklet (frames 0 to 39), and after it.
STRAY = [*((frame, (400.0, 60.0, 440.0, 90.0)) for frame in (5, 6, 7)), (45, (470.0, 245.0, 510.0, 275.0))]


def detected(viewed: ViewedRun, folder: Path) -> ViewedRun:
    """The run as made from detections of the first camera: its boxes, one pixel off, and others."""
    path = folder / "north_det.txt"
    own = [p.tracklet for p in viewed.passages if p.tracklet.camera_id == viewed.cameras[0].id]
    rows = [(frame, box + 1) for t in own for frame, box in zip(t.frame.tolist(), t.xyxy, strict=True)]
    path.write_text(
        "".join(
            f"{frame + 1},-1,{x1},{y1},{x2 - x1},{y2 - y1},0.4,-1,-1,-1\n"
            for frame, (x1, y1, x2, y2) in [*rows, *STRAY]
        )
    )
    run = viewed.run
    cameras = tuple(replace(c, detections=(path,)) if k == 0 else c for k, c in enumerate(run.given.cameras))
    config = run.config.model_copy(update={"input": run.config.input.model_copy(update={"source": "detections"})})
    return replace(viewed, run=replace(run, given=replace(run.given, cameras=cameras), config=config))


@pytest.fixture
def viewed(tmp_path: Path) -> ViewedRun:
    return detected(town(tmp_path / "run", vehicles=VEHICLES), tmp_path)


@pytest.fixture
def session(viewed: ViewedRun, tmp_path: Path) -> Session:
    return Session(viewed, tmp_path / "view")


def untracked(session: Session, camera: int = 0, first: int = 0) -> list[tuple[int, tuple[float, ...]]]:
    boxes = Untracked(session.given.run).boxes(camera, session.viewed.boxes[camera], first)
    frames = np.repeat(np.arange(len(boxes.first_row) - 1), np.diff(boxes.first_row.astype(int)))
    return [(f, tuple(e)) for f, e in zip(frames.tolist(), (boxes.edges / EDGE_UNITS_PER_PX).tolist(), strict=True)]


def passage_of(session: Session, camera: str, track: int) -> int:
    names = [(p.tracklet.camera_id, p.tracklet.track_id) for p in session.viewed.passages]
    return names.index((camera, track))


def test_boxes_of_tracklets_are_left_out(session: Session) -> None:
    assert untracked(session) == STRAY
    assert untracked(session, camera=1) == []  # it has neither detections nor a cache
    assert untracked(session, first=FRAMES_PER_CHUNK) == []


def test_a_tracklet_is_given_boxes(session: Session) -> None:
    before = session.viewed.passages[0].tracklet
    session.check(0, np.flatnonzero(session.state()[1].vehicle == session.state()[1].vehicle[0]).tolist())
    assert session.snapshot().checked
    session.give_boxes(1, 0, [(45, *STRAY[-1][1])], passage_of(session, "c001", 1))
    whole = session.viewed.passages[passage_of(session, "c001", 1)].tracklet
    assert whole.frame.tolist() == [*before.frame.tolist(), 45]
    assert whole.xyxy[-1].tolist() == list(STRAY[-1][1])
    assert whole.time_s[-1] == pytest.approx(4.5)
    assert untracked(session) == STRAY[:-1]
    assert not session.snapshot().checked  # the vehicle is another one than that which was checked
    read = Session(session.given, session.folder)  # as a new server does
    assert read.viewed.passages[passage_of(read, "c001", 1)].tracklet.frame.tolist() == whole.frame.tolist()
    session.export("truth")
    truth = read_mot(session.folder / "truth" / "c001" / "gt" / "gt.txt")
    assert 45 in truth.frame
    session.undo(2, 2)
    assert session.viewed.passages[0].tracklet is before
    assert session.snapshot().checked


def test_a_tracklet_begins_with_boxes(session: Session) -> None:
    count, vehicles = len(session.viewed.passages), set(session.state()[1].vehicle.tolist())
    session.give_boxes(0, 0, [(frame, *box) for frame, box in STRAY[2::-1]])
    added = passage_of(session, "c001", VEHICLES + 1)
    assert len(session.viewed.passages) == count + 1
    assert session.viewed.passages[added].tracklet.frame.tolist() == [5, 6, 7]
    assert set(session.state()[1].vehicle.tolist()) > vehicles  # two tracklets in one image are two vehicles
    session.reclassify(1, [added], "bus")
    session.give_boxes(2, 0, [(45, *STRAY[-1][1])], added)
    columns = session.viewed.columns()
    assert (columns["class"][added], columns["boxes"][added]) == ("bus", 4)
    session.cut(3, added, 45)
    assert {len(p.tracklet) for p in session.viewed.passages} == {40, 3, 1}
    with pytest.raises(ConfigError, match="undo that answer first"):
        session.undo(4, 1)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([], "expected boxes with an area, one for a frame"),
        ([(50, 1.0, 1.0, 1.0, 9.0)], "expected boxes with an area"),
        ([(50, 1.0, 1.0, 9.0, 9.0), (50, 2.0, 2.0, 9.0, 9.0)], "one for a frame"),
        ([(50, 1.0, 1.0, 1e9, 9.0)], "expected boxes with an area"),
        ([(50, 1.0, float("nan"), 9.0, 9.0)], "expected boxes with an area"),
        ([(50, -9.0, 1.0, 0.0, 9.0)], "expected boxes within the 640 × 480 pixels of camera c001"),
        ([(50, 1.0, 480.0, 9.0, 490.0)], "expected boxes within the 640 × 480 pixels"),
        ([(7, 1.0, 1.0, 9.0, 9.0)], "tracklet c001/1 has a box in frame 7 already; choose boxes of other pictures"),
        ([(10**6, 1.0, 1.0, 9.0, 9.0)], r"expected boxes of the \d+ frames of camera c001, got frame 1000000"),
    ],
)
def test_boxes_that_are_not_possible(session: Session, boxes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        session.give_boxes(0, 0, boxes, passage_of(session, "c001", 1))
    assert session.entries() == []


def test_a_class_that_is_undone_does_not_stay_with_boxes(session: Session) -> None:
    def classes(of: Session) -> list[int]:
        return [p.tracklet.class_id for p in of.viewed.passages if p.tracklet.camera_id == "c001"]

    whole, cut = (passage_of(session, "c001", track) for track in (1, 2))
    before = classes(session)
    session.reclassify(0, [whole, cut], "bus")
    session.give_boxes(1, 0, [(45, *STRAY[-1][1])], whole)
    session.cut(2, cut, int(session.viewed.passages[cut].tracklet.frame[9]))
    assert classes(session) != [*before, before[1]]
    session.undo(3, 1)
    assert classes(session) == classes(Session(session.given, session.folder)) == [*before, before[1]]


def test_boxes_of_one_camera_are_not_given_to_a_tracklet_of_another(session: Session) -> None:
    cameras = [p.tracklet.camera_id for p in session.viewed.passages]
    with pytest.raises(ConfigError, match="expected a tracklet of camera c001, got one of c002"):
        session.give_boxes(0, 0, [(45, *STRAY[-1][1])], cameras.index("c002"))
    assert session.entries() == []


def test_boxes_that_were_edited_by_hand(session: Session) -> None:
    session.give_boxes(0, 0, [(45, *STRAY[-1][1])], 0)
    text = session.journal.path.read_text()
    session.journal.path.write_text(text.replace("[[45, 470.0,", "[[45, 570.0,"))
    with pytest.raises(FormatError, match=r"journal\.jsonl:2: expected answer number 1"):
        Session(session.given, session.folder)


class TestInTheBrowser:
    pytestmark = needs_browser

    def test_boxes_are_chosen_and_given(self, browser: Any, tmp_path: Path) -> None:
        """By keys to a tracklet, and by a click, in the enlarged picture, to a new one."""
        videos = (film(tmp_path / "north.mp4", 0, VEHICLES), None)
        run = town(tmp_path / "run", videos=videos, vehicles=VEHICLES, embed=EmbedConfig(weights="none"))
        viewed = detected(run, tmp_path)
        with served(viewed, tmp_path) as (address, session):
            window = Window(browser.new_page(viewport={"width": 1280, "height": 720}), session, address)
            window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
            window.open("#/tracklet/0-1")
            give = window.page.get_by_role("button", name="Give it")
            assert give.is_disabled()
            window.page.evaluate("mtmc.page().player.seek(4.5)")
            window.until("mtmc.page().player.tiles[0].loose.length === 1")
            window.page.keyboard.press("b")
            assert give.is_enabled()
            window.page.keyboard.press("b")
            assert give.is_disabled()  # the choice was given up
            window.page.keyboard.press("b")
            window.page.keyboard.press("Enter")
            window.until("mtmc.store.sequence === 1")
            assert session.viewed.passages[0].tracklet.frame[-1] == 45

            for frame in (5, 6):
                window.page.evaluate(f"mtmc.page().player.seek({frame / 10})")
                window.until(
                    f"(({{ frame, loose }}) => frame === {frame} && loose.length)(mtmc.page().player.tiles[0])"
                )
                window.page.keyboard.press("z")  # once the whole picture, once enlarged
                window.page.wait_for_timeout(200)
                at = window.page.evaluate(
                    """() => {
                      const { shown: { scale, x, y }, loose: [box], canvas } = mtmc.page().player.tiles[0];
                      const ratio = canvas.clientWidth / canvas.width;
                      return { x: ((box.x1 + 9) * scale + x) * ratio, y: ((box.y1 + 9) * scale + y) * ratio };
                    }"""
                )
                if frame == 5:
                    window.page.locator(".tile canvas").click(position=at)
                else:
                    window.page.keyboard.press("b")
            assert "New tracklet of 2 boxes" in window.page.locator(".answers").inner_text()
            window.page.keyboard.press("t")
            window.page.wait_for_url(f"**/#/tracklet/0-{VEHICLES + 1}", timeout=WAIT_MS)
            added = session.viewed.passages[passage_of(session, "c001", VEHICLES + 1)].tracklet
            assert added.frame.tolist() == [5, 6]
            assert added.xyxy[0].tolist() == list(STRAY[0][1])
            window.page.wait_for_selector(".answers")
            window.until("mtmc.page().player.tiles[0].rows?.length === 2")  # the box of tracklet 1, too
            for count in (3, 4):
                window.page.keyboard.press("u")
                window.until(f"mtmc.store.sequence === {count}")
            assert len(session.viewed.passages) == 2 * VEHICLES
            window.page.close()
            assert window.complaints == []
