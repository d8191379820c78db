"""Tiny models with known outputs for every head, the sentences for models that do not fit, and real weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mtmc.detect import DetectConfig, FilterConfig, load_detector
from mtmc.errors import ConfigError, FormatError, WeightsError
from mtmc.geometry.boxes import iou_matrix
from mtmc.types import CLASSES, Detections, Frame

HW = (64, 96)
CELLS = sum((HW[0] // s) * (HW[1] // s) for s in (8, 16, 32))
CAR, BUS = CLASSES.index("car"), CLASSES.index("bus")


def constant_model(path: Path, outputs: list[np.ndarray], names: list[str] | None = None, batch: int = 1) -> Path:
    """A model of 96×64 images that gives ``outputs``, whatever it sees."""
    inits = [numpy_helper.from_array(o.astype(np.float32), f"c{i}") for i, o in enumerate(outputs)]
    inits.append(numpy_helper.from_array(np.float32(0), "zero"))
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", [f"c{i}", "nothing"], [f"o{i}"]) for i in range(len(outputs))),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, *HW])],
        [helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, list(o.shape)) for i, o in enumerate(outputs)],
        inits,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": str(dict(enumerate(names)))})
    onnx.save(model, path)
    return path


def yolo_output(labels: int = 3, score: float = 0.9, batch: int = 1) -> np.ndarray:
    """One thing of label 1 with center (48, 32), 20 wide and 10 high; and a worse box upon it, of label 2."""
    raw = np.zeros((batch, 4 + labels, CELLS), np.float32)
    raw[:, :4, 7], raw[:, 5, 7] = (48, 32, 20, 10), score
    raw[:, :4, 8], raw[:, 6, 8] = (48, 32, 20, 11), score / 2
    return raw


def frame(width: int = 192, height: int = 128) -> Frame:
    return Frame("c1", 0, 0.0, np.zeros((height, width, 3), np.uint8))


def the_one(found: list[Detections]) -> tuple[list[float], float, str]:
    (detections,) = found
    assert len(detections) == 1
    return detections.xyxy[0].tolist(), round(float(detections.score[0]), 4), CLASSES[detections.class_id[0]]


def heads() -> dict[str, list[np.ndarray]]:
    """For each kind the outputs for one thing of label 1 with corners (38, 27) and (58, 37), score 0.9."""
    cell = 4 * 12 + 6  # row 4, column 6 of the level of 8 pixels: corner (48, 32), middle (52, 36)
    v5 = np.zeros((1, 3 * CELLS, 8), np.float32)
    v5[0, 5] = (48, 32, 20, 10, 1, 0, 0.9, 0)
    x = np.zeros((1, CELLS, 8), np.float32)
    x[0, cell] = (0, 0, np.log(20 / 8), np.log(10 / 8), 1, 0, 0.9, 0)
    sizes = [96, 24, 6]
    scores = [np.zeros((1, n, 3), np.float32) for n in sizes]
    scores[0][0, cell, 1] = 0.9
    bins = [np.zeros((1, n, 32), np.float32) for n in sizes]
    # Distances in cells: 14, 9, 6, 1 pixels are halfway between whole numbers where two bins share.
    for side, distance in enumerate((14 / 8, 9 / 8, 6 / 8, 1 / 8)):
        low = int(distance)
        share = np.full(8, -50.0)
        share[low], share[low + 1] = np.log(1 - (distance - low)), np.log(distance - low)
        bins[0][0, cell, 8 * side : 8 * side + 8] = share
    end = np.zeros((1, 10, 6), np.float32)
    end[0, 0] = (38, 27, 58, 37, 0.9, 1)
    return {"yolo": [yolo_output()], "yolov5": [v5], "yolox": [x], "nanodet": scores + bins, "end2end": [end]}


@pytest.mark.parametrize("kind", sorted(heads()))
def test_every_head_through_the_whole_path(tmp_path: Path, kind: str) -> None:
    path = constant_model(tmp_path / "m.onnx", heads()[kind], ["dog", "car", "bus"])
    xyxy, score, name = the_one(load_detector(DetectConfig(weights=str(path)))([frame()]))
    np.testing.assert_allclose(xyxy, [76, 54, 116, 74], atol=1e-3)  # the image is twice the size of the input
    assert (score, name) == (0.9, "car")


def test_suppression_ignores_classes_and_unwanted_classes_do_not_suppress(tmp_path: Path) -> None:
    path = str(constant_model(tmp_path / "m.onnx", [yolo_output()], ["dog", "car", "bus"]))
    assert the_one(load_detector(DetectConfig(weights=path, classes=("bus",)))([frame()]))[1:] == (0.45, "bus")
    both = load_detector(DetectConfig(weights=path, filter=FilterConfig(nms_iou=0.99)))([frame()])[0]
    assert both.class_id.tolist() == [CAR, BUS]
    assert len(load_detector(DetectConfig(weights=path, filter=FilterConfig(min_confidence=0.95)))([frame()])[0]) == 0


def test_frames_of_several_sizes_in_one_batch(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", [yolo_output(batch=2)], ["dog", "car", "bus"], batch=2)
    found = load_detector(DetectConfig(weights=str(path)))([frame(), frame(), frame(), frame(96, 64), frame(96, 32)])
    assert [len(d) for d in found] == [1] * 5
    assert [d.xyxy[0].round(3).tolist() for d in found[2:]] == [[76, 54, 116, 74], [38, 27, 58, 37], [38, 11, 58, 21]]
    assert load_detector(DetectConfig(weights=str(path)))([]) == []


def test_the_card_names_labels(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", [yolo_output()])
    path.with_suffix(".json").write_text(json.dumps({"kind": "yolo", "names": ["a", "Lorry", "b"]}))
    assert the_one(load_detector(DetectConfig(weights=str(path)))([frame()]))[2] == "truck"


def test_eighty_labels_without_names_are_cocos(tmp_path: Path) -> None:
    raw = yolo_output(80)
    raw[0, 4:, 7] = 0
    raw[0, 4 + 5, 7] = 0.8
    path = constant_model(tmp_path / "m.onnx", [raw])
    assert the_one(load_detector(DetectConfig(weights=str(path)))([frame()]))[2] == "bus"


@pytest.mark.parametrize(
    ("card", "kind", "words"),
    [
        (None, WeightsError, r"tells 3 labels apart, but there are no names.*under 'names' in m\.json"),
        ({"names": ["car"]}, WeightsError, "tells 3 labels apart, but there are 1 names"),
        (
            {"names": ["dog", "cat", "cow"]},
            WeightsError,
            "expected a model of vehicle, car.*got one of dog, cat, cow",
        ),
        ({"label": ["car"]}, FormatError, r"m\.json: label: Extra inputs.*a card holds kind, size"),
        ({"kind": "nanodet", "names": ["car"]}, WeightsError, "kind nanodet, which does not fit outputs"),
    ],
)
def test_cards_that_do_not_fit(tmp_path: Path, card: object, kind: type[Exception], words: str) -> None:
    path = constant_model(tmp_path / "m.onnx", [yolo_output()])
    if card is not None:
        path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(kind, match=words):
        load_detector(DetectConfig(weights=str(path)))


def test_models_that_are_no_detectors(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", [np.zeros((1, 1000), np.float32)])
    with pytest.raises(WeightsError, match=r"no head that we know gives outputs of \(1, 1000\).*96×64"):
        load_detector(DetectConfig(weights=str(path)))
    with pytest.raises(WeightsError, match=r"none\.onnx: there is no such model file"):
        load_detector(DetectConfig(weights=str(tmp_path / "none.onnx")))


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.5])
def test_nonsense_is_reported_with_the_file(tmp_path: Path, value: float) -> None:
    path = constant_model(tmp_path / "m.onnx", [yolo_output(score=value)], ["dog", "car", "bus"])
    with pytest.raises(WeightsError, match=r"m\.onnx: expected finite boxes and scores in 0…1"):
        load_detector(DetectConfig(weights=str(path)))([frame()])


def test_a_fixed_size_cannot_be_changed(tmp_path: Path) -> None:
    path = str(constant_model(tmp_path / "m.onnx", [yolo_output()], ["dog", "car", "bus"]))
    load_detector(DetectConfig(weights=path, image_size=96))
    with pytest.raises(ConfigError, match="takes images of 96×64 only, got 640"):
        load_detector(DetectConfig(weights=path, image_size=640))


def grab(path: Path, index: int) -> Frame:
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, index)
    found, image = capture.read()
    assert found
    return Frame(path.stem, index, 0.0, np.ascontiguousarray(image[..., ::-1]))


@pytest.mark.parametrize("weights", ["yolov8n_coco", "nanodet_m"])
def test_real_weights_put_boxes_where_the_cars_are(shared: Callable[[str], Path], weights: str) -> None:
    # Small models miss most of these small cars; what is tested is that the boxes they give sit right.
    clip = shared("data/clips/us101/cam1.mp4")
    truth = np.loadtxt(shared("data/clips/us101/cam1_boxes.txt"), delimiter=",", usecols=range(6))
    detect = load_detector(DetectConfig(weights=str(shared(f"data/weights/{weights}.onnx"))))
    frames = (40, 120)
    best = []
    for index, found in zip(frames, detect([grab(clip, index) for index in frames]), strict=True):
        xywh = truth[truth[:, 0] == index + 1, 2:6]
        annotated = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        best += iou_matrix(annotated, found.xyxy).max(axis=0).tolist()
    assert len(best) >= 20
    assert np.mean(np.array(best) > 0.5) >= 0.9
    assert np.median(best) > 0.8


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_agree_on_real_weights(shared: Callable[[str], Path], engine: str) -> None:
    pytest.importorskip(engine)
    weights = str(shared("data/weights/nanodet_m.onnx"))
    images = [grab(shared("prototypes/synthcity/clips/c001.mp4"), 30)]
    (found,) = load_detector(DetectConfig(weights=weights, runtime=engine))(images)
    (want,) = load_detector(DetectConfig(weights=weights))(images)
    np.testing.assert_allclose(found.xyxy, want.xyxy, atol=0.05)
    np.testing.assert_allclose(found.score, want.score, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "index"),
    [("data/clips/us101/cam1.mp4", 40), ("prototypes/synthcity/clips/c001.mp4", 30)],
)
def test_equals_ultralytics_own_reading(shared: Callable[[str], Path], clip: str, index: int) -> None:
    pytest.importorskip("ultralytics")
    weights = str(shared("data/weights/yolov8n_coco.onnx"))
    images = [grab(shared(clip), index)]
    (ours,) = load_detector(DetectConfig(weights=weights))(images)
    (theirs,) = load_detector(DetectConfig(weights=weights, backend="ultralytics"))(images)
    assert len(ours) > 5
    assert ours.class_id.tolist() == theirs.class_id.tolist()
    np.testing.assert_allclose(ours.xyxy, theirs.xyxy, atol=0.01)
    np.testing.assert_allclose(ours.score, theirs.score, atol=1e-4)
