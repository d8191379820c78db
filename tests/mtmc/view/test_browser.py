"""The pages in a browser: the right boxes on the right pixels, cameras in step, corrections, keys, sizes, schemes.

Playwright drives a Chromium of the system, since its own one plays no H.264.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mtmc.embed import EmbedConfig
from mtmc.view.mistakes import mistakes_of
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import ViewedRun
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.view.town import SIZE_WH, film, town

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VEHICLES = 5
NAMES = ("north", "<b>south</b>")
PAGES = (
    "#/",
    "#/vehicles",
    "#/vehicle/1",
    "#/search?tracklet=0-1",
    "#/search",
    "#/tracklet/0-2",
    "#/check",
    "#/review",
    "#/result",
    "#/mistakes",
    "#/map",
)
WAIT_MS = 60_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium of the system (apt-get install chromium)"),
]


@dataclass
class Window:
    """A page, the server's side of it, and everything that the browser complained about."""

    page: Any
    session: Session
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, page: str) -> None:
        """Go to a page by the address bar, and wait until it is there."""
        self.page.goto("about:blank")
        self.page.goto(self.address + page)
        self.page.wait_for_selector("#page section", timeout=WAIT_MS)

    def until(self, condition: str) -> None:
        """Wait for a condition. The pages' policy forbids to evaluate text there, as wait_for_function does."""
        until = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(f"() => Boolean({condition})"):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def tile(self, camera: int) -> dict[str, Any]:
        """Frame and boxes on the canvas of a camera, and the center of what is white in its video: pixels."""
        return self.page.evaluate(
            """(index) => {
              const tile = mtmc.page().player.tiles[index];
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = tile.camera.size;
              const context = canvas.getContext("2d");
              context.drawImage(tile.video, 0, 0, canvas.width, canvas.height);
              const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
              let [sum, x, y] = [0, 0, 0];
              for (let k = 0; k < data.length; k += 4) {
                if (data[k] < 170) continue;
                sum += 1;
                x += (k / 4) % canvas.width + 0.5;
                y += Math.floor(k / 4 / canvas.width) + 0.5;
              }
              return { frame: tile.frame, rows: tile.rows, white: sum, x: x / sum, y: y / sum };
            }""",
            camera,
        )


@contextmanager
def served(viewed: ViewedRun, home: Path) -> Iterator[tuple[str, Session]]:
    """The address of a server that shows a run, its clean videos ready, and the server's side."""
    uvicorn = pytest.importorskip("uvicorn")
    session = Session(viewed, home / "view")
    proxies = Proxies(viewed.cameras, home / "view" / "proxies")
    config = uvicorn.Config(None, port=0, log_level="error", lifespan="off")
    listener = config.bind_socket()
    port = listener.getsockname()[1]
    config.app = make_app(session, proxies, hosts=loopback_names(port))
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    filmed = [k for k, camera in enumerate(viewed.cameras) if camera.video is not None]
    for camera in filmed:
        proxies.request(camera)
    while any(proxies.state(camera).state != "ready" for camera in filmed):
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/", session
    finally:  # a test that fails must not wait for the server's thread
        running.should_exit = True
        thread.join()
        listener.close()
        proxies.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    home = tmp_path_factory.mktemp("run")
    videos = (film(home / "north.mp4", 0, VEHICLES), film(home / "south.mp4", 100, VEHICLES))
    viewed = town(home, videos=videos, names=NAMES, vehicles=VEHICLES, embed=EmbedConfig(weights="none"))
    with served(viewed, home) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def window(server: tuple[str, Session], browser: Any, request: pytest.FixtureRequest) -> Iterator[Window]:
    """A new window; any complaint of the browser fails the test."""
    wide, high, scheme = getattr(request, "param", (1280, 720, "light"))
    context = browser.new_context(
        viewport={"width": wide, "height": high}, color_scheme=scheme, accept_downloads=True
    )
    found = Window(context.new_page(), server[1], server[0])
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("dialog", lambda dialog: found.complaints.append(dialog.message))
    yield found
    context.close()
    assert found.complaints == []


def test_the_browser_plays_h264(window: Window) -> None:
    window.page.goto(window.address)
    kind = 'video/mp4; codecs="avc1.640028"'
    assert window.page.evaluate("(kind) => document.createElement('video').canPlayType(kind)", kind) == "probably"


