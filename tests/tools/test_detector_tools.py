"""The detector's tools: labels on disk, curves, card and boxes of clips, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.detect.card import read_card
from mtmc.errors import FormatError
from tools.detector.ap import Picture
from tools.detector.clips import ClipRow, read_boxes, table
from tools.detector.curves import draw_curves, read_losses
from tools.detector.dataset import IGNORED, Labels, list_examples, read_labels, write_example
from tools.detector.evaluate import score


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 10:30] = (255, 0, 0)
    labels = Labels(np.array([[10.0, 20, 30, 40], [50, 5, 79, 59]]), np.array([1, IGNORED]))
    write_example(tmp_path, "train", "a", image, labels)
    [(picture, text)] = list_examples(tmp_path, "train")
    read = read_labels(text, (80, 60))
    np.testing.assert_allclose(read.xyxy, labels.xyxy, atol=1e-3)
    assert read.class_id.tolist() == [1, IGNORED]
    stored = cv2.imread(str(picture))  # BGR
    assert stored[30, 20, 2] > 200 > 60 > stored[30, 20, 0]


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"tools\.synthcity frames"):
        list_examples(tmp_path, "train")


def test_malformed_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1\n", encoding="ascii")
    with pytest.raises(FormatError, match="five numbers"):
        read_labels(tmp_path / "a.txt", (10, 10))


def test_curves(tmp_path: Path) -> None:
    rows = "step,minutes,rate,box,object,class\n25,1.5,1e-3,3,2,1\n50,3,5e-4,2,1.5,0.5\n"
    (tmp_path / "losses.csv").write_text(rows, encoding="ascii")
    assert read_losses(tmp_path)[1] == {"step": 50, "minutes": 3, "box": 2, "object": 1.5, "class": 0.5}
    pytest.importorskip("matplotlib")
    assert cv2.imread(str(draw_curves(tmp_path, tmp_path / "out" / "curves.png", {1.5: 0.7, 3.0: 0.9}))) is not None


def test_curves_without_table(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"losses\.csv"):
        read_losses(tmp_path)


def test_boxes_of_clips(tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    path.write_text("2,-1,1,2,10,20,1,-1,-1,-1\n2,7,5,5,1,1,0,-1,-1,-1\n7,-1,0,0,4,4,1,-1,-1,-1\n", encoding="ascii")
    boxes = read_boxes(path)
    assert sorted(boxes) == [1, 6]
    assert boxes[1].vehicles.tolist() == [[1, 2, 11, 22]]
    assert boxes[1].ignored.tolist() == [[5, 5, 6, 6]]
    assert boxes[6].ignored.shape == (0, 4)
    path.write_text("2,-1,1\n", encoding="ascii")
    with pytest.raises(FormatError, match="left,top"):
        read_boxes(path)


def test_table() -> None:
    text = table([ClipRow("highway", "detector", 0.5, 0.75, 0.9, 70, 1000)])
    assert text.splitlines()[-1] == "| highway | 70 | 1000 | detector | 0.500 | 0.750 | 0.900 |"


def test_finds_in_ambiguous_regions_do_not_count() -> None:
    found = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    truth, region = found[:1], np.array([[40.0, 40, 70, 70]])
    scores = score([Picture(found, np.array([0.9, 0.8]), truth, region)], 0.5)
    assert (scores.recall, scores.precision) == (1.0, 1.0)


def test_card_is_read_by_the_application(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tools.detector.export import write_card

    about = {"license": "…", "scores": {"AP50": 0.9}}
    path = write_card(tmp_path / "detector.onnx", about)
    card = read_card(tmp_path / "detector.onnx")
    assert (card.kind, card.size, card.about) == ("yolox", 640, about)
    assert card.names == ("car", "motorcycle", "bus", "truck")
    assert set(json.loads(path.read_text(encoding="utf-8"))) == {"kind", "size", "names", "about"}
