"""``render.blur`` in everything that shows pictures: videos, mosaic, pages, diagnosis and plots of a place."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.cli import main
from mtmc.config import load_config
from mtmc.diagnose.crops import view_crops
from mtmc.diagnose.link_errors import LinkError, TrackletView
from mtmc.errors import ConfigError
from mtmc.geometry.clock import Clock
from mtmc.pipeline.cache import StageCache, file_sha256
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.render import hidden_regions
from mtmc.pipeline.run import run
from mtmc.pipeline.serialize import pack_detections
from mtmc.render.config import RenderConfig
from mtmc.report import report_run
from mtmc.scene import Camera, Scene
from mtmc.site.learn import CameraZones, LearnedClocks, LearnedScene
from mtmc.site.plots import draw_plots
from mtmc.types import Array, Detections
from mtmc.video.blur import FrameRegions
from mtmc.video.read import read_frames
from tests.builders import write_video

FRAMES, SIZE = 40, (320, 240)
BOX = 40, 60, 120, 80  # left, top, width, height in the first frame; it moves on by 3 px a frame


def checkered() -> Array:
    """Squares of 8 pixels, black and white: differences of neighbors are large everywhere."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] // 8
    return np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two cameras and detections, without and with blur."""
    home = tmp_path_factory.mktemp("town")
    left, top, width, height = BOX
    cameras = []
    for number, name in enumerate(("a", "b"), start=1):
        write_video(home / f"{name}.mp4", np.stack([checkered()] * FRAMES))
        rows = [f"{f + 1},-1,{left + 3 * f},{top},{width},{height},0.9,-1,-1,-1" for f in range(FRAMES)]
        (home / f"{name}.txt").write_text("\n".join(rows))
        (home / f"{name}_gt.txt").write_text("\n".join(r.replace(",-1,", ",7,", 1) for r in rows))
        camera = Camera(name, number, Clock(10.0), video=home / f"{name}.mp4", frame_count=FRAMES, size_wh=SIZE)
        cameras.append(replace(camera, detections=(home / f"{name}.txt",), ground_truth=home / f"{name}_gt.txt"))
    outs = {}
    for kind in ("", "vehicles"):
        overrides = ["input.source=detections", "embed.weights=none", "render.crf=1", f"render.blur=[{kind}]"]
        outs[kind] = home / f"out_{kind}"
        scene = Scene("town", home, tuple(cameras))
        before = [file_sha256(home / f"{name}.mp4") for name in ("a", "b")]
        run(scene, load_config(overrides=overrides), outs[kind], map_cameras=lambda fn, c: [fn(x) for x in c])
        assert [file_sha256(home / f"{name}.mp4") for name in ("a", "b")] == before
    return outs


def detail(image: Array) -> float:
    return float((np.diff(image.astype(float), axis=1) ** 2).mean())


def frame_of(video: Path, index: int) -> Array:
    return next(read_frames(video, "a", Clock(10.0), wanted=[index])).image


def test_videos_show_no_details_of_vehicles_and_all_of_the_rest(runs: dict[str, Path]) -> None:
    clear, hidden = (frame_of(out / "videos" / "a.mp4", 20) for out in runs.values())
    scale = clear.shape[1] / SIZE[0]
    left, top, width, height = (round(scale * v) for v in (BOX[0] + 60, *BOX[1:]))
    inside = slice(top + 30, top + height - 14), slice(left + 14, left + width - 14)
    assert detail(hidden[inside]) < 0.02 * detail(clear[inside])
    below = slice(round(scale * 160), None), slice(None)
    assert detail(hidden[below]) == pytest.approx(detail(clear[below]), rel=0.05)


def pictures(page: Path) -> list[Array]:
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text())
    return [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR) for text in found]


def test_pages_show_no_details_of_vehicles(runs: dict[str, Path]) -> None:
    for name in ("report.html", "full_report.html"):
        if name == "full_report.html":
            for out in runs.values():
                report_run(out, out / name)
        clear, hidden = (pictures(out / name) for out in runs.values())
        assert len(clear) == len(hidden) > 0
        for a, b in zip(clear, hidden, strict=True):
            assert detail(b) < detail(a)
            if a.shape[0] <= 120:  # a vehicle, and not the place
                assert detail(b) < 0.05 * detail(a)


def test_diagnosis_and_plots_of_a_place_show_no_details_of_vehicles(runs: dict[str, Path], tmp_path: Path) -> None:
    plots = []
    for kind, out in runs.items():
        folder = tmp_path / f"plots_{kind}"
        assert main(["site", "learn", str(out), "--out", str(tmp_path / f"{kind}.yaml"), "--plots", str(folder)]) == 0
        plots.append(cv2.imread(str(folder / "a.png")))
    clear, hidden = plots
    assert detail(hidden[:240]) < 0.95 * detail(clear[:240])


def test_the_manifest_names_what_is_blurred(runs: dict[str, Path]) -> None:
    for kind, out in runs.items():
        manifest = json.loads((out / "run.json").read_text())
        assert manifest["config"]["render"]["blur"] == ([kind] if kind else [])


def test_faces_need_people() -> None:
    with pytest.raises(ConfigError, match=r"expected person among detect\.classes"):
        load_config(overrides=["render.blur=[faces]"])
    assert load_config(overrides=["render.blur=[faces]", "detect.classes=[car,person]"]).render.blur == ("faces",)


def test_the_option_of_the_command(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = runs[""].parent
    assert main(["run", "--videos", str(videos), "--out", str(tmp_path), "--blur", "plates,noses"]) != 0
    assert "noses" in capsys.readouterr().err


def test_detections_without_a_track_are_blurred_too(tmp_path: Path) -> None:
    """A weak detection of a single frame, as the stage of detection leaves it in the cache."""
    cache, key = StageCache(tmp_path), "0123"
    weak = Detections(
        np.array([[10, 20, 50, 40]], np.float32),
        np.array([0.2], np.float32),
        np.zeros(1, np.int64),
        np.zeros((1, 0), np.float32),
    )
    head = {"counts": [1, 1, 1], "extent_wh": [50, 40], "problem": "", "part_start": [0]}
    cache.save("detect", "a.from0000000", key, pack_detections([weak]))
    cache.save("detect", "a", key, {name: np.array(value) for name, value in head.items()})
    result = CameraResult("a", stage_keys={"detect": key})
    hidden = hidden_regions(result, RenderConfig(blur=("vehicles",)), cache)
    np.testing.assert_allclose(hidden.at(0), [[8, 19, 52, 41]])
    assert not len(hidden_regions(result, RenderConfig(), cache).xyxy)
    assert not len(hidden_regions(CameraResult("a"), RenderConfig(blur=("vehicles",)), cache).xyxy)


def test_pictures_of_a_diagnosis_and_of_a_place_hide_what_has_no_track(runs: dict[str, Path], tmp_path: Path) -> None:
    """A detection of camera a that no track has, in the lower half of the picture, beside the view that is shown."""
    home = runs[""].parent
    scene = Scene(
        "town",
        home,
        tuple(Camera(c, k, Clock(10.0), video=home / f"{c}.mp4", size_wh=SIZE) for k, c in ((1, "a"), (2, "b"))),
    )
    frame = np.arange(FRAMES)
    hidden = {"a": FrameRegions(frame, np.tile([0.0, 120, 320, 240], (FRAMES, 1)))}
    boxes = np.tile([100.0, 130, 200, 200], (FRAMES, 1))
    views = [TrackletView(c, 0, 1, 0, frame, frame / 10, boxes) for c in ("a", "b")]
    error = LinkError("missing tracklet", "detector", *views, FRAMES, float("nan"), "")
    crops = view_crops([error], scene, hidden, ())
    assert len(crops[id(views[0])]) == len(crops[id(views[1])]) == 3
    for unseen, clear in zip(crops[id(views[0])], crops[id(views[1])], strict=True):
        assert detail(unseen) < 0.05 * detail(clear)

    sizes = dict.fromkeys(("a", "b"), SIZE)
    zones = {camera: CameraZones([], []) for camera in sizes}
    draw_plots(LearnedScene(scene, (), sizes, {}, (), LearnedClocks(), zones, (), ()), tmp_path, hidden)
    unseen, clear = (cv2.imread(str(tmp_path / f"{camera}.png")) for camera in sizes)
    scale = clear.shape[1] / SIZE[0]
    upper, lower = slice(0, round(115 * scale)), slice(round(125 * scale), round(235 * scale))
    assert detail(unseen[upper]) == pytest.approx(detail(clear[upper]), rel=0.05)
    assert detail(unseen[lower]) < 0.2 * detail(clear[lower])