def test_seeking_shows_the_right_boxes_on_the_right_pixels(window: Window) -> None:
    window.open("#/")
    window.until("mtmc.page().player.tiles.every((tile) => tile.isReady)")
    for camera, frame in ((0, 7), (0, 95), (1, 131), (1, 430), (0, 350), (0, 349)):
        window.page.evaluate("(time) => mtmc.page().player.seek(time)", frame / 10)
        window.until(
            f"(({{ frame, video, rows }}) => frame === {frame} && !video.seeking && rows?.length === 1)"
            f"(mtmc.page().player.tiles[{camera}])"
        )
        shown = window.tile(camera)
        [box] = shown["rows"]
        assert shown["x"] == pytest.approx((box["x1"] + box["x2"]) / 2, abs=1.5)  # a vehicle moves by 9 px a frame
        assert shown["y"] == pytest.approx((box["y1"] + box["y2"]) / 2, abs=1.5)


@pytest.mark.parametrize(
    "reports",
    ["(report) => 0", "(report, info) => setTimeout(() => report(0, { ...info, mediaTime: 0 }), 300)"],
    ids=["lost", "late"],
)
def test_boxes_do_not_depend_on_reports_of_pictures(window: Window, reports: str) -> None:
    """A busy browser reports only the first of two pictures that follow each other, or reports it late."""
    window.page.add_init_script(
        f"""(() => {{
          const reports = {reports};
          const request = HTMLVideoElement.prototype.requestVideoFrameCallback;
          HTMLVideoElement.prototype.requestVideoFrameCallback = function (report) {{
            return request.call(this, (now, info) => reports(report, info));
          }};
        }})();"""
    )
    window.open("#/")
    window.until("mtmc.page().player.tiles.every((tile) => tile.isReady)")
    for frame in (95, 350):
        window.page.evaluate("(time) => mtmc.page().player.seek(time)", frame / 10)
        window.until(f"(({{ frame, video }}) => frame === {frame} && !video.seeking)(mtmc.page().player.tiles[0])")
        window.page.wait_for_timeout(500)
        shown = window.tile(0)
        [box] = shown["rows"]
        assert shown["frame"] == frame
        assert shown["x"] == pytest.approx((box["x1"] + box["x2"]) / 2, abs=1.5)


def test_no_boxes_stand_on_a_camera_that_has_no_picture_yet(window: Window) -> None:
    window.open("#/")
    window.until("mtmc.page().player.tiles.every((tile) => tile.isReady)")
    shown = window.page.evaluate(
        """() => {
          const [tile] = mtmc.page().player.tiles;
          tile.sync(tile.camera.clock.timeAt(0) - 5, false, 1);
          tile.onPicture(0, { mediaTime: 8.5 });  // the hidden video shows a picture
          const before = tile.frame;
          tile.sync(tile.camera.clock.timeAt(85), false, 1);
          return before;
        }"""
    )
    assert shown is None
    window.until("mtmc.page().player.tiles[0].frame === 85")


def test_the_page_opens_where_the_most_cameras_see_a_vehicle(window: Window) -> None:
    window.open("#/")
    tracklets = [p.tracklet for p in window.session.viewed.passages]
    rows = [(t.camera_id, t.start_s, t.end_s) for t in tracklets]

    def cameras_at(time_s: float) -> int:
        return len({camera for camera, first_s, last_s in rows if first_s <= time_s <= last_s})

    most = max(cameras_at(first_s) for _, first_s, _ in rows)
    assert most == 2
    expected = min(first_s for _, first_s, _ in rows if cameras_at(first_s) == most)
    assert expected > min(first_s for _, first_s, _ in rows)
    assert window.page.evaluate("mtmc.page().player.time") == pytest.approx(expected, abs=1e-3)


