"""The costs of a second decoding: a model that sees one box in every frame, so that all counts are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest

from mtmc.commands import run_command
from mtmc.embed import embed_tracklets
from mtmc.errors import MtmcError, VideoError
from mtmc.pipeline.models import make_embedder
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.types import Frame
from tests.builders import write_video
from tests.mtmc.detect.test_onnx import constant_model, yolo_output
from tools.bench.second_decode import crop_pixels, measure, wanted_frames


@pytest.fixture
def finished(tmp_path: Path) -> LoadedRun:
    """One camera, 20 frames, a vehicle at (76, 54)–(116, 74) in each."""
    write_video(tmp_path / "street" / "north.mp4", np.zeros((20, 128, 192, 3), np.uint8))
    weights = constant_model(tmp_path / "m.onnx", [yolo_output()], ["dog", "car", "bus"])
    overrides = [f"detect.weights={weights}", "embed.weights=color_histogram", "clean.filter.enabled=false"]
    overrides += ["render.videos=false", "render.mosaic=false", "render.report=false"]
    run_command(
        videos=tmp_path / "street",
        out=tmp_path / "out",
        config_files=(),
        overrides=overrides,
        runner="local",
        workers=1,
        strict=True,
    )
    return load_run(tmp_path / "out")


def test_figures(finished: LoadedRun) -> None:
    [result] = finished.results
    figures = measure(finished, finished.given.camera("north"), result)
    assert (figures["frames"], figures["detections"]) == (20, 20)
    assert figures["raw MB"] == pytest.approx(20 * 40 * 20 * 3 / 1e6)
    assert 0 < figures["PNG MB"] < figures["raw MB"]
    assert figures["detect s"] == result.seconds["detect"][1]
    assert all(figures[column] > 0 for column in ("second decode s", "raw s", "PNG s", "embed all s"))


def test_wanted_frames_are_those_that_the_embed_stage_asks_for(finished: LoadedRun) -> None:
    [result] = finished.results
    camera, config = finished.given.camera("north"), finished.config.embed
    asked: list[set[int]] = []

    def frames(wanted: Collection[int]) -> Iterator[Frame]:
        asked.append(set(wanted))
        return iter(())

    tracklets = [passage.tracklet for passage in result.passages]
    with pytest.raises(VideoError):
        embed_tracklets(tracklets, camera, config, make_embedder(config, 1), frames)
    assert asked == [wanted_frames(result, camera, config)]


def test_pixels_of_boxes() -> None:
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    boxes = np.array([[-3, 0.6, 2.4, 9], [1, 1, 1, 3]], np.float32)
    [pixels] = crop_pixels(image, boxes)
    assert pixels.tolist() == [[image[y, x].tolist() for x in range(2)] for y in range(1, 4)]


def test_a_run_without_its_cache(finished: LoadedRun) -> None:
    for part in (finished.out / "cache" / "detect").iterdir():
        part.unlink()
    with pytest.raises(MtmcError, match="run again"):
        measure(finished, finished.given.camera("north"), finished.results[0])
