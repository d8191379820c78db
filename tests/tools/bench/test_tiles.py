"""The table of tiles: a model that sees one box in every input, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.builders import write_video
from tests.mtmc.detect.test_onnx import constant_model, yolo_output
from tools.bench import tiles
from tools.bench.real_clips import Clip


def test_recall_and_precision_of_each_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = constant_model(tmp_path / "m.onnx", [yolo_output()], ["dog", "car", "bus"])
    write_video(tmp_path / "street" / "north.mp4", np.zeros((6, 128, 192, 3), np.uint8))
    # The model finds (76, 54)–(116, 74) in the whole picture; one more vehicle is annotated in the third frame.
    rows = ["1,1,76,54,40,20,1,-1,-1,-1", "3,1,76,54,40,20,1,-1,-1,-1", "3,2,10,10,9,9,1,-1,-1,-1"]
    (tmp_path / "street" / "north.txt").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setattr(tiles, "CLIPS", (Clip("a street", "street", "north.mp4", "north.txt"),))
    none, two = tiles.measure_tiles(tmp_path, [str(weights)], ["none", "2x1"], most=40, nms_iou=0.5)
    assert (none.counts.boxes, none.counts.matched, none.counts.found) == (3, 2, 2)
    assert (two.counts.boxes, two.counts.matched, two.counts.found) == (3, 2, 6)
    assert none.markdown().startswith("| north | m | none | 0.667 | 1.000 | ")
