"""Models of the ultralytics package (AGPL-3.0), kept quiet; its published models are fetched once, by name.

The only file that imports ultralytics. Its ``.pt`` files are pickles: open only those you trust.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.detect.config import DetectConfig
from mtmc.detect.labels import class_of_labels
from mtmc.errors import ConfigError, MissingDependency, WeightsError
from mtmc.types import Array, Detections, Frame

__all__ = ["UltralyticsDetector", "load"]

#: Read by ultralytics when it is imported: no look at the network, no pip install on its own, no greetings.
_MANNERS = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def load(config: DetectConfig, threads: int = 1) -> UltralyticsDetector:
    """Open ``config.weights`` (.pt, .engine, an OpenVINO folder, …) with ultralytics.

    Raises:
        WeightsError: The file is missing and cannot be fetched, damaged, or knows none of the wanted classes.
        ConfigError: The precision is not to be had.
        MissingDependency: ultralytics is not installed.
    """
    if config.precision != "fp32":
        raise ConfigError(
            f"precision: weights run by ultralytics are computed in fp32, got {config.precision}",
            remedy="export the model to .onnx and set runtime to openvino",
        )
    ultralytics = _import()
    path = _find(Path(config.weights), ultralytics)
    with _quiet():
        try:
            task = None if path.suffix == ".pt" else "detect"
            detector = UltralyticsDetector(ultralytics.YOLO(str(path), task=task), path, config)
            detector([Frame("", 0, 0.0, np.zeros((64, 64, 3), np.uint8))])
        except WeightsError:
            raise
        except Exception as error:  # whatever torch, pickle or an engine make of a damaged file
            raise WeightsError(
                f"expected a detection model that ultralytics can open, got {type(error).__name__}: {error}",
                path=path,
                remedy="download or export the file again",
            ) from error
    _own_threads(threads)
    return detector


#: Longer side of the images that ultralytics' models see by default, pixels.
_USUAL_SIDE = 640


class UltralyticsDetector:
    """A model opened by ultralytics.

    Args:
        model: An ``ultralytics.YOLO``.
        path: Its file, for messages.
        config: What to look for.
    """

    stateful = False

    def __init__(self, model: Any, path: Path, config: DetectConfig) -> None:
        parameters = getattr(model.model, "parameters", list)  # an exported model is but a path here
        if not all(bool(parameter.isfinite().all()) for parameter in parameters()):
            raise WeightsError("expected finite numbers as weights, got some that are not", path=path)
        table = model.names  # asked once: of an exported model, each time opens it anew
        names = [table[label] for label in sorted(table)]
        self._model, self._path = model, path
        self._class_of = class_of_labels(names, config.classes, path)
        self._batch = config.batch
        self.input_side = config.image_size or _USUAL_SIDE
        self._choices: dict[str, Any] = {
            "conf": config.min_score,
            "iou": config.suppression_iou,
            "agnostic_nms": True,
            "classes": np.flatnonzero(self._class_of >= 0).tolist(),
            "device": config.device,
            "verbose": False,
        }
        if config.image_size is not None:
            self._choices["imgsz"] = config.image_size

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections of each frame.

        Raises:
            WeightsError: The model gives boxes or scores that are not finite.
        """
        found: list[Detections] = []
        for start in range(0, len(frames), self._batch):
            images = [np.ascontiguousarray(frame.image[..., ::-1]) for frame in frames[start : start + self._batch]]
            with _quiet():
                results = self._model.predict(images, **self._choices)
            found += [self._adapt(result.boxes) for result in results]
        return found

    def _adapt(self, boxes: Any) -> Detections:
        table: Array = boxes.data.cpu().numpy()
        if not np.isfinite(table).all():
            raise WeightsError("the model gives boxes that are not finite", path=self._path)
        return Detections.of(table[:, :4], table[:, 4], self._class_of[table[:, 5].astype(np.int64)])


def _import() -> Any:
    before = {name: os.environ.get(name) for name in _MANNERS}
    os.environ.update(_MANNERS)
    try:
        with _quiet():
            import ultralytics

            return ultralytics
    except ImportError as error:
        raise MissingDependency.of("ultralytics", "yolo", "a detector of the YOLO family in .pt format") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _find(path: Path, ultralytics: Any) -> Path:
    """The file itself, or of that name in ultralytics' own folder of weights, fetched if it is one of theirs."""
    kept = Path(ultralytics.settings["weights_dir"]) / path.name
    for candidate in (path, kept):
        if candidate.exists():
            return candidate
    if path == Path(path.name) and _fetch(kept):
        return kept
    raise WeightsError(
        "there is no such model file, and ultralytics publishes none of that name",
        path=path,
        remedy="give the path of a file, or a published name such as yolo11n.pt",
    )


def _fetch(target: Path) -> bool:
    """Download a published model; False if there is none of that name.

    Raises:
        WeightsError: It cannot be downloaded.
    """
    from ultralytics.utils import downloads

    if target.name not in downloads.GITHUB_ASSETS_NAMES:
        return False
    try:
        with _quiet():
            target.parent.mkdir(parents=True, exist_ok=True)
            downloads.attempt_download_asset(target, retry=1)
    except (OSError, RuntimeError) as error:  # no network is a ConnectionError
        raise WeightsError(
            f"expected {target.name} here or to download it from ultralytics, got neither ({type(error).__name__})",
            remedy="connect to the network once, or give the path of a file; detect.weights=motion needs none",
        ) from error
    return target.exists()


def _own_threads(threads: int) -> None:
    """Undo ultralytics' claim of all cores, which it makes when a model first predicts."""
    import torch

    torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
