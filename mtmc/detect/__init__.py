"""Frames to detections: vendors are adapted here, at the edge.

A detector is any callable from a batch of frames to the detections of each; :func:`load_detector` makes the one that
a configuration names, and importing this package loads no vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from mtmc.detect.config import DetectConfig
from mtmc.detect.filters import FilterConfig, filter_detections
from mtmc.detect.precomputed import read_detections
from mtmc.detect.tiles import SupportsTiles, TiledDetector
from mtmc.errors import ConfigError
from mtmc.types import Detections, Frame
from mtmc.zoo import model_file, name_remedy, setting_names

__all__ = [
    "DETECTORS",
    "DetectConfig",
    "Detector",
    "FilterConfig",
    "SupportsBackgroundFit",
    "check_detector",
    "filter_detections",
    "load_detector",
    "read_detections",
]


class Detector(Protocol):
    """Finds vehicles in frames, which may come from several cameras and differ in size.

    Attributes:
        stateful: Its answer depends on the frames that came before: a camera's frames must all come, in order, to the
            same detector.
    """

    stateful: bool

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """The detections of each frame, in the order of the frames."""
        ...


@runtime_checkable
class SupportsBackgroundFit(Protocol):
    """A detector with a background model, which is fitted to a camera before its first frame comes."""

    def fit_background(self, camera_id: str, frames: Iterable[Frame]) -> None:
        """Fit the background to some frames of the camera, in order, from over some minutes."""
        ...


def _motion(config: DetectConfig, threads: int) -> Detector:
    from mtmc.detect.motion import MotionDetector

    return MotionDetector(config)


def _onnx(config: DetectConfig, threads: int) -> Detector:
    from mtmc.detect.onnx import load

    return load(config, threads)


def _torchvision(config: DetectConfig, threads: int) -> Detector:
    from mtmc.detect.torchvision import load

    return load(config, threads)


def _ultralytics(config: DetectConfig, threads: int) -> Detector:
    from mtmc.detect.yolo import load

    return load(config, threads)


DETECTORS: dict[str, Callable[[DetectConfig, int], Detector]] = {
    "motion": _motion,
    "onnx": _onnx,
    "torchvision": _torchvision,
    "ultralytics": _ultralytics,
}


def load_detector(config: DetectConfig, threads: int = 1) -> Detector:
    """The detector that a configuration names.

    Args:
        config: The choices.
        threads: How many threads it computes with.

    Raises:
        ConfigError: The weights are of no kind that we know, or a choice is impossible with them.
        WeightsError: They are missing, unreadable or know none of the wanted classes.
        FormatError: The card beside them is malformed.
        MissingDependency: The package that runs them is not installed.
    """
    config = config.model_copy(update={"weights": model_file(config.weights, "detector")})
    backend = _backend_of(config)
    if config.appearance != "none" and backend != "torchvision":
        raise ConfigError(
            f"appearance: {config.weights} has no {config.appearance} head to describe boxes by",
            remedy="set appearance to none, or weights to maskrcnn_resnet50_fpn_v2",
        )
    detector = DETECTORS[backend](config, threads)
    if config.tile_grid != (1, 1) and isinstance(detector, SupportsTiles):
        return TiledDetector(detector, config.tile_grid)
    return detector


def check_detector(config: DetectConfig) -> None:
    """Refuse a name of no detector, before anything is downloaded or loaded.

    Raises:
        ConfigError: The weights are of no kind that we know.
    """
    if config.weights not in setting_names("detector"):
        _backend_of(config)


_TORCHVISION = ("fasterrcnn_", "fcos_", "keypointrcnn_", "maskrcnn_", "retinanet_", "ssd300_", "ssdlite320_")


def _backend_of(config: DetectConfig) -> str:
    """Whose code runs the weights: a key of :data:`DETECTORS`."""
    name = config.weights
    if name == "motion":
        return "motion"
    if config.backend != "auto":
        return config.backend
    if name.startswith(_TORCHVISION):
        return "torchvision"
    path = Path(name)
    if path.suffix in (".pt", ".engine") or path.name.endswith("_openvino_model"):
        return "ultralytics"
    if path.suffix in (".onnx", ".xml") or path.is_dir():
        return "onnx"
    raise ConfigError(
        "detect.weights: expected auto, package, motion, a model of mtmc models list, an .onnx, .xml or .pt file or "
        f"a torchvision model, got {name!r}",
        remedy=name_remedy(name, "detector"),
    )
