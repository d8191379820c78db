"""How quick ``mtmc view`` is: first page, seeking, timeline, memory, on simulated runs.

    python -m tools.bench.view --cameras 6 --frames 2000 --bars 600
    python -m tools.bench.view --cameras 40 --frames 20000 --bars 20000

All cameras show one generated video in which blocks spell the number of the frame, so that the picture on screen can
be told. Its clean video is made once. The server is a process of its own. Playwright drives a Chromium of the system.
Identities are those of the simulation: association is not solved. CPU times tell what a quiet machine would need.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.config import RunConfig
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.results import LoadedRun
from mtmc.scene import Camera, Scene
from mtmc.types import Array, GlobalTrack, Passage, Tracklet
from mtmc.video.write import VideoWriter
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import ViewedRun, view_of

__all__ = ["main", "measure", "simulated_run"]

FPS = 10.0
SIZE_WH = (320, 180)
_BITS, _BLOCK_PX = 16, 20
_LENGTHS = (40, 160)  # frames of a passage
_SEEKS = 12

_CLOCKED = """
addEventListener("DOMContentLoaded", () => {
  const seen = new MutationObserver(() => {
    if (!document.querySelector("#page section canvas")) return;
    seen.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => (window.firstPageMs = performance.now())));
  });
  seen.observe(document.body, { childList: true, subtree: true });
});
"""
_SEEK = """async ([time, count]) => {
  const { player } = mtmc.page();
  const tiles = player.tiles.filter((tile) => !tile.isHidden).slice(0, count);
  const begin = performance.now();
  player.seek(time);
  const isThere = (tile) => !tile.video.seeking && tile.frame === tile.camera.clock.frameAt(time);
  while (!tiles.every(isThere)) {
    if (performance.now() - begin > 20000) throw new Error("a picture is missing");
    await new Promise(requestAnimationFrame);
  }
  const elapsed = performance.now() - begin;
  const shown = tiles.map(({ video, frame }) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 180];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 320, 180);
    let number = 0;
    for (let bit = 0; bit < 16; bit += 1) {
      const [red] = context.getImageData(20 * bit + 10, 90, 1, 1).data;
      if (red > 127) number += 2 ** bit;
    }
    return [frame, number];
  });
  return { elapsed, shown };
}"""
_TIMELINE = """async () => {
  const { keys } = mtmc.page();
  const steps = [];
  for (let k = 0; k < 60; k += 1) {
    keys[k % 20 < 10 ? "+" : "-"]();
    await new Promise(requestAnimationFrame);
    steps.push(performance.now());
  }
  return (1000 * (steps.length - 1)) / (steps.at(-1) - steps[0]);
}"""


def simulated_run(out: Path, video: Path, cameras: int, frames: int, bars: int) -> ViewedRun:
    """Vehicles that pass cameras at random times; every vehicle is seen by two cameras."""
    rng = np.random.default_rng(0)
    names = [f"c{k:03d}" for k in range(1, cameras + 1)]
    passages: dict[str, list[Passage]] = {name: [] for name in names}
    tracks = []
    for vehicle in range(1, bars // 2 + 1):
        seen_by = rng.choice(cameras, 2, replace=False).tolist()
        seen = [_passage(names[k], len(passages[names[k]]) + 1, frames, rng) for k in seen_by]
        for k, passage in zip(seen_by, seen, strict=True):
            passages[names[k]].append(passage)
        tracks.append(GlobalTrack(vehicle, tuple(sorted(seen, key=lambda p: p.tracklet.start_s))))
    scene = Scene(
        "simulated",
        out,
        tuple(
            Camera(name, k, Clock(FPS), video=video, size_wh=SIZE_WH, frame_count=frames)
            for k, name in enumerate(names, start=1)
        ),
    )
    results = tuple(CameraResult(name, passages=passages[name]) for name in names)
    return view_of(LoadedRun(out, scene, scene, RunConfig(), results, tuple(tracks)))


def _passage(camera: str, number: int, frames: int, rng: np.random.Generator) -> Passage:
    length = int(rng.integers(*_LENGTHS))
    first = int(rng.integers(0, frames - length))
    frame = np.arange(first, first + length)
    left = np.linspace(-20, SIZE_WH[0] - 30, length)[:, None]
    top = rng.uniform(20, SIZE_WH[1] - 50)
    xyxy = np.concatenate([left, np.full_like(left, top), left + 40, np.full_like(left, top + 30)], axis=1)
    tracklet = Tracklet(
        camera,
        number,
        frame,
        frame / FPS,
        xyxy.astype(np.float32),
        np.full(length, 0.9, np.float32),
        1,
        np.zeros((length, 0), np.float32),
    )
    return Passage(tracklet, np.zeros(0, np.float32), "", "", np.full((length, 2), np.nan))


def write_numbered(path: Path, frames: int) -> None:
    """A video whose frames show their number: bit k of it is white or black at x = 20 k … 20 k + 19."""
    with VideoWriter(path, SIZE_WH, FPS) as writer:
        for frame in range(frames):
            writer.write(_numbered(frame))


def _numbered(frame: int) -> Array:
    bits = (frame >> np.arange(_BITS)) & 1
    row = np.repeat(np.where(bits, 235, 20).astype(np.uint8), _BLOCK_PX)
    return np.broadcast_to(row[None, :, None], (SIZE_WH[1], SIZE_WH[0], 3)).copy()


def prepare(folder: Path, cameras: int, frames: int, bars: int) -> ViewedRun:
    """The run with the clean videos of all cameras, which are copies of one."""
    video = folder / "numbered.mp4"
    if not video.is_file():
        write_numbered(video, frames)
    viewed = simulated_run(folder, video, cameras, frames, bars)
    proxies = Proxies(viewed.cameras, folder / "proxies")
    while proxies.request(0).state not in ("ready", "failed"):
        time.sleep(0.05)
    proxies.close()
    for camera in range(1, cameras):
        for suffix in (".mp4", ".json"):
            target = proxies.path(camera).with_suffix(suffix)
            if not target.exists():
                shutil.copy(proxies.path(0).with_suffix(suffix), target)
    return viewed


def _serve(folder: Path, cameras: int, frames: int, bars: int, port: Any) -> None:
    import uvicorn

    from mtmc.view.security import loopback_names
    from mtmc.view.server import make_app
    from mtmc.view.session import Session

    viewed = prepare(folder, cameras, frames, bars)
    listener = socket.create_server(("127.0.0.1", 0))
    number = listener.getsockname()[1]
    proxies = Proxies(viewed.cameras, folder / "proxies")
    app = make_app(Session(viewed, folder), proxies, hosts=loopback_names(number))
    port.put(number)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


@contextmanager
def _server(*arguments: Any) -> Iterator[tuple[int, int]]:
    """Port and process of a server."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_serve, args=(*arguments, queue), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield queue.get(timeout=1200), process.pid
    finally:
        process.terminate()
        process.join()


