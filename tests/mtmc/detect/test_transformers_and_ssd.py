"""DETRs and SSDs as exporters leave them: tiny graphs with known outputs, and Intel's detector on a real street."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mtmc.detect import DetectConfig, load_detector
from mtmc.detect.card import COCO, COCO_CATEGORIES, guess_kind, order_outputs
from mtmc.detect.heads import decode_detr, decode_rtdetr, decode_ssd
from mtmc.detect.letterbox import fit_stretched
from mtmc.detect.onnx import OnnxDetector
from mtmc.types import CLASSES, Frame
from tests.mtmc.detect.test_onnx import grab

HW = (64, 96)
LABELS = np.array([1, 2])


def frame(width: int = 192, height: int = 256) -> Frame:
    """A picture of another shape than the models' inputs."""
    return Frame("c1", 0, 0.0, np.full((height, width, 3), (10, 20, 30), np.uint8))


def model(
    path: Path,
    outputs: dict[str, np.ndarray],
    *,
    input_type: int = TensorProto.FLOAT,
    channels_last: bool = False,
    sizes: bool = False,
    names: list[str] | None = None,
) -> Path:
    """Gives ``outputs`` plus zero times its input; boxes in pixels are multiplied by what comes as sizes."""
    inputs = [helper.make_tensor_value_info("images", input_type, [1, *HW, 3] if channels_last else [1, 3, *HW])]
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants = [numpy_helper.from_array(np.float32(0), "zero")]
    if sizes:
        inputs.insert(0, helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2]))
        nodes += [
            helper.make_node("Cast", ["orig_target_sizes"], ["wh"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["wh", "wh"], ["whwh"], axis=1),
            helper.make_node("Unsqueeze", ["whwh", "one"], ["scale"]),
        ]
        constants.append(numpy_helper.from_array(np.array([1]), "one"))
    infos = []
    for name, value in outputs.items():
        constants.append(numpy_helper.from_array(value, f"{name}_constant"))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        nodes.append(helper.make_node("Cast", ["nothing"], [f"{name}_nothing"], to=kind))
        summed = f"{name}_shares" if sizes and name == "boxes" else name
        nodes.append(helper.make_node("Add", [f"{name}_constant", f"{name}_nothing"], [summed]))
        if summed != name:
            nodes.append(helper.make_node("Mul", [summed, "scale"], [name]))
        infos.append(helper.make_tensor_value_info(name, kind, list(value.shape)))
    graph = helper.make_graph(nodes, "g", inputs, infos, constants)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        helper.set_model_props(built, {"names": str(dict(enumerate(names)))})
    onnx.save(built, path)
    return path


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def queries(labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and logits of five queries; one is a thing of label 1, in the middle, a quarter wide and half as high."""
    boxes = np.full((1, 5, 4), 0.1, np.float32)
    logits = np.full((1, 5, labels), -9, np.float32)
    boxes[0, 3] = (0.5, 0.5, 0.25, 0.5)
    logits[0, 3, 1] = logit(0.9)
    return boxes, logits


def assert_the_one(path: Path, name: str = "car", **settings: object) -> None:
    """The one thing of :func:`queries`, in pixels of the picture, whose shape differs from the input's."""
    [found] = load_detector(DetectConfig(weights=str(path), **settings))([frame()])  # type: ignore[arg-type]
    assert [CLASSES[index] for index in found.class_id] == [name]
    np.testing.assert_allclose(found.xyxy, [[72, 64, 120, 192]], atol=1e-3)
    np.testing.assert_allclose(found.score, [0.9], atol=1e-5)


@pytest.mark.parametrize(
    ("boxes_name", "logits_name", "boxes_first"),
    [("dets", "labels", True), ("pred_boxes", "logits", False), ("a", "b", False), ("a", "b", True)],
)
def test_a_detr_in_either_order_of_outputs(
    tmp_path: Path, boxes_name: str, logits_name: str, boxes_first: bool
) -> None:
    boxes, logits = queries()
    pairs = [(boxes_name, boxes), (logits_name, logits)]
    path = model(tmp_path / "m.onnx", dict(pairs if boxes_first else pairs[::-1]), names=["dog", "car", "bus"])
    assert_the_one(path)


def test_names_tell_boxes_from_the_logits_of_four_labels(tmp_path: Path) -> None:
    boxes, logits = queries(4)
    path = model(tmp_path / "m.onnx", {"logits": logits, "pred_boxes": boxes}, names=["a", "car", "bus", "b"])
    assert_the_one(path)


def test_ninety_one_labels_are_cocos_category_numbers(tmp_path: Path) -> None:
    assert len(COCO_CATEGORIES) == 91
    assert [name for name in COCO_CATEGORIES if name] == list(COCO)
    assert {COCO_CATEGORIES[number] for number in (1, 3, 90)} == {"person", "car", "toothbrush"}
    boxes, logits = queries(91)
    logits[0, 3, 1], logits[0, 3, 8] = -9, logit(0.9)
    assert_the_one(model(tmp_path / "m.onnx", {"dets": boxes, "labels": logits}), "truck")


@pytest.mark.parametrize("order", ["labels boxes scores", "boxes scores labels", "scores labels boxes"])
def test_a_detr_that_scales_its_boxes_is_told_the_size(tmp_path: Path, order: str) -> None:
    table = {
        "labels": np.array([[0, 1, 2]]),
        "boxes": np.array([[[0, 0, 1, 1], [0.375, 0.25, 0.625, 0.75], [0, 0, 1, 1]]], np.float32),
        "scores": np.array([[0.8, 0.9, 0.1]], np.float32),
    }
    outputs = {name: table[name] for name in order.split()}
    assert_the_one(model(tmp_path / "m.onnx", outputs, sizes=True, names=["dog", "car", "bus"]))


def test_detection_output_ends_at_a_negative_image(tmp_path: Path) -> None:
    rows = np.zeros((1, 1, 6, 7), np.float32)
    rows[0, 0, 0] = (0, 1, 0.9, 0.375, 0.25, 0.625, 0.75)
    rows[0, 0, 1] = (0, 0, 0.9, 0.0, 0.0, 0.1, 0.1)  # not wanted
    rows[0, 0, 2, 0] = -1
    rows[0, 0, 3] = (0, 1, 0.9, 0.0, 0.0, 0.1, 0.1)  # after the end
    assert_the_one(model(tmp_path / "m.onnx", {"detection_out": rows}, names=["dog", "car", "bus"]))


@pytest.mark.parametrize("channels_last", [False, True])
def test_bytes_go_in_as_they_are(tmp_path: Path, channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, logits = queries()
    path = model(
        tmp_path / "m.onnx",
        {"boxes": boxes, "logits": logits},
        input_type=TensorProto.UINT8,
        channels_last=channels_last,
        names=["dog", "car", "bus"],
    )
    assert_the_one(path)
    detector = load_detector(DetectConfig(weights=str(path)))
    assert isinstance(detector, OnnxDetector)
    seen: list[np.ndarray] = []
    forward = detector._forward
    monkeypatch.setattr(detector, "_forward", lambda blob: (seen.append(blob.copy()), forward(blob))[1])
    detector([frame()])
    [blob] = seen
    assert blob.dtype == np.uint8
    assert [np.unique(blob[0, channel]).tolist() for channel in range(3)] == [[10], [20], [30]]


def test_stretching_goes_back_on_each_axis() -> None:
    box = fit_stretched((192, 256), (96, 64))
    np.testing.assert_allclose(
        box.restore(np.array([[0, 0, 96, 64], [48, 32, 72, 48]])), [[0, 0, 192, 256], [96, 128, 144, 192]]
    )


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ([(1, 300, 4), (1, 300, 91)], ("detr", 91)),
        ([(1, 300, 80), (1, 300, 4)], ("detr", 80)),
        ([(1, 300), (1, 300, 4), (1, 300)], ("rtdetr", None)),
        ([(1, 1, 200, 7)], ("ssd", None)),
        ([(1, 300, 4), (1, 200, 91)], None),
        ([(1, 300), (1, 300, 5), (1, 300)], None),
    ],
)
def test_heads_are_told_by_their_shapes(shapes: list[tuple[int, ...]], kind: object) -> None:
    assert guess_kind(shapes, (640, 640)) == kind


def test_order_of_outputs() -> None:
    assert order_outputs("detr", [(1, 9, 80), (1, 9, 4)], ["logits", "pred_boxes"]) == [1, 0]
    assert order_outputs("rtdetr", [(1, 9), (1, 9, 4), (1, 9)], ["scores", "boxes", "labels"]) == [2, 1, 0]
    assert order_outputs("yolo", [(1, 9, 4)], ["output0"]) == [0]


def test_decoders_against_a_loop() -> None:
    rng = np.random.default_rng(5)
    boxes, logits = rng.random((40, 4)).astype(np.float32), rng.normal(0, 2, (40, 4)).astype(np.float32)
    want = []
    for (cx, cy, w, h), row in zip(boxes.tolist(), logits.tolist(), strict=True):
        label = max(range(4), key=row.__getitem__)
        score = 1 / (1 + math.exp(-row[label]))
        if label in LABELS and score >= 0.5:
            want.append([(cx - w / 2) * 96, (cy - h / 2) * 64, (cx + w / 2) * 96, (cy + h / 2) * 64, score, label])
    found = decode_detr([boxes, logits], LABELS, 0.5, HW)
    assert len(want) > 3
    np.testing.assert_allclose(np.column_stack([found.xyxy, found.score, found.label]), want, rtol=1e-5, atol=1e-4)

    label, corners, score = rng.integers(0, 4, 40), rng.random((40, 4)), rng.random(40)
    found = decode_rtdetr([label, corners, score], LABELS, 0.5, HW)
    rows = [i for i in range(40) if label[i] in LABELS and score[i] >= 0.5]
    np.testing.assert_allclose(found.xyxy, corners[rows], rtol=1e-6)
    assert found.label.tolist() == label[rows].tolist()

    table = np.column_stack([np.zeros(40), label, score, corners])
    found = decode_ssd([table[None]], LABELS, 0.5, HW)
    np.testing.assert_allclose(found.xyxy, corners[rows] * [96, 64, 96, 64], rtol=1e-6)
    np.testing.assert_allclose(found.score, score[rows])


def test_a_score_that_is_no_number_comes_through() -> None:
    boxes, logits = queries()
    logits[0, 3, 1] = np.nan
    assert np.isnan(decode_detr([boxes[0], logits[0]], LABELS, 0.5, HW).score).any()


def test_intels_crossroads_detector_runs_without_a_card(shared: Callable[[str], Path]) -> None:
    pytest.importorskip("openvino")
    weights = shared("data/weights/person-vehicle-bike-detection-crossroad-0078.xml")
    clip = shared("data/clips/tfl/625_201707211410.mp4")
    [found] = load_detector(DetectConfig(weights=str(weights)))([grab(clip, 50)])
    sure = found[found.score > 0.9]
    assert len(sure) >= 3
    assert {CLASSES[index] for index in sure.class_id} == {"vehicle"}
    # The crossing's vehicles are on the right of the picture, a tenth of its width at most.
    assert (sure.xyxy[:, 0] > 176).all()
    assert ((sure.xyxy[:, 2] - sure.xyxy[:, 0]) < 45).all()
