"""Which code runs which weights, what importing costs, and the sentences for names that mean nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mtmc import detect
from mtmc.detect import DETECTORS, DetectConfig, load_detector
from mtmc.errors import ConfigError, WeightsError


@pytest.mark.parametrize(
    ("weights", "backend"),
    [
        ("motion", "motion"),
        ("cars.onnx", "onnx"),
        ("cars.xml", "onnx"),
        ("yolo11n.pt", "ultralytics"),
        ("rtdetr-l.pt", "ultralytics"),
        ("cars.engine", "ultralytics"),
        ("models/yolo11n_openvino_model/", "ultralytics"),
        ("maskrcnn_resnet50_fpn_v2", "torchvision"),
        ("fasterrcnn_resnet50_fpn:cars.pth", "torchvision"),
        ("retinanet_resnet50_fpn_v2", "torchvision"),
    ],
)
def test_the_name_tells_the_backend(monkeypatch: pytest.MonkeyPatch, weights: str, backend: str) -> None:
    called: list[tuple[str, int]] = []
    for name in DETECTORS:
        monkeypatch.setitem(DETECTORS, name, lambda config, threads, name=name: called.append((name, threads)))
    load_detector(DetectConfig(weights=weights), threads=3)
    assert called == [(backend, 3)]


def test_the_backend_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "ultralytics", lambda config, threads: "theirs")
    assert load_detector(DetectConfig(weights="cars.onnx", backend="ultralytics")) == "theirs"  # type: ignore[comparison-overlap]


def test_names_that_mean_nothing() -> None:
    with pytest.raises(ConfigError, match=r"expected auto, package, motion, .* an \.onnx.*got 'yolo11n'"):
        load_detector(DetectConfig(weights="yolo11n"))


@pytest.mark.parametrize(
    "choice",
    [
        {"classes": ("cars",)},
        {"classes": ()},
        {"device": "gpu"},
        {"filter": {"min_confidence": 2}},
        {"weight": "a.onnx"},
    ],
)
def test_impossible_choices(choice: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectConfig(**choice)  # type: ignore[arg-type]


def test_importing_loads_no_vendor() -> None:
    code = (
        "import sys, mtmc.detect; "
        "print([m for m in ('cv2', 'onnxruntime', 'openvino', 'torch', 'ultralytics') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_exist() -> None:
    assert all(hasattr(detect, name) for name in detect.__all__)


@pytest.mark.slow
def test_ultralytics_names_missing_and_damaged_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        WeightsError, match=r"yolo99z\.pt: there is no such model file.*a published name such as yolo11n\.pt"
    ):
        load_detector(DetectConfig(weights="yolo99z.pt"))
    assert list(tmp_path.iterdir()) == []
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(WeightsError, match=r"damaged\.pt: expected a detection model that ultralytics can open"):
        load_detector(DetectConfig(weights=str(damaged)))
    with pytest.raises(ConfigError, match="computed in fp32, got bf16"):
        load_detector(DetectConfig(weights="yolo99z.pt", precision="bf16"))


@pytest.mark.parametrize("weights", ["motion", "cars.onnx", "yolo11n.pt"])
def test_only_torchvision_describes_boxes(weights: str) -> None:
    with pytest.raises(ConfigError, match="has no mask head to describe boxes by"):
        load_detector(DetectConfig(weights=weights, appearance="mask"))


def test_published_weights_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics", reason="the extra 'yolo' is not installed")
    from ultralytics.utils import downloads

    from mtmc.detect import yolo

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Environment may be offline")

    monkeypatch.setattr(downloads, "safe_download", offline)
    with pytest.raises(
        WeightsError,
        match=r"^expected yolo11n\.pt here or to download it from ultralytics, got neither \(ConnectionError\); "
        r"connect to the network once, or give the path of a file; detect\.weights=motion needs none$",
    ):
        yolo._fetch(tmp_path / "yolo11n.pt")
