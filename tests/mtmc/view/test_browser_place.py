"""The place editor in a browser: what is drawn and set there is what a run reads from scene.yaml afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mtmc.geometry.ground import project
from mtmc.scene import PlaneOrigin, Scene, load_scenes, read_roi
from mtmc.view.session import Session
from tests.mtmc.view.test_browser import WAIT_MS, Window, browser, pytestmark, served, window
from tests.mtmc.view.town import SIZE_WH, film, town

__all__ = ["browser", "pytestmark", "window"]

VEHICLES = 3
TEXT = "# Two cameras of one road\nname: road\ncameras:\n  - id: north   # at the church\n    start_s: 0.0\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene's folder."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[str, Session]]:
    videos = (film(home / "north.mp4", 0, VEHICLES), film(home / "south.mp4", 100, VEHICLES))
    viewed = town(home, videos=videos, names=("north", "south"), vehicles=VEHICLES)
    with served(viewed, home) as found:
        yield found


@pytest.fixture
def scene_file(home: Path) -> Path:
    """A scene.yaml as a person has written it."""
    path = home / "scene.yaml"
    path.write_text(TEXT)
    return path


def press(window: Window, point: tuple[float, float], nth: int = 0, size: tuple[int, int] = SIZE_WH) -> None:
    """Click on a point of a picture, pixels of the picture."""
    canvas = window.page.locator("canvas.sketch").nth(nth)
    scale = canvas.bounding_box()["width"] / size[0]
    canvas.click(position={"x": point[0] * scale, "y": point[1] * scale})


def open_tab(window: Window, name: str) -> None:
    window.open(f"#/place?tab={name}")
    window.page.wait_for_selector("#page .tab .frame", timeout=WAIT_MS)


def saved(window: Window, home: Path) -> Scene:
    """Save, and read the scene as a run does."""
    window.page.get_by_role("button", name="Save to scene.yaml").click()
    window.page.get_by_text("The next mtmc run uses it").wait_for(timeout=WAIT_MS)
    [scene] = load_scenes(home)
    return scene


def test_a_drawn_zone_and_an_offset_are_what_a_run_reads(window: Window, scene_file: Path, home: Path) -> None:
    corners = [(60, 180), (220, 170), (240, 400), (50, 420)]
    open_tab(window, "zones")
    window.page.get_by_role("button", name="Draw a zone").click()
    for corner in corners:
        press(window, corner)
    press(window, corners[0])  # finishes
    window.page.get_by_label("Name").fill("<b>west</b> & 'on'")
    window.page.get_by_label("Vehicles go").select_option("in")

    window.page.get_by_role("link", name="Clocks").click()
    sliders = window.page.locator("input[type=range]")
    sliders.nth(0).wait_for()
    for number, frame in ((0, 20), (1, 125)):
        sliders.nth(number).fill(str(frame))
    assert "south was taken 10.50 s after that of north" in window.page.locator(".tab").inner_text()
    window.page.get_by_role("button", name="Both show the same moment").click()
    scene = saved(window, home)

    [zone] = scene.camera("north").zones
    assert (zone.name, zone.role) == ("<b>west</b> & 'on'", "in")
    assert zone.polygon == pytest.approx(np.array(corners, float), abs=1.5)
    assert scene.camera("south").clock.time_s(np.array(125)) == pytest.approx(2.0)
    assert scene.camera("south").clock_is_stated
    assert "# at the church" in scene_file.read_text()
    assert scene_file.with_name("scene.yaml.bak").read_text() == TEXT
    open_tab(window, "zones")
    assert window.page.get_by_label("Name").input_value() == "<b>west</b> & 'on'"


_RECORD_TAGS = """
  const { fillRect, clearRect } = CanvasRenderingContext2D.prototype;
  window.tags = [];
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (this.canvas.matches(".sketch")) window.tags = [];
    clearRect.apply(this, box);
  };
  CanvasRenderingContext2D.prototype.fillRect = function (...box) {
    if (this.canvas.matches(".sketch")) window.tags.push(box);
    fillRect.apply(this, box);
  };