def test_cameras_play_in_step(window: Window) -> None:
    window.open("#/?t=9")
    window.until("mtmc.page().player.tiles.every((tile) => tile.isReady && tile.frame !== null)")
    window.page.keyboard.press("Space")
    window.until("mtmc.page().player.time > 11.5")
    apart = window.page.evaluate(
        """() => new Promise((resolve) => {
          const found = [];
          const { player } = mtmc.page();
          const look = () => {
            const [a, b] = player.tiles.map((tile) => tile.video.currentTime);
            found.push(Math.abs(a - b));
            if (found.length < 40) requestAnimationFrame(look); else resolve(found);
          };
          look();
        })"""
    )
    window.page.keyboard.press("Space")
    assert sorted(apart)[len(apart) // 2] < 0.15  # seconds: one picture and a half
    window.until(
        "(({ player }) => !player.isPlaying && player.tiles.every("
        "(tile) => !tile.video.seeking && tile.frame === tile.camera.clock.frameAt(player.time)))(mtmc.page())"
    )


def test_a_vehicle_is_followed_from_camera_to_camera(window: Window) -> None:
    window.open("#/?t=2")
    window.until("mtmc.page().player.tiles[0].rows?.length === 1")
    row = window.page.evaluate("mtmc.page().player.tiles[0].rows[0]")
    canvas = window.page.locator(".tile canvas").first
    size = canvas.bounding_box()
    scale = size["width"] / SIZE_WH[0]
    canvas.click(position={"x": (row["x1"] + 9) * scale, "y": (row["y1"] + 9) * scale})
    vehicle = window.page.evaluate("(passage) => mtmc.store.vehicle[passage]", row["passage"])
    assert window.page.locator(".chosen .chip").inner_text() == str(vehicle)
    moments = window.page.evaluate(
        """(id) => mtmc.store.vehicles.get(id).passages.map(
          (passage) => mtmc.store.camera(passage).clock.timeAt(passage.largestFrame))""",
        vehicle,
    )
    later = [moment for moment in sorted(moments) if moment > 2.05]
    window.page.keyboard.press("n")
    assert window.page.evaluate("mtmc.page().player.time") == pytest.approx(later[0])
    window.page.keyboard.press("Escape")
    assert window.page.locator(".chosen .chip").count() == 0


def test_a_vehicle_without_other_candidates_ends_with_its_links(window: Window) -> None:
    for vehicle in sorted({*window.session.state()[1].vehicle.tolist()}):
        window.open(f"#/vehicle/{vehicle}")
        window.page.get_by_role("heading", name="Why these are one vehicle").wait_for(timeout=WAIT_MS)
        stray = "[...document.querySelector('#page section').childNodes].filter((node) => node.nodeType === 3)"
        assert window.page.evaluate(f"{stray}.map((node) => node.data)") == []


def test_evidence_adds_up(window: Window) -> None:
    vehicle = next(
        int(v) for v in window.session.state()[1].vehicle if (window.session.state()[1].vehicle == v).sum() > 1
    )
    window.open(f"#/vehicle/{vehicle}")
    table = window.page.locator(".link .evidence").first
    values = [float(text.replace("−", "-")) for text in table.locator("td.number").all_inner_texts()]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.05 * len(values))


def test_merge_split_and_undo(window: Window) -> None:
    before = window.session.state()[1].vehicle.tolist()
    first, second = sorted(set(before))[:2]
    window.open(f"#/vehicle/{first}")
    window.page.get_by_label("Number of the other vehicle").fill(str(second))
    window.page.get_by_role("button", name="Merge", exact=True).first.click()
    window.until(f"mtmc.store.vehicles.size < {len(set(before))}")
    merged = window.session.state()[1].vehicle.tolist()
    assert len({merged[k] for k, vehicle in enumerate(before) if vehicle in (first, second)}) == 1
    kept = merged[before.index(first)]
    window.open(f"#/vehicle/{kept}")
    box = window.page.get_by_role("checkbox").first
    assert window.page.locator("button.split").is_disabled()
    box.check()
    assert window.page.locator("button.split").is_enabled()
    sequence = window.session.state()[0]
    window.page.locator("button.split").click()
    window.page.wait_for_selector("#message.error", timeout=WAIT_MS)  # the answer before says the contrary
    assert "contradicts answer" in window.page.locator("#message").inner_text()
    window.page.keyboard.press("6")
    window.page.wait_for_selector(".journal tr")
    window.page.keyboard.press("u")
    window.until(f"mtmc.store.sequence === {sequence + 1}")
    assert window.session.state()[1].vehicle.tolist() == before
    window.complaints.clear()  # Chromium reports the refused answer


