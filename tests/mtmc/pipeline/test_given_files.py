"""Given detections and tracklets: what their keys hold, and rows that the video cannot have."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mtmc.config import load_config
from mtmc.geometry.clock import Clock
from mtmc.pipeline.cache import StageCache, code_version
from mtmc.pipeline.camera import process_camera
from mtmc.pipeline.models import weights_hash
from mtmc.pipeline.paths import with_absolute_paths, with_absolute_weights
from mtmc.scene import Camera, Scene
from tests.builders import traffic_frames, write_video

SETTINGS = ["embed.weights=none", "clean.filter.enabled=false", "clean.interpolate.enabled=false"]


def rows(path: Path, frames: range, left: int = 10) -> Path:
    path.write_text("".join(f"{f},1,{left},20,40,30,0.9,-1,-1,-1\n" for f in frames))
    return path


def frames_of(camera: Camera, source: str, cache: Path) -> list[int]:
    config = load_config(overrides=[*SETTINGS, f"input.source={source}"])
    result = process_camera(camera, config=config, cache=StageCache(cache))
    return sorted({int(f) for passage in result.passages for f in passage.tracklet.frame})


@pytest.mark.parametrize("source", ["detections", "tracklets"])
def test_a_corrected_frame_count_counts(tmp_path: Path, source: str) -> None:
    file = rows(tmp_path / "c.txt", range(1, 61))
    camera = Camera("c", 1, Clock(10), size_wh=(320, 240), frame_count=20, detections=(file,), tracklets=(file,))
    assert frames_of(camera, source, tmp_path)[-1] == 19
    corrected = dataclasses.replace(camera, frame_count=60)
    assert frames_of(corrected, source, tmp_path)[-1] == 59


@pytest.mark.parametrize("source", ["detections", "tracklets"])
def test_rows_after_the_end_of_the_video_are_left_out(tmp_path: Path, source: str) -> None:
    file = rows(tmp_path / "c.txt", range(1, 31))
    video = write_video(tmp_path / "c.mp4", traffic_frames(20))
    camera = Camera("c", 1, Clock(10), video=video, detections=(file,), tracklets=(file,))
    assert frames_of(camera, source, tmp_path)[-1] == 19


@pytest.mark.parametrize("source", ["detections", "tracklets"])
@pytest.mark.parametrize(("left", "kept"), [(-392, 0), (-40, 0), (-39, 30), (319, 30), (320, 0)])
def test_boxes_outside_the_image_are_left_out(tmp_path: Path, source: str, left: int, kept: int) -> None:
    file = rows(tmp_path / "c.txt", range(1, 31), left)
    camera = Camera("c", 1, Clock(10), size_wh=(320, 240), detections=(file,), tracklets=(file,))
    assert len(frames_of(camera, source, tmp_path)) == kept


def test_the_code_version_follows_the_source_of_its_packages() -> None:
    versions = {code_version("mtmc.track"), code_version("mtmc.clean"), code_version("mtmc.track", "mtmc.clean")}
    assert len(versions) == 3
    assert code_version("mtmc.detect.nms") != code_version("mtmc.detect")
    with pytest.raises(ValueError, match=r"expected a package .* got mtmc\.nowhere"):
        code_version("mtmc.nowhere")


def test_the_hash_of_weights_holds_every_file(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_bytes(b"graph")
    hashes = [weights_hash(str(tmp_path / "m.xml"), "detector")]
    for name in ("m.bin", "m.json"):
        (tmp_path / name).write_bytes(b"1")
        hashes.append(weights_hash(str(tmp_path / "m.xml"), "detector"))
    named = f"maskrcnn_resnet50_fpn_v2:{tmp_path / 'cars.pth'}"
    for data in (b"1", b"2"):
        (tmp_path / "cars.pth").write_bytes(data)
        hashes.append(weights_hash(named, "detector"))
    hashes.append(weights_hash(f"ssd300_vgg16:{tmp_path / 'cars.pth'}", "detector"))
    assert len(set(hashes)) == len(hashes)


def test_workers_get_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("w.onnx", "cars.pth"):
        Path(name).touch()
    camera = Camera("c", 1, Clock(10), video=Path("in/c.mp4"), roi=Path("roi.png"), detections=(Path("det.txt"),))
    [moved] = with_absolute_paths(Scene("town", Path("in"), (camera,))).cameras
    assert (moved.video, moved.roi) == (tmp_path / "in/c.mp4", tmp_path / "roi.png")
    assert (moved.detections, moved.ground_truth) == ((tmp_path / "det.txt",), None)
    for weights, expected in {
        "w.onnx": str(tmp_path / "w.onnx"),
        "ssd300_vgg16:cars.pth": f"ssd300_vgg16:{tmp_path / 'cars.pth'}",
        "motion": "motion",
        "timm:resnet18": "timm:resnet18",
    }.items():
        config = with_absolute_weights(load_config(overrides=[f"detect.weights={weights}", "embed.card=c.json"]))
        assert config.detect.weights == expected
        assert config.embed.card == tmp_path / "c.json"
