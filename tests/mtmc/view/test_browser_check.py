"""The page Check when keys come quickly, other windows answer, videos are missing or nothing can be noted."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mtmc.associate import AssociateConfig
from mtmc.embed import EmbedConfig
from mtmc.view.session import Session
from tests.mtmc.view.test_browser import WAIT_MS, Window, browser, pytestmark, row_of, served, window
from tests.mtmc.view.town import film, town

__all__ = ["browser", "pytestmark", "window"]

VEHICLES = 14
PER_PAGE = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    """A run with a video of the first camera alone, and more vehicles than a page shows."""
    home = tmp_path_factory.mktemp("run")
    videos = (film(home / "north.mp4", 0, VEHICLES), None)
    viewed = town(home, videos=videos, vehicles=VEHICLES, embed=EmbedConfig(weights="none"))
    with served(viewed, home) as found:
        yield found


@pytest.fixture
def checking(window: Window) -> Iterator[Window]:
    """The page Check with vehicles of the first camera; answers that the test gives are undone afterwards."""
    before = window.session.state()[0]
    show(window, "0")
    yield window
    for entry in [e for e, counts in window.session.entries() if counts and e.sequence > before][::-1]:
        if entry.action != "undo":
            window.session.undo(window.session.state()[0], entry.sequence)


def show(window: Window, camera: str) -> None:
    window.open("#/check")
    window.page.locator(".filter select").select_option(camera)
    window.until(f"mtmc.page().rows.length === {PER_PAGE} && mtmc.page().rows.every((row) => row.cells.length)")


def press_at_once(window: Window, *keys: str) -> None:
    """Press keys before the page can get an answer of the server."""
    window.page.evaluate(
        """(keys) => keys.forEach((key) =>
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })))""",
        keys,
    )


def current(window: Window) -> int:
    return int(window.page.evaluate("mtmc.page().rows.findIndex((row) => row.node.matches('.current'))"))


def message(window: Window) -> str:
    return str(window.page.locator("#message").text_content())


def forget_refusal(window: Window) -> None:
    """Chromium reports a refused answer."""
    assert all("status of 4" in complaint for complaint in window.complaints)
    window.complaints.clear()


def test_enter_pressed_twice_marks_one_vehicle_and_passes_over_none(checking: Window) -> None:
    sequence = checking.session.state()[0]
    press_at_once(checking, "Enter", "Enter")
    checking.until(f"mtmc.store.sequence === {sequence + 1}")
    checking.until("document.querySelector('#message').textContent.startsWith('Noted')")
    assert len(checking.session.snapshot().checked) == 1
    assert current(checking) == 1


def test_a_key_that_is_held_down_marks_one_vehicle(checking: Window) -> None:
    """The browser repeats the key, beyond the answer to the first one; an arrow key goes on with each repetition."""
    sequence = checking.session.state()[0]
    checking.page.keyboard.down("Enter")
    checking.until(f"mtmc.store.sequence === {sequence + 1} && document.querySelector('.rows .checked')")
    for _ in range(3):
        checking.page.keyboard.down("Enter")  # a key that is down already is sent as repeated
        checking.page.wait_for_timeout(100)
    checking.page.keyboard.up("Enter")
    assert checking.session.state()[0] == sequence + 1
    assert current(checking) == 1
    for _ in range(3):
        checking.page.keyboard.down("ArrowDown")
    checking.page.keyboard.up("ArrowDown")
    assert current(checking) == 4


def test_a_button_that_enter_is_held_down_on_marks_one_vehicle(checking: Window) -> None:
    sequence = checking.session.state()[0]
    checking.page.get_by_role("button", name="Checked").first.focus()
    for _ in range(3):
        checking.page.keyboard.down("Enter")
        checking.until(f"mtmc.store.sequence === {sequence + 1}")
        checking.page.wait_for_timeout(100)
    checking.page.keyboard.up("Enter")
    assert checking.session.state()[0] == sequence + 1


def test_several_boxes_become_a_vehicle_of_their_own(checking: Window) -> None:
    """Boxes 11 to 14 of a tracklet, by keys; then its first three, by clicks."""
    session = checking.session
    sequence = session.state()[0]
    whole = session.viewed.passages[0].tracklet
    for _ in range(11):
        checking.page.keyboard.press("ArrowRight")
    for _ in range(3):
        checking.page.keyboard.press("Shift+ArrowRight")
    assert checking.page.locator(".rows .current .chosen-cell").count() == 4
    checking.page.keyboard.press("t")
    checking.until(f"mtmc.store.passages.length === {2 * VEHICLES + 2}")
    checking.until("!document.querySelector('#message').matches('.error')")
    checking.page.wait_for_timeout(1500)  # what joins the rest, or splits the boxes off
    taken, rest = by_frames(session, whole.frame[11:15]), by_frames(session, whole.frame[15:])
    vehicle = session.state()[1].vehicle
    assert vehicle[0] == vehicle[rest]
    assert (vehicle == vehicle[taken]).sum() == 1
    for entry, counts in session.entries()[::-1]:
        if counts and entry.sequence > sequence and entry.action != "undo":
            session.undo(session.state()[0], entry.sequence)
    checking.page.evaluate("mtmc.store.refresh()")
    checking.until(f"mtmc.store.passages.length === {2 * VEHICLES}")
    checking.until("mtmc.page().rows[0].cells.length >= 40")
    cells = checking.page.locator(".rows li").first.locator(".cell")
    cells.nth(0).click()
    cells.nth(2).click(modifiers=["Shift"])
    checking.page.keyboard.press("t")
    checking.until(f"mtmc.store.passages.length === {2 * VEHICLES + 1}")
    checking.page.wait_for_timeout(1500)
    vehicle = session.state()[1].vehicle
    assert (vehicle == vehicle[by_frames(session, whole.frame[:3])]).sum() == 1
    forget_refusal(checking)  # of what the page asked for while the test undid answers


def by_frames(session: Session, frames: Any) -> int:
    """The passage of the first camera that has these frames and no others."""
    [found] = [k for k, p in enumerate(session.viewed.passages) if p.tracklet.frame.tolist() == list(frames)]
    return found


def test_a_vehicle_that_is_chosen_meanwhile_stays_chosen(checking: Window) -> None:
    sequence = checking.session.state()[0]
    press_at_once(checking, "Enter", "ArrowDown")
    checking.until(f"mtmc.store.sequence === {sequence + 1}")
    checking.until("document.querySelector('#message').textContent.startsWith('Noted')")
    assert current(checking) == 1


def test_a_page_that_is_turned_meanwhile_is_not_passed_over(checking: Window) -> None:
    sequence = checking.session.state()[0]
    press_at_once(checking, "a", "n")
    checking.until(f"mtmc.store.sequence === {sequence + PER_PAGE}")
    checking.until("mtmc.page().rows.every((row) => row.cells.length)")
    checking.page.wait_for_timeout(300)
    shown = checking.page.evaluate("mtmc.page().rows.map((row) => row.vehicle.id)")
    assert len(shown) == VEHICLES - PER_PAGE
    assert not checking.session.snapshot().checked & set(shown)


def test_what_another_window_has_changed_is_not_marked_unseen(checking: Window) -> None:
    sequence, viewed = checking.session.state()[0], checking.session.viewed
    checking.session.cut(sequence, 2, int(viewed.passages[2].tracklet.frame[8]))
    checking.page.keyboard.press("a")
    checking.until(f"mtmc.store.sequence === {sequence + 1}")
    assert "another window has answered" in message(checking)
    checking.until("mtmc.page().rows.every((row) => row.cells.length)")
    assert checking.session.snapshot().checked == frozenset()
    assert checking.page.locator(".rows li").count() == PER_PAGE  # the page is not turned
    forget_refusal(checking)


def test_a_merge_that_is_refused_can_be_repeated(checking: Window) -> None:
    sequence = checking.session.state()[0]
    first, second = checking.page.evaluate("mtmc.page().rows.slice(0, 2).map((row) => row.vehicle.id)")
    checking.page.keyboard.press("m")
    checking.session.check(sequence, [VEHICLES - 1, *others_of(checking.session, VEHICLES - 1)])
    checking.page.keyboard.press("ArrowDown")
    checking.page.keyboard.press("m")
    checking.until(f"mtmc.store.sequence === {sequence + 1}")
    checking.until("document.querySelector('#message').matches('.error')")
    assert checking.page.locator(".rows .state").first.inner_text() == "merge with …"
    checking.page.keyboard.press("m")
    checking.until(f"mtmc.store.sequence === {sequence + 2}")
    vehicle = checking.session.state()[1].vehicle.tolist()
    assert not {first, second} <= set(vehicle)
    assert "merge with" not in checking.page.locator(".rows").inner_text()
    forget_refusal(checking)


def others_of(session: Session, passage: int) -> list[int]:
    vehicle = session.state()[1].vehicle
    return [k for k in np.flatnonzero(vehicle == vehicle[passage]).tolist() if k != passage]


def test_rows_show_the_tracklets_that_another_window_has_changed(window: Window) -> None:
    """Passages are counted anew after a cut; a page that has not heard of it must not show those of the old count."""
    window.open("#/vehicles")
    sequence, viewed = window.session.state()[0], window.session.viewed
    window.session.delete(sequence, [1])
    window.page.evaluate("location.hash = '#/check'")
    window.page.locator(".filter select").select_option("0")
    window.until(f"mtmc.store.sequence === {sequence + 1}")
    window.until(f"mtmc.page().rows.length === {PER_PAGE} && mtmc.page().rows.every((row) => row.cells.length)")
    columns = window.session.viewed.columns()
    cells = window.page.evaluate("mtmc.page().rows.flatMap((row) => row.cells)")
    for cell in cells:
        camera, track = map(int, cell["key"].split("-"))
        passage = row_of(columns, camera, track)
        assert columns["first_frame"][passage] <= cell["frame"] <= columns["last_frame"][passage]
    window.session.undo(sequence + 1, sequence + 1)
    assert window.session.viewed.columns() == viewed.columns()
    window.page.wait_for_load_state("networkidle")
    forget_refusal(window)


def test_no_picture_is_asked_for_where_there_is_no_video(window: Window) -> None:
    asked: list[str] = []
    window.page.on("response", lambda response: asked.append(response.url))
    show(window, "1")
    window.page.wait_for_timeout(500)  # the pictures of the next page come last
    sheets = [url.split("/passages/")[1] for url in asked if "/sheet.jpg" in url]
    cameras = {int(window.session.viewed.camera[int(sheet.split("/")[0])]) for sheet in sheets}
    assert cameras <= {0}
    assert window.complaints == []


def test_nothing_is_sent_where_nothing_can_be_noted(browser: Any, tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", vehicles=VEHICLES, associate=AssociateConfig(method="hierarchical"))
    with served(viewed, tmp_path) as (address, session):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        window = Window(page, session, address)
        methods: list[str] = []
        page.on("request", lambda request: methods.append(request.method))
        page.on("console", lambda text: window.complaints.append(text.text))
        for place in ("#/check", "#/tracklet/0-1", "#/review", "#/vehicle/1"):
            window.open(place)
            page.wait_for_timeout(300)
            for key in ("ArrowRight", "m", "ArrowDown", "m", "c", "s", "d", "x", "Enter", "a", "u"):
                page.keyboard.press(key)
        window.open("#/check")
        window.until("mtmc.page().rows.length && mtmc.page().rows.every((row) => row.cells.length)")
        page.keyboard.press("Enter")
        window.until("!document.querySelector('#message').hidden")
        assert "associate.method=graph" in message(window)
        page.keyboard.press("n")  # looking on is possible
        window.until(f"mtmc.page().rows.length < {PER_PAGE} && mtmc.page().rows.length > 0")
        page.close()
        assert set(methods) == {"GET"}
        assert window.complaints == []
        assert session.entries() == []


def test_crops_of_the_checked_vehicles_are_downloaded(checking: Window, tmp_path: Path) -> None:
    checking.open("#/result")
    checking.page.get_by_role("link", name="Crops").wait_for(timeout=WAIT_MS)
    of_checked = checking.page.locator("a[href='/api/crops.zip?checked']")
    assert of_checked.count() == 0  # there would be nothing in it
    session = checking.session
    session.check(session.state()[0], [0, *others_of(session, 0)])
    checking.page.evaluate("mtmc.store.refresh()")
    with checking.page.expect_download() as download:
        of_checked.click(timeout=WAIT_MS)
    download.value.save_as(tmp_path / "crops.zip")
    names = zipfile.ZipFile(tmp_path / "crops.zip").namelist()
    vehicles = {name.split("/")[1] for name in names if name.endswith(".jpg")}
    assert vehicles == {f"{session.state()[1].vehicle[0]:04d}"}


def test_a_question_is_answered_once_it_is_on_screen(checking: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    checking.open("#/review")
    checking.page.wait_for_selector(".answers", timeout=WAIT_MS)
    assert checking.page.locator("table.evidence").count() == 1
    sequence = checking.session.state()[0]
    held: list[Any] = []
    checking.page.route("**/api/links?*", lambda route: held.append(route))
    checking.page.keyboard.press("d")
    checking.until(f"mtmc.store.sequence === {sequence + 1}")
    while not held:
        checking.page.wait_for_timeout(50)
    checking.page.keyboard.press("d")  # the clips of the question before are still on screen
    checking.page.wait_for_timeout(300)
    assert checking.session.state()[0] == sequence + 1
    checking.page.unroute("**/api/links?*")  # what was held goes on


def test_matches_of_a_picture_follow_the_tracklets(checking: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mtmc.view.search.Search.like_picture", lambda search, image, most: search.like_passage(0, most)
    )
    checking.open("#/search")
    png = cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    sent = {"name": "picture.png", "mimeType": "image/png", "buffer": png}
    checking.page.locator("input[type=file]").set_input_files(sent)
    checking.until(f"document.querySelectorAll('.matches li').length === {2 * VEHICLES - 1}")
    checking.session.delete(checking.session.state()[0], [2 * VEHICLES - 1])
    checking.page.evaluate("mtmc.store.refresh()")
    checking.until(f"document.querySelectorAll('.matches li').length === {2 * VEHICLES - 2}")
    tracks = {f"#/search?tracklet=1-{VEHICLES}"}
    hrefs = checking.page.locator(".matches a.crops").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
    assert not tracks & set(hrefs)