def test_review_by_keyboard_and_undo(window: Window) -> None:
    sequence, solution = window.session.state()
    window.open("#/review")
    if window.page.locator(".answers").count() == 0:
        window.page.wait_for_selector(".answers", timeout=WAIT_MS)
    window.page.keyboard.press("d")
    window.until(f"mtmc.store.sequence === {sequence + 1}")
    entry = window.session.entries()[-1][0]
    assert entry.action == "different"
    window.page.keyboard.press("u")
    window.until(f"mtmc.store.sequence === {sequence + 2}")
    assert window.session.state()[1].vehicle.tolist() == solution.vehicle.tolist()


def test_another_window_has_answered(window: Window) -> None:
    window.open("#/review")
    window.page.wait_for_selector(".answers", timeout=WAIT_MS)
    sequence = window.session.state()[0]
    window.session.answer(sequence, (0, 1), is_same=False)
    window.page.keyboard.press("s")
    window.page.wait_for_selector("#message.error", timeout=WAIT_MS)
    assert "another window has answered" in window.page.locator("#message").inner_text()
    window.until(f"mtmc.store.sequence === {sequence + 1}")
    window.session.undo(sequence + 1, sequence + 1)
    window.complaints.clear()  # Chromium reports the refused answer


def test_a_tracklet_is_cut_classed_and_deleted_by_keyboard_and_undone(window: Window) -> None:
    columns, vehicles = window.session.viewed.columns(), window.session.state()[1].vehicle.tolist()
    sequence = window.session.state()[0]
    whole = row_of(columns, 0, 2)
    first = columns["first_frame"][whole]
    window.open("#/tracklet/0-2")
    window.page.keyboard.press("Home")
    assert window.page.get_by_role("button", name="Cut before this picture").is_disabled()
    window.page.evaluate("(time) => mtmc.page().player.seek(time)", (first + 15) / 10)
    window.page.keyboard.press("c")
    window.until(f"mtmc.store.sequence === {sequence + 1}")
    window.until(f"mtmc.store.passages.length === {2 * VEHICLES + 1}")
    cut = window.session.viewed.columns()
    assert cut["boxes"][row_of(cut, 0, 2)] == 15
    assert cut["first_frame"][row_of(cut, 0, VEHICLES + 1)] == first + 15

    window.open(f"#/tracklet/0-{VEHICLES + 1}")
    window.page.get_by_label("Class").select_option("bus")
    window.page.get_by_role("button", name="Change").click()
    window.until(f"mtmc.store.sequence === {sequence + 2}")
    window.page.keyboard.press("x")
    window.until(f"mtmc.store.sequence === {sequence + 3}")
    window.until(f"mtmc.store.passages.length === {2 * VEHICLES}")
    assert VEHICLES + 1 not in window.session.viewed.columns()["track"]
    for count in (4, 5, 6):
        window.page.keyboard.press("u")
        window.until(f"mtmc.store.sequence === {sequence + count}")
    window.until(f"mtmc.store.tracklets === '' && mtmc.store.passages.length === {2 * VEHICLES}")
    assert window.session.viewed.columns() == columns
    assert window.session.state()[1].vehicle.tolist() == vehicles


