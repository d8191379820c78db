"""The pages in a browser: the right boxes on the right pixels, cameras in step, corrections, keys, sizes, schemes.

Playwright drives a Chromium of the system, since its own one plays no H.264.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mtmc.view.proxies import Proxies
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.view.town import SIZE_WH, film, town

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VEHICLES = 5
NAMES = ("north", "<b>south</b>")
PAGES = ("#/", "#/vehicles", "#/vehicle/1", "#/review", "#/result")
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    uvicorn = pytest.importorskip("uvicorn")
    home = tmp_path_factory.mktemp("run")
    videos = (film(home / "north.mp4", 0, VEHICLES), film(home / "south.mp4", 100, VEHICLES))
    viewed = town(home, videos=videos, names=NAMES, vehicles=VEHICLES)
    session = Session(viewed, home / "view")
    proxies = Proxies(viewed.cameras, home / "view" / "proxies")
    config = uvicorn.Config(None, port=0, log_level="error", lifespan="off")
    listener = config.bind_socket()
    port = listener.getsockname()[1]
    config.app = make_app(session, proxies, hosts=loopback_names(port))
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    for camera in range(2):
        proxies.request(camera)
    while {proxies.state(camera).state for camera in range(2)} != {"ready"}:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/", session
    running.should_exit = True
    thread.join()
    listener.close()
    proxies.close()


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
    window.page.keyboard.press("4")
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


def test_the_corrected_result_is_downloaded(window: Window, tmp_path: Path) -> None:
    window.open("#/result")
    with window.page.expect_download() as download:
        window.page.locator("a.download").click()
    download.value.save_as(tmp_path / "track1.txt")
    assert (tmp_path / "track1.txt").read_bytes() == window.session.export().read_bytes()


def test_names_stay_text(window: Window) -> None:
    window.open("#/")
    assert NAMES[1] in window.page.locator("figcaption").nth(1).inner_text()
    assert window.page.locator("figcaption b").count() == 0


def test_keys_reach_every_page_and_the_help(window: Window) -> None:
    window.open("#/")
    for key, title in (("2", "Vehicles"), ("3", "Review"), ("4", "Result"), ("1", "Cameras")):
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
