"""Types and colors of vehicles: tiny networks with known answers, and Intel's on published crops."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mtmc.embed import AttributeNetwork, EmbedConfig, embed_tracklets, load_attributes
from mtmc.errors import FormatError, WeightsError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera
from mtmc.types import CLASSES, COLORS, Frame
from tests.builders import tracklet

CARD = {"types": ["car", "bus", "tram"], "colors": ["red", "blue"]}
CAR, BUS = CLASSES.index("car"), CLASSES.index("bus")


def network(path: Path, *, batch: int | str = 1, names: tuple[str, str] = ("type", "color"), types: int = 3) -> Path:
    """The redder the picture, the surer it is a red bus; blue pictures are blue cars. Channels are BGR in 0…255."""
    weight = np.zeros((2, 3), np.float32)
    weight[0] = (1 / 255, 0, 0)  # share of blue
    weight[1] = (0, 0, 1 / 255)
    to_types = np.zeros((types, 2), np.float32)
    to_types[0, 0], to_types[1, 1] = 1, 1
    nodes = [
        helper.make_node("ReduceMean", ["data"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean", "weight"], ["blue_red"], transB=1),
        helper.make_node("Gemm", ["blue_red", "to_types"], ["flat_type"], transB=1),
        helper.make_node("Gemm", ["blue_red", "to_colors"], ["flat_color"], transB=1),
        helper.make_node("Unsqueeze", ["flat_type", "axes"], [names[0]]),
        helper.make_node("Unsqueeze", ["flat_color", "axes"], [names[1]]),
    ]
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(to_types, "to_types"),
        numpy_helper.from_array(np.array([[0, 1], [1, 0]], np.float32), "to_colors"),
        numpy_helper.from_array(np.array([2, 3]), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, 8, 12])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, count, 1, 1])
            for name, count in zip(names, (types, 2), strict=True)
        ],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_suffix(".json").write_text(json.dumps(CARD), encoding="utf-8")
    return path


def load(path: Path) -> AttributeNetwork:
    found = load_attributes(EmbedConfig(attributes=str(path)))
    assert found is not None
    return found


def pictures(*colors: tuple[int, int, int]) -> np.ndarray:
    return np.array([np.full((8, 12, 3), color, np.uint8) for color in colors])


@pytest.mark.parametrize("batch", [1, "N"])
def test_probabilities_go_through_vectors_and_back(tmp_path: Path, batch: int | str) -> None:
    attributes = load(network(tmp_path / "a.onnx", batch=batch))
    assert (attributes.size_hw, attributes.dim) == ((8, 12), 5)
    vectors = attributes(pictures((255, 0, 0), (51, 0, 204)))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    kind = attributes.class_probability(vectors[1])
    color = attributes.color_probability(vectors[1])
    assert kind.shape == (len(CLASSES),)
    np.testing.assert_allclose([kind[CAR], kind[BUS]], [0.8, 0.2], rtol=1e-5)
    np.testing.assert_allclose([color[COLORS.index("blue")], color[COLORS.index("red")]], [0.8, 0.2], rtol=1e-5)
    np.testing.assert_allclose(attributes.class_probability(vectors[0])[BUS], 1, rtol=1e-5)


def tracked(
    attributes: AttributeNetwork, color: tuple[int, int, int], class_id: int
) -> tuple[str, np.ndarray, np.ndarray]:
    one = dataclasses.replace(tracklet(length=4), class_id=class_id)
    image = np.full((120, 160, 3), color, np.uint8)
    [passage] = embed_tracklets(
        [one],
        Camera("c001", 1, Clock(10)),
        EmbedConfig(),
        None,
        lambda wanted: (Frame("c001", index, index / 10, image) for index in sorted(wanted)),
        attributes=attributes,
    ).passages
    assert len(passage.embedding) == 0
    return CLASSES[passage.tracklet.class_id], passage.class_probability, passage.color_probability


def test_a_vehicle_takes_the_type_that_is_likelier_than_not(tmp_path: Path) -> None:
    attributes = load(network(tmp_path / "a.onnx"))
    name, kind, color = tracked(attributes, (250, 0, 10), CLASSES.index("vehicle"))
    assert name == "bus"
    assert kind[BUS] > 0.9
    assert COLORS[int(color.argmax())] == "red"


def test_what_cannot_be_told_stays_a_vehicle(tmp_path: Path) -> None:
    attributes = load(network(tmp_path / "a.onnx"))
    assert tracked(attributes, (100, 0, 100), CLASSES.index("vehicle"))[0] == "vehicle"


def test_the_detectors_own_type_is_kept(tmp_path: Path) -> None:
    name, kind, _ = tracked(load(network(tmp_path / "a.onnx")), (250, 0, 10), CLASSES.index("truck"))
    assert name == "truck"
    assert kind[BUS] > 0.9


def test_networks_and_cards_that_do_not_fit(tmp_path: Path) -> None:
    assert load_attributes(EmbedConfig()) is None
    path = network(tmp_path / "a.onnx", types=4)
    with pytest.raises(WeightsError, match="expected 3 types and 2 colors as its card says, got 4 and 2"):
        load(path)
    with pytest.raises(WeightsError, match="expected outputs named type and color, got kind, color"):
        load(network(tmp_path / "b.onnx", names=("kind", "color")))
    path.with_suffix(".json").write_text('{"types": ["car"], "paint": []}', encoding="utf-8")
    with pytest.raises(FormatError, match="a card holds types, colors, bgr"):
        load(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"are not named.*under 'types' and 'colors' in a\.json"):
        load(path)


def test_intels_network_gives_what_openvino_gives(shared: Callable[[str], Path]) -> None:
    openvino = pytest.importorskip("openvino")
    weights = shared("data/weights/vehicle-attributes-recognition-barrier-0039.xml")
    attributes = load(weights)
    files = sorted(shared("data/reid_crops").rglob("car_*.jpg"))[:5]
    crops = np.array([cv2.resize(cv2.imread(str(file))[..., ::-1], (72, 72)) for file in files])
    compiled = openvino.Core().compile_model(str(weights), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for crop, vector in zip(crops, attributes(crops), strict=True):
        plain = compiled(crop[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32))
        kinds, colors = plain["type"].ravel(), plain["color"].ravel()
        found = attributes.class_probability(vector)
        want = [found[CLASSES.index(name)] for name in ("car", "bus", "truck", "van")]
        np.testing.assert_allclose(want, kinds, atol=1e-3)
        np.testing.assert_allclose(attributes.color_probability(vector), colors, atol=1e-3)