def test_vehicles_are_checked_cut_merged_and_split_by_keyboard(browser: Any, tmp_path: Path) -> None:
    videos = (film(tmp_path / "north.mp4", 0, VEHICLES), film(tmp_path / "south.mp4", 100, VEHICLES))
    viewed = town(tmp_path / "run", videos=videos, vehicles=VEHICLES, embed=EmbedConfig(weights="none"))
    with served(viewed, tmp_path) as (address, session):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        window = Window(page, session, address)
        page.on("pageerror", lambda error: window.complaints.append(str(error)))
        window.open("#/check")
        page.locator(".filter select").select_option("0")  # vehicles of the first camera, in order of time
        window.until(f"mtmc.page().rows.length === {VEHICLES} && mtmc.page().rows.every((row) => row.cells.length)")
        count = len(set(session.state()[1].vehicle.tolist()))

        page.keyboard.press("Enter")
        window.until("mtmc.store.sequence === 1")
        assert session.snapshot().checked == {int(session.state()[1].vehicle[0])}
        window.until("document.querySelector('.check .count').innerText.startsWith('1 of ')")
        assert page.locator(".rows li.checked").count() == 1
        assert page.evaluate("mtmc.page().rows.findIndex((row) => row.node.matches('.current'))") == 1

        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("c")  # the second vehicle, before its fifth box
        window.until("mtmc.store.sequence === 2")
        columns = session.viewed.columns()
        assert columns["boxes"][row_of(columns, 0, 2)] == 4
        assert columns["boxes"][row_of(columns, 0, VEHICLES + 1)] == 36

        window.until(f"mtmc.store.vehicles.size >= {count} && mtmc.page().rows.every((row) => row.cells.length)")
        first, second = (row_of(columns, 0, track) for track in (2, VEHICLES + 1))
        vehicle = session.state()[1].vehicle
        if vehicle[first] != vehicle[second]:  # joined again by hand
            for passage in (first, second):
                row = f"mtmc.page().rows.findIndex((row) => row.vehicle.id === {vehicle[passage]})"
                page.locator(".rows li").nth(page.evaluate(row)).locator(".cell").first.click()
                page.keyboard.press("m")
            window.until("mtmc.store.sequence === 3")
        vehicle = session.state()[1].vehicle
        assert vehicle[first] == vehicle[second]

        # Without its first rows the page has other vehicles in their places; the choice stays with its vehicle.
        for _ in range(VEHICLES):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        chosen = "mtmc.page().rows.find((row) => row.node.matches('.current')).vehicle.id"
        last = page.evaluate(chosen)
        sequence = session.state()[0]
        session.delete(sequence, [first, second])
        page.evaluate("mtmc.store.refresh()")
        window.until(f"mtmc.store.sequence === {sequence + 1}")
        assert page.evaluate(chosen) == last
        session.undo(sequence + 1, sequence + 1)
        page.evaluate("mtmc.store.refresh()")
        window.until(f"mtmc.store.sequence === {sequence + 2}")
        vehicle = session.state()[1].vehicle

        page.keyboard.press("a")
        window.until("document.querySelectorAll('.rows li.hint').length === 1")
        of_camera = {int(v) for v, camera in zip(vehicle, session.viewed.camera, strict=True) if camera == 0}
        assert session.snapshot().checked == of_camera
        page.get_by_label("Checked ones, too").check()
        window.until(f"mtmc.page().rows.length === {len(of_camera)}")
        assert page.locator(".rows li.checked").count() == len(of_camera)
        page.close()
        assert window.complaints == []


def test_the_cells_of_a_sheet_are_the_boxes_of_a_tracklet(window: Window) -> None:
    window.open("#/check")
    window.until("mtmc.page().rows.length && mtmc.page().rows.every((row) => row.cells.length)")
    columns = window.session.viewed.columns()
    for row in window.page.evaluate("mtmc.page().rows.map((row) => [row.vehicle.id, row.cells.length])"):
        members = np.flatnonzero(window.session.state()[1].vehicle == row[0])
        assert row[1] == sum(columns["boxes"][k] for k in members)
        cameras = [columns["camera"][k] for k in members]
        names = [f"Path in camera {NAMES[camera]}" for camera in sorted(set(cameras))]
        shown = window.page.evaluate(
            "(id) => [...mtmc.page().rows.find((row) => row.vehicle.id === id).node.querySelectorAll('.path')].map("
            "(plot) => [plot.getAttribute('aria-label'), plot.getContext('2d').getImageData(0, 0, plot.width, "
            "plot.height).data.some(Boolean)])",
            row[0],
        )
        assert shown == [[name, True] for name in names]
    sheet = window.page.evaluate("getComputedStyle(document.querySelector('.cell')).backgroundImage").split('"')[1]
    jpeg = window.page.request.get(window.address.rstrip("/") + sheet[sheet.index("/api") :])
    assert jpeg.headers["content-type"] == "image/jpeg"


def row_of(columns: dict[str, list[Any]], camera: int, track: int) -> int:
    """The passage of a tracklet; passages are in the order of their cameras' names."""
    return list(zip(columns["camera"], columns["track"], strict=True)).index((camera, track))