def measure(cameras: int, frames: int, bars: int) -> dict[str, float]:
    """The figures of one simulated run: milliseconds, frames per second, MiB."""
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as name,
        _server(Path(name), cameras, frames, bars) as (port, server),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        figures = _in_browser(browser, f"http://127.0.0.1:{port}/", frames)
        figures["server MiB"] = _resident_mib(server)
        browser.close()
    return figures


def _in_browser(browser: Any, address: str, frames: int) -> dict[str, float]:
    firsts = []
    for _ in range(3):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script(_CLOCKED)
        page.goto(address)
        while page.evaluate("window.firstPageMs ?? 0") == 0:
            page.wait_for_timeout(20)
        firsts.append(page.evaluate("firstPageMs"))
        first_cpu_ms = max(_cpu_ms(process) for process in _renderers(browser))
        if len(firsts) < 3:
            page.close()
    shown = "mtmc.page().player.tiles.filter((tile) => !tile.isHidden).slice(0, 6)"
    while not page.evaluate(f"{shown}.every((tile) => tile.isReady && tile.video.readyState >= 2)"):
        page.wait_for_timeout(50)
    rng = np.random.default_rng(1)
    seeks = []
    for frame in rng.integers(0, frames, _SEEKS).tolist():
        found = page.evaluate(_SEEK, [frame / FPS, 6])
        assert all(pair == [frame, frame] for pair in found["shown"]), (frame, found["shown"])
        seeks.append(found["elapsed"])
    before = {process: _cpu_ms(process) for process in _renderers(browser)}
    rate = page.evaluate(_TIMELINE)
    spent_ms = max(_cpu_ms(process) - before[process] for process in before)
    return {
        "first page ms": statistics.median(firsts),
        "first page CPU ms": first_cpu_ms,
        "seek median ms": statistics.median(seeks),
        "seek worst ms": max(seeks),
        "timeline frames/s": rate,
        "timeline CPU ms a frame": spent_ms / 60,
        "page MiB": max(_resident_mib(process) for process in _renderers(browser)),
    }


def _renderers(browser: Any) -> list[int]:
    """The processes that show pages."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return [process["id"] for process in found if process["type"] == "renderer"]


def _cpu_ms(process: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(process: int) -> float:
    """Greatest resident memory of a process so far."""
    [line] = [x for x in Path(f"/proc/{process}/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure one simulated run and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--bars", type=int, default=600)
    arguments = parser.parse_args()
    figures = measure(arguments.cameras, arguments.frames, arguments.bars)
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
