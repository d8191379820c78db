"""Tiles, learning rate, curves, card and boxes of clips, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.detect.card import read_card
from mtmc.errors import FormatError, WeightsError
from tools.detector.clips import ClipRow, read_boxes, table
from tools.detector.curves import draw_curves, join_losses
from tools.detector.evaluate import read_labels
from tools.detector.export import export, write_card
from tools.detector.tiles import TILE_PX, boxes_in_tile, cut_tiles
from tools.detector.train import learning_rate

LOSSES = "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss\n"


def test_boxes_in_tile() -> None:
    boxes = np.array(
        [
            [110.0, 60, 150, 80],  # inside
            [80, 60, 130, 80],  # 60 % inside: clipped at the left edge
            [40, 60, 130, 80],  # a third inside: left out
            [500, 60, 540, 80],  # elsewhere
            [200, 60, 205, 80],  # too narrow
        ]
    )
    expected = [[10, 10, 50, 30], [0, 10, 30, 30]]
    assert boxes_in_tile(boxes, left=100, top=50).tolist() == expected


def make_frames(root: Path) -> None:
    """Black frames of 960×540 with one white vehicle each, and its label."""
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / part).mkdir(parents=True)
        for number in range(3):
            image = np.zeros((540, 960, 3), np.uint8)
            left, top = 120 + 270 * number, 240
            image[top : top + 60, left : left + 90] = 255
            cv2.imwrite(str(root / "images" / part / f"f{number}.jpg"), image)
            row = [(left + 45) / 960, (top + 30) / 540, 90 / 960, 60 / 540]
            text = "0 " + " ".join(f"{v:.6f}" for v in row) + "\n"
            (root / "labels" / part / f"f{number}.txt").write_text(text, encoding="ascii")


def test_labels_of_tiles_lie_on_the_vehicles(tmp_path: Path) -> None:
    make_frames(tmp_path / "frames")
    count = cut_tiles(tmp_path / "frames", tmp_path / "tiles", seed=3)
    pictures = sorted((tmp_path / "tiles" / "images").rglob("*.jpg"))
    assert count == len(pictures) > 6
    seen = 0
    for path in pictures:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (TILE_PX, TILE_PX)
        label = tmp_path / "tiles" / "labels" / path.parent.name / f"{path.stem}.txt"
        for x1, y1, x2, y2 in read_labels(label, (TILE_PX, TILE_PX)).tolist():
            rows, columns = np.nonzero(image > 128)
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.allclose([x1, y1, x2, y2], drawn, atol=1.5)
            seen += 1
    assert seen >= 6


def test_same_seed_same_tiles(tmp_path: Path) -> None:
    make_frames(tmp_path / "frames")
    for name in ("a", "b"):
        cut_tiles(tmp_path / "frames", tmp_path / name, seed=3)
    for one in sorted((tmp_path / "a").rglob("*.*")):
        if one.name != "data.yaml":  # holds the folder's name
            assert one.read_bytes() == (tmp_path / "b" / one.relative_to(tmp_path / "a")).read_bytes()


def test_no_frames(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"tools\.synthcity frames"):
        cut_tiles(tmp_path, tmp_path / "out")


def test_malformed_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1\n", encoding="ascii")
    with pytest.raises(FormatError, match="five numbers"):
        read_labels(tmp_path / "a.txt", (10, 10))


def test_learning_rate_rises_then_falls() -> None:
    assert learning_rate(1.0, 0, 0.0) == pytest.approx(1 / 150)
    assert learning_rate(1.0, 149, 0.0) == 1.0
    assert learning_rate(1.0, 1000, 0.5) == pytest.approx(0.51)
    assert learning_rate(1.0, 1000, 2.0) == pytest.approx(0.02)


def test_card_is_read_by_the_application(tmp_path: Path) -> None:
    about = {"licence": "…", "seeds": [1, 28]}
    path = write_card(tmp_path / "detector.onnx", about)
    card = read_card(tmp_path / "detector.onnx")
    assert (card.kind, card.size, card.names, card.about) == ("yolo", 640, ("vehicle",), about)
    assert set(json.loads(path.read_text(encoding="utf-8"))) == {"kind", "size", "names", "about"}


def test_export_without_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"last\.pt"):
        export(tmp_path / "last.pt", tmp_path / "out.onnx", {})


def test_curves_of_runs_in_a_row(tmp_path: Path) -> None:
    for name, rows in (("a", "1,60,3,2,1\n2,120,2.5,1.5,1\n"), ("b", "1,90,2,1,0.9\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_text(LOSSES + rows, encoding="ascii")
    runs = [tmp_path / "a", tmp_path / "b"]
    rows = join_losses(runs)
    assert [(row["epoch"], row["minutes"], row["box"]) for row in rows] == [(1, 1, 3), (2, 2, 2.5), (3, 3.5, 2)]
    pytest.importorskip("matplotlib")
    assert cv2.imread(str(draw_curves(runs, tmp_path / "out", {2.0: 0.7, 3.0: 0.9}))) is not None
    lines = (tmp_path / "out" / "curves.csv").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "3.0,3.5,2.0,1.0,0.9"


def test_curves_without_table(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"results\.csv"):
        join_losses([tmp_path])


def test_boxes_of_clips(tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    path.write_text("2,-1,1,2,10,20,1,-1,-1,-1\n2,-1,5,5,1,1,1,-1,-1,-1\n7,-1,0,0,4,4,1,-1,-1,-1\n", encoding="ascii")
    boxes = read_boxes(path)
    assert sorted(boxes) == [2, 7]
    assert boxes[2].tolist() == [[1, 2, 11, 22], [5, 5, 6, 6]]
    path.write_text("2,-1,1\n", encoding="ascii")
    with pytest.raises(FormatError, match="left, top"):
        read_boxes(path)


def test_table() -> None:
    text = table([ClipRow("us101 cam1", "detector", True, 0.5, 0.75, 0.9, 70, 1000)])
    assert text.splitlines()[-1] == "| us101 cam1 | drawn by people | 70 | 1000 | detector | 0.500 | 0.750 | 0.900 |"


def test_a_restored_checkpoint_is_the_network_that_was_shipped(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    onnxruntime = pytest.importorskip("onnxruntime")
    from tools.detector.restore import restore

    weights = Path(__file__).parents[2] / "mtmc" / "zoo" / "weights" / "detector.onnx"
    rng = np.random.default_rng(5)
    (tmp_path / "images" / "train").mkdir(parents=True)
    for k in range(4):
        picture = cv2.resize(rng.integers(0, 255, (10, 10, 3), dtype=np.uint8), (TILE_PX, TILE_PX))
        cv2.imwrite(str(tmp_path / "images" / "train" / f"{k}.jpg"), picture)
    model = torch.load(restore(weights, tmp_path, tmp_path / "start.pt", count=4), weights_only=False)["model"].eval()
    images = rng.random((2, 3, 96, 128), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(weights))
    [expected] = session.run(None, {session.get_inputs()[0].name: images})
    with torch.no_grad():
        found = model(torch.from_numpy(images))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    first = model.model[0]  # its normalisation now undoes statistics of its own, not those of a new layer
    np.testing.assert_allclose(
        first.bn.weight.detach(), (first.bn.running_var + first.bn.eps).sqrt().numpy(), rtol=1e-6
    )
    assert float((first.bn.running_var - 1).abs().max()) > 0.01


def test_only_a_detector_of_this_network_is_restored(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    from tools.detector.restore import restore

    with pytest.raises(FormatError, match="found none"):
        restore(tmp_path / "a.onnx", tmp_path, tmp_path / "start.pt")
    make_frames(tmp_path / "frames")
    cut_tiles(tmp_path / "frames", tmp_path / "tiles")
    embedder = Path(__file__).parents[2] / "mtmc" / "zoo" / "weights" / "embedder.onnx"
    with pytest.raises(WeightsError, match="holds no bias"):
        restore(embedder, tmp_path / "tiles", tmp_path / "start.pt")
