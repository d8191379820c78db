"""Small random models: torchvision's own forward pass is the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from mtmc.detect import DetectConfig, FilterConfig, load_detector  # noqa: E402
from mtmc.detect.torchvision import TorchvisionDetector  # noqa: E402
from mtmc.errors import ConfigError, WeightsError  # noqa: E402
from mtmc.types import CLASSES, Frame  # noqa: E402

NAMES = ["__background__", "car", "dog", "bus"]
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def random_model(name: str, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    return models.get_model(name, weights=None, weights_backbone=None, num_classes=len(NAMES), **kwargs)


def frame(width: int = 96, height: int = 64, seed: int = 0) -> Frame:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame("c1", 0, 0.0, image)


def tensor(of: Frame) -> Any:
    return torch.from_numpy(of.image).permute(2, 0, 1).float() / 255


@pytest.mark.slow
@pytest.mark.parametrize("head", ["mask", "box"])
def test_appearance_is_what_the_models_own_head_sees(head: str) -> None:
    few = {"rpn_post_nms_top_n_test": 20, "box_detections_per_img": 10, "box_score_thresh": 0.0}
    model = random_model("maskrcnn_resnet50_fpn_v2", min_size=96, max_size=96, **few).eval()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[1] = 3.0  # everything is a car
    seen: list[Any] = []
    module = model.roi_heads.mask_head if head == "mask" else model.roi_heads.box_roi_pool
    hook = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    model.roi_heads.nms_thresh = 0.7  # as the detector sets it
    with torch.inference_mode():
        (want,) = model([tensor(frame())])
    hook.remove()
    rules = FilterConfig(min_confidence=0.0, nms_iou=0.7)
    config = DetectConfig(filter=rules, appearance=head, weights="maskrcnn_resnet50_fpn_v2")
    (found,) = TorchvisionDetector(model, NAMES, config)([frame()])
    assert found.appearance.shape == (len(found), 256)
    assert len(found) > 3
    np.testing.assert_allclose(np.linalg.norm(found.appearance, axis=1), 1, atol=1e-5)
    boxes = want["boxes"].numpy()
    rows = [int(np.abs(boxes - box).sum(axis=1).argmin()) for box in found.xyxy]
    np.testing.assert_allclose(found.xyxy, boxes[rows], atol=1e-3)
    if head == "mask":  # the box head is shown proposals, of which the final boxes are refinements
        vectors = seen[0].mean(dim=(2, 3)).numpy()[rows]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(found.appearance, vectors, atol=1e-4)


def test_a_state_dict_with_its_card(tmp_path: Path) -> None:
    path = tmp_path / "cars.pth"
    torch.save(random_model(SMALL).state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps({"names": NAMES[1:]}))
    config = DetectConfig(weights=f"{SMALL}:{path}", filter=FilterConfig(min_confidence=0.01), image_size=96, batch=1)
    found = load_detector(config)([frame(), frame(64, 96)])
    assert len(found) == 2
    assert {CLASSES[i] for d in found for i in d.class_id} <= {"car", "bus"}
    assert found[0].appearance.shape[1] == 0
    assert (np.diff(found[0].score) <= 0).all()


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: there is no such model file"):
        load_detector(DetectConfig(weights=f"{SMALL}:{tmp_path / 'none.pth'}"))
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(b"no pickle")
    with pytest.raises(WeightsError, match=r"damaged\.pth: expected a state dict of fasterrcnn"):
        load_detector(DetectConfig(weights=f"{SMALL}:{damaged}"))
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(WeightsError, match=r"other\.pth: expected a state dict.*with 90 labels"):
        load_detector(DetectConfig(weights=f"{SMALL}:{other}"))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"weights": "fasterrcnn_resnet99"}, "torchvision has no detector 'fasterrcnn_resnet99'"),
        ({"weights": SMALL, "precision": "bf16"}, "computed in fp32"),
        ({"weights": "ssd300_vgg16", "image_size": 640}, "takes images of one size only"),
    ],
)
def test_impossible_choices(choice: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_detector(DetectConfig(**choice))


def test_models_without_the_head_cannot_describe() -> None:
    config = DetectConfig(weights="ssdlite320_mobilenet_v3_large", appearance="box")
    with pytest.raises(ConfigError, match="has no box head"):
        TorchvisionDetector(random_model("ssdlite320_mobilenet_v3_large"), NAMES, config)


def test_broken_weights_are_reported() -> None:
    model = random_model(SMALL, min_size=96, max_size=96)
    torch.nn.init.constant_(model.roi_heads.box_predictor.bbox_pred.bias, float("nan"))
    with pytest.raises(WeightsError, match=rf"{SMALL}: expected finite numbers as weights"):
        TorchvisionDetector(model, NAMES, DetectConfig(weights=SMALL))