"""


def test_names_of_zones_at_the_edge_of_the_picture_do_not_cover_one_another(window: Window, scene_file: Path) -> None:
    zone = "{name: %s, polygon: [[%d, 479], [%d, 460], [%d, 440]]}"
    zones = ", ".join(zone % (name, x, x + 150, x) for name, x in (("first", 4), ("second", 10), ("third", 590)))
    last = ", {name: a zone with a long name, polygon: [[635, 470], [639, 300], [600, 300]]}"
    scene_file.write_text(TEXT + f"    zones: [{zones}{last}]\n")
    window.page.add_init_script(_RECORD_TAGS)
    open_tab(window, "zones")
    window.until("window.tags.length === 4")
    boxes = [(x, y, x + width, y + height) for x, y, width, height in window.page.evaluate("window.tags")]
    size = window.page.locator("canvas.sketch").bounding_box()
    assert size is not None
    for k, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= size["width"]
        assert bottom <= size["height"]
        for other in boxes[:k]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_a_region_is_drawn_with_keys_alone(window: Window, scene_file: Path, home: Path) -> None:
    open_tab(window, "region")
    draw = window.page.get_by_role("button", name="Draw a part")
    draw.focus()
    keys = window.page.keyboard
    keys.press("Enter")
    keys.press("Enter")  # the cross appears in the middle
    for moves in ("", "ArrowRight " * 10, "ArrowDown " * 5, "ArrowLeft " * 10, "ArrowUp " * 5):
        for key in moves.split():
            keys.press(key)
        keys.press("Enter")
    keys.press("Tab")
    assert "Part 1" in window.page.locator(".shapes").inner_text()
    scene = saved(window, home)
    mask = read_roi(scene.camera("north").roi, SIZE_WH, official=True)
    ys, xs = np.nonzero(mask)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (320, 400, 240, 280)
    assert mask.sum() == 81 * 41


def test_a_link_between_two_zones(window: Window, scene_file: Path, home: Path) -> None:
    zone = "zones: [{name: %s, polygon: [[100, 100], [300, 100], [300, 300], [100, 300]]}]"
    scene_file.write_text(TEXT + f"    {zone % 'out'}\n  - id: south\n    {zone % 'entry'}\n")
    open_tab(window, "links")
    press(window, (200, 200), 0)
    press(window, (200, 200), 1)
    window.page.get_by_role("button", name="Add this link").click()
    window.page.get_by_label("Greatest travel time").fill("33.5")
    window.page.get_by_label("Length in meters").fill("250")
    window.page.keyboard.press("Tab")
    [link] = saved(window, home).links
    assert (link.from_camera, link.from_zone, link.to_camera, link.to_zone) == ("north", "out", "south", "entry")
    assert (link.max_s, link.length_m) == (33.5, 250.0)
    open_tab(window, "links")
    window.page.get_by_label("Length in meters").fill("")
    window.page.keyboard.press("Tab")
    [link] = saved(window, home).links
    assert (link.max_s, link.length_m) == (33.5, None)


def test_the_date_and_the_place_on_earth(window: Window, scene_file: Path, home: Path) -> None:
    scene_file.write_text(TEXT + "    ground_from_image: [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]\n")
    open_tab(window, "clock")
    window.page.get_by_label("Date and time of second 0").fill("2026-05-12T07:00:00+02:00")
    window.page.keyboard.press("Tab")
    window.page.get_by_role("link", name="Ground").click()
    for name, value in (("Latitude", "48.137"), ("Longitude", "11.576"), ("Bearing", "12")):
        window.page.get_by_label(name).fill(value)
        window.page.keyboard.press("Tab")
    scene = saved(window, home)
    assert scene.start_utc == datetime(2026, 5, 12, 5, tzinfo=timezone.utc)
    assert scene.origins == (PlaneOrigin("", 48.137, 11.576, 12.0),)
    assert "# at the church" in scene_file.read_text()
    window.open("#/place?tab=ground")
    window.page.get_by_label("Latitude").wait_for(timeout=WAIT_MS)
    assert window.page.get_by_label("Latitude").input_value() == "48.137"
    window.page.get_by_label("Latitude").fill("")
    window.page.keyboard.press("Tab")
    assert saved(window, home).origins == ()
    open_tab(window, "clock")
    window.page.get_by_label("Date and time of second 0").fill("12 May")
    window.page.keyboard.press("Tab")
    window.page.get_by_role("button", name="Save to scene.yaml").click()
    window.page.wait_for_selector("#message.error", timeout=WAIT_MS)
    assert "expected a date and time with a time zone" in window.page.locator("#message").inner_text()
    window.page.get_by_role("button", name="Discard changes").click()
    window.complaints.clear()  # Chromium reports the refused change


def test_a_homography_from_matched_points(window: Window, scene_file: Path, home: Path, tmp_path: Path) -> None:
    map_size = (500, 400)
    cv2.imwrite(str(tmp_path / "map.png"), np.full((*map_size[::-1], 3), 120, np.uint8))
    true = np.array([[0.5, 0.3, 10.0], [0.02, 1.1, -60.0], [1e-5, 9e-4, 0.8]])  # map pixels from picture pixels
    points = np.array([[60.0, 420], [560, 410], [320, 200], [150, 250], [500, 300], [300, 380]])
    matched = project(points, true)
    matched[5] += [60, -40]  # a wrong pair
    window.open("#/place?tab=ground")
    window.page.get_by_label("Add a map").set_input_files(tmp_path / "map.png")
    window.page.locator(".frame img").wait_for()
    window.page.get_by_label("Meters per pixel").fill("0.2")
    window.page.get_by_label("Ground plane").fill("road")
    for source, target in zip(points.tolist(), matched.tolist(), strict=True):
        press(window, source, 0)
        press(window, target, 1, map_size)
    window.page.get_by_text("1 point left out").wait_for(timeout=WAIT_MS)
    report = window.page.get_by_text("Reprojection error").inner_text()
    assert float(report.split()[2]) < 1.5
    window.page.get_by_role("button", name="Use this homography").click()
    scene = saved(window, home)
    camera = scene.camera("north")
    assert camera.ground_plane == "road"
    [shown] = scene.maps
    assert (shown.m_per_px, shown.origin_px, shown.plane) == (0.2, (250.0, 200.0), "road")
    found = project(points[:5], camera.ground_from_image)
    assert found == pytest.approx((matched[:5] - [250, 200]) * [0.2, -0.2], abs=0.4)  # two pixels of the map


def test_a_file_that_changed_meanwhile_is_not_overwritten(window: Window, scene_file: Path, home: Path) -> None:
    open_tab(window, "clock")
    window.page.locator("input[type=range]").nth(1).fill("50")
    window.page.get_by_role("button", name="Both show the same moment").click()
    scene_file.write_text(TEXT + "# by hand\n")
    window.page.get_by_role("button", name="Save to scene.yaml").click()
    window.page.get_by_text("has changed meanwhile").wait_for(timeout=WAIT_MS)
    assert scene_file.read_text() == TEXT + "# by hand\n"
    assert window.page.get_by_role("button", name="Discard changes").is_enabled()
    window.page.get_by_role("button", name="Discard changes").click()
    window.until("document.querySelector('button.save').disabled")
    window.complaints.clear()  # Chromium reports the refused request


def test_a_scene_that_is_gone_is_one_sentence(window: Window, server: Any, home: Path) -> None:
    moved = home.with_name(f"{home.name}-moved")
    home.rename(moved)
    try:
        window.open("#/place")
        message = window.page.locator(".tab > p:not(.loading)")
        message.wait_for(timeout=WAIT_MS)
        assert "the scene's folder is gone, so the place cannot be edited" in message.inner_text()
        assert window.page.get_by_role("button", name="Save to scene.yaml").count() == 0
    finally:
        moved.rename(home)