def test_a_vehicle_gets_another_number_by_hand(window: Window) -> None:
    sequence, solution = window.session.state()
    vehicle = int(solution.vehicle[0])
    window.open(f"#/vehicle/{vehicle}")
    window.page.get_by_label("New number of the vehicle").fill("77")
    window.page.get_by_role("button", name="Assign").click()
    window.page.wait_for_url("**/#/vehicle/77", timeout=WAIT_MS)
    renamed = window.session.state()[1].vehicle.tolist()
    assert renamed == [77 if number == vehicle else number for number in solution.vehicle.tolist()]
    window.page.wait_for_selector(".journey")
    window.page.keyboard.press("u")
    window.until(f"mtmc.store.sequence === {sequence + 2}")
    assert window.session.state()[1].vehicle.tolist() == solution.vehicle.tolist()


def test_search_by_a_crop_and_by_a_picture(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.stack([p.embedding for p in window.session.viewed.passages])
    monkeypatch.setattr("mtmc.view.search.make_embedder", lambda config, threads: _Constant(vectors[3]))
    window.open("#/vehicle/1")
    window.page.get_by_role("link", name="Similar ones").first.click()
    window.page.wait_for_selector(".matches li", timeout=WAIT_MS)
    shown = [float(t.replace("−", "-")) for t in window.page.locator(".matches .title .number").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 2 * VEHICLES - 1

    window.open("#/search")
    (tmp_path / "picture.png").write_bytes(cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes())
    window.page.locator("input[type=file]").set_input_files(tmp_path / "picture.png")
    window.page.wait_for_selector(".matches li", timeout=WAIT_MS)
    first = window.page.locator(".matches a.crops").first.get_attribute("href")
    assert first == f"#/search?tracklet={window.session.viewed.camera[3]}-4"

    window.open("#/search?tracklet=0-1")  # a picture takes the place of a tracklet
    window.page.wait_for_selector(".matches li", timeout=WAIT_MS)
    window.page.locator("input[type=file]").set_input_files(tmp_path / "picture.png")
    window.until(f"document.querySelectorAll('.matches li').length === {2 * VEHICLES}")
    assert window.page.locator(".example img").get_attribute("src").startswith("blob:")
    assert window.page.locator(".matches button").count() == 0

    (tmp_path / "picture.png").write_text("no picture")
    window.page.locator("input[type=file]").set_input_files(tmp_path / "picture.png")
    window.page.wait_for_selector("#message.error", timeout=WAIT_MS)
    assert "expected a picture (PNG or JPEG), got another file" in window.page.locator("#message").inner_text()
    assert window.page.locator(".matches li").count() == 0
    window.complaints.clear()  # Chromium reports the refused request


@dataclass
class _Constant:
    """An embedder that sees the same vehicle in every picture."""

    vector: Any
    name: str = "constant"
    size_hw: tuple[int, int] = (8, 8)
    interpolation: str = "linear"

    def __call__(self, images: Any) -> Any:
        return np.tile(self.vector, (len(images), 1))


def test_a_picture_that_is_too_large_is_refused_in_words(window: Window, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(b"\xff\xd8" + bytes(17 << 20))
    window.open("#/search")
    window.page.locator("input[type=file]").set_input_files(large)
    window.until("!document.getElementById('message').hidden")
    assert "at most 16 MiB" in window.page.locator("#message").inner_text()
    window.complaints.clear()  # the browser reports the answer 413


def test_the_graph_shows_the_travel_times(window: Window) -> None:
    window.open("#/map")
    window.page.wait_for_selector(".routes tbody tr")
    assert "no map" in window.page.locator("#page .hint").inner_text()
    cells = window.page.locator(".routes tbody tr").first.locator("td").all_inner_texts()
    vehicle, columns = window.session.state()[1].vehicle, window.session.viewed.columns()
    pairs = [(row_of(columns, 0, k), row_of(columns, 1, k)) for k in range(1, VEHICLES + 1)]
    gaps = [columns["start_s"][b] - columns["end_s"][a] for a, b in pairs if vehicle[a] == vehicle[b]]
    assert cells[:3] == [*NAMES, str(len(gaps))]
    assert float(cells[3].removesuffix(" s")) == pytest.approx(np.median(gaps), abs=0.1)


def test_mistakes_are_compared_and_mended_by_keyboard(browser: Any, tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", with_truth=True)
    with served(viewed, tmp_path) as (address, session):
        window = Window(browser.new_page(viewport={"width": 1280, "height": 720}), session, address)
        window.open("#/result")
        link = window.page.get_by_role("link", name="Mistakes of the run")
        link.wait_for(timeout=WAIT_MS)
        requests = (
            "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/api/mistakes')).length"
        )
        window.until(f"{requests} === 1")  # they are on their way before the page is opened
        link.click()
        window.page.wait_for_selector(".mistakes tbody tr", timeout=WAIT_MS)
        assert window.page.evaluate(requests) == 1
        found = mistakes_of(viewed)
        assert found
        rows = window.page.locator(".mistakes tbody tr")
        assert rows.count() == len(found)
        assert int(rows.first.locator("td").first.inner_text()) == found[0].boxes
        assert window.page.locator(".pair .tile").count() == 2
        missed = next(k for k, mistake in enumerate(found) if mistake.kind == "missed merge")
        for _ in range(missed):
            window.page.keyboard.press("j")
        window.page.keyboard.press("s")
        window.until("mtmc.store.sequence === 1")
        window.until(f"document.querySelectorAll('.mistakes tbody tr')[{missed}].innerText.includes('Mended')")
        window.page.keyboard.press("u")
        window.until("mtmc.store.sequence === 2")
        window.page.close()


def test_vehicles_stand_on_the_map_where_they_are(browser: Any, tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", vehicles=VEHICLES, on_ground=True)
    with served(viewed, tmp_path) as (address, session):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        window = Window(page, session, address)
        window.open("#/map")
        window.until("mtmc.page().maps.length === 1 && mtmc.page().player")
        for camera, frame in ((0, 85), (1, 190)):
            page.evaluate("(time) => mtmc.page().player.seek(time)", frame / 10)
            window.until(f"mtmc.page().maps[0].at({frame / 10}).length")
            [passage] = [
                k for k, p in enumerate(viewed.passages) if viewed.camera[k] == camera and frame in p.tracklet.frame
            ]
            tracklet = viewed.passages[passage].tracklet
            x, y = viewed.passages[passage].ground_m[tracklet.frame == frame][0].tolist()
            seen = page.evaluate(f"mtmc.page().maps[0].at({frame / 10})")
            [shown] = [row for row in seen if row["passage"] == passage]
            assert shown["vehicle"] == session.state()[1].vehicle[passage]
            # The plane of the second camera is turned by 90 degrees and lies 100 m to the north of the first.
            assert (shown["x"], shown["y"]) == pytest.approx((x, y) if camera == 0 else (-y, 100 + x), abs=1e-3)
        drawn = f"mtmc.page().maps[0].shown.find((row) => row.passage === {passage})"
        window.until(drawn)  # the moment that was sought last is on the canvas
        dot = page.evaluate(drawn)
        page.locator("canvas.ground").click(position={"x": dot["pixel"][0], "y": dot["pixel"][1]})
        page.wait_for_url(f"**/#/vehicle/{dot['vehicle']}", timeout=WAIT_MS)
        page.close()


def test_labels_of_a_crowded_map_do_not_cover_one_another(window: Window) -> None:
    window.open("#/map")
    boxes = window.page.evaluate(
        """async () => {
          const { Labels } = await import("/static/canvas.js");
          const labels = new Labels(document.createElement("canvas").getContext("2d"), 200);
          labels.add("alone", [50, 500], 8);
          labels.block([40, 700], 6);
          labels.add("turned", [20, 700], 8);
          labels.add("edge", [195, 600], 8);
          for (let k = 0; k < 40; k += 1) labels.add(`vehicle ${k}`, [80 + k, 100 + (7 * k) % 30], 8);
          return labels.boxes;
        }"""
    )
    assert boxes[0]["left"] == 58  # to the right of its point
    assert boxes[2]["bottom"] == 700 - 8  # above its point, as another is to the right and the image ends to the left
    assert boxes[3]["right"] == 187  # to the left, where the image ends
    assert all(0 <= box["left"] < box["right"] <= 200 for box in boxes)
    assert 7 < len(boxes) < 44
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert (
                a["right"] <= b["left"]
                or b["right"] <= a["left"]
                or a["bottom"] <= b["top"]
                or b["bottom"] <= a["top"]
            )


def test_the_corrected_result_is_downloaded(window: Window, tmp_path: Path) -> None:
    window.open("#/result")
    with window.page.expect_download() as download:
        window.page.get_by_role("link", name="Corrected track1.txt").click()
    assert download.value.suggested_filename == "track1.txt"
    download.value.save_as(tmp_path / "track1.txt")
    assert (tmp_path / "track1.txt").read_bytes() == window.session.export().read_bytes()


def test_moments_are_times_of_day_where_the_date_is_known(browser: Any, tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", vehicles=VEHICLES)
    start = datetime(2026, 5, 12, 23, 59, 50, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    viewed = replace(viewed, run=replace(viewed.run, scene=replace(viewed.run.scene, start_utc=start)))
    with served(viewed, tmp_path) as (address, session):
        window = Window(browser.new_page(), session, address)
        window.open("#/?t=4.25")
        assert window.page.locator("output.time").inner_text() == "23:59:54.3"
        assert "2026-05-12, UTC-03:30" in window.page.locator(".bar").inner_text()
        window.page.evaluate("mtmc.page().player.seek(12)")
        assert window.page.locator("output.time").inner_text() == "2026-05-13 00:00:02.0"
        window.open("#/vehicles")
        shown = window.page.locator(".gallery li")
        assert shown.count() == len(set(session.state()[1].vehicle.tolist()))
        window.page.get_by_label("To").fill("2026-05-13T00:00:05")  # second 15
        columns, vehicle = viewed.columns(), session.state()[1].vehicle.tolist()
        early = {v for v, begin_s in zip(vehicle, columns["start_s"], strict=True) if begin_s <= 15.0}
        assert shown.count() == len(early)
        window.page.close()


def test_an_export_that_is_not_possible_says_why(browser: Any, tmp_path: Path) -> None:
    """The run has no videos to take crops from; the ground truth, which needs none, can be had afterwards."""
    with served(town(tmp_path / "run", vehicles=VEHICLES), tmp_path) as (address, session):
        window = Window(browser.new_page(accept_downloads=True), session, address)
        window.open("#/result")
        downloads: list[Any] = []
        window.page.on("download", lambda download: downloads.append(download))
        window.page.get_by_role("link", name="Crops", exact=True).click()
        reason = window.page.locator("p.worse[role=status]")
        reason.wait_for(timeout=WAIT_MS)
        assert "the videos of the run are not there, so there are no crops" in reason.inner_text()
        assert downloads == []
        with window.page.expect_download() as download:
            window.page.get_by_role("link", name="Ground truth", exact=True).click()
        assert download.value.suggested_filename == "truth.zip"
        window.until("!document.querySelector('.worse')")
        window.page.close()


@pytest.mark.parametrize("name", ["nothing", "constructor", "__proto__", "toString", "%E0%A4%A"])
def test_an_unknown_page_is_that_of_the_cameras(window: Window, name: str) -> None:
    window.open(f"#/{name}")
    assert window.page.locator("#page section").get_attribute("aria-label") == "Cameras"


def test_names_stay_text(window: Window) -> None:
    window.open("#/")
    assert NAMES[1] in window.page.locator("figcaption").nth(1).inner_text()
    assert window.page.locator("figcaption b").count() == 0


def test_keys_reach_every_page_and_the_help(window: Window) -> None:
    window.open("#/")
    for key, title in zip(
        "23456781",
        ("Vehicles", "Check", "Review", "Place", "Result", "Map", "Search", "Cameras"),
        strict=True,
    ):
        window.page.keyboard.press(key)
        window.page.wait_for_selector(f'#page section[aria-label="{title}"]', timeout=WAIT_MS)
        assert window.page.locator("nav a[aria-current]").inner_text() == title
    window.page.keyboard.press("?")
    assert window.page.locator("dialog.help").is_visible()


@pytest.mark.parametrize(
    "window",
    [(1280, 720, "light"), (1280, 720, "dark"), (390, 844, "light"), (390, 844, "dark")],
    indirect=True,
    ids=lambda value: f"{value[0]}x{value[1]} {value[2]}",
)
def test_every_page_fits_the_window(window: Window) -> None:
    for page in PAGES:
        window.open(page)
        window.page.wait_for_timeout(300)
        assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page
        contrast = window.page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert contrast[0] != contrast[1]
