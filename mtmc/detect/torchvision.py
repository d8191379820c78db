"""Torchvision's detection models; its R-CNNs can describe each box by the features they have computed anyway."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.detect.card import read_card
from mtmc.detect.config import DetectConfig
from mtmc.detect.labels import class_of_labels
from mtmc.detect.nms import nms
from mtmc.errors import ConfigError, MissingDependency, WeightsError
from mtmc.types import Array, Detections, Frame

__all__ = ["TorchvisionDetector", "load"]


def load(config: DetectConfig, threads: int = 1) -> TorchvisionDetector:
    """Build ``config.weights``: ``name`` with torchvision's own COCO weights, or ``name:file`` with one's own.

    One's own file holds a state dict (.pth) and has a card that lists the labels after the background. Torch keeps
    one number of threads per process; it becomes ``threads``.

    Raises:
        WeightsError: The file is missing, damaged or of another model, or torchvision cannot download its own.
        ConfigError: There is no such model, or it does not offer what is asked for.
        FormatError: The card is malformed.
        MissingDependency: Torch or torchvision is not installed.
    """
    try:
        import torch
        from torchvision.models import detection as zoo
        from torchvision.models import list_models
    except ImportError as error:
        raise MissingDependency.of("torchvision", "torch", "a detector of torchvision") from error
    name, _, file = config.weights.partition(":")
    known = list_models(module=zoo)
    if name not in known:
        raise ConfigError(f"weights: torchvision has no detector {name!r}", remedy=f"it has {', '.join(known)}")
    if config.precision != "fp32":
        raise ConfigError(f"precision: torchvision's detectors are computed in fp32, got {config.precision}")
    if config.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device: torch sees no CUDA here, got {config.device}", remedy="set device to cpu")
    torch.set_num_threads(threads)
    sizes = _sizes(name, config.image_size)
    model, names = _from_file(name, Path(file), sizes) if file else _published(name, sizes)
    return TorchvisionDetector(model, names, config)


class TorchvisionDetector:
    """A detection model of torchvision.

    Args:
        model: Takes a list of float32 (3, H, W) in [0, 1] and gives boxes, labels and scores of each.
        names: Its labels in order, background first.
        config: What to look for.

    Raises:
        WeightsError: Weights are not finite, or the model knows none of the wanted classes.
        ConfigError: It cannot describe boxes as asked for.
    """

    stateful = False

    def __init__(self, model: Any, names: Sequence[str], config: DetectConfig) -> None:
        heads = getattr(model, "roi_heads", None)
        if config.appearance != "none" and getattr(heads, f"{config.appearance}_roi_pool", None) is None:
            raise ConfigError(
                f"appearance: {config.weights} has no {config.appearance} head to describe boxes by",
                remedy="choose maskrcnn_resnet50_fpn_v2, or set appearance to none",
            )
        if heads is not None:  # outlines and joints of everything in sight cost more than finding it
            heads.mask_predictor = heads.keypoint_predictor = None
        thresholds = model if heads is None else heads
        thresholds.score_thresh, thresholds.nms_thresh = config.min_score, config.suppression_iou
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            # Said here because torchvision drops boxes that are not finite, and would find nothing ever after.
            raise WeightsError("expected finite numbers as weights, got some that are not", path=config.weights)
        self.input_side = int(max(model.transform.max_size, *model.transform.min_size))
        self._model = model.eval().to(config.device)
        self._config = config
        self._class_of = class_of_labels(names, config.classes, config.weights)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections of each frame, best first; with appearance float32 (N, 256) of unit length if configured.

        Raises:
            WeightsError: The model gives boxes or features that are not finite.
        """
        import torch

        found: list[Detections] = []
        with torch.inference_mode():
            for start in range(0, len(frames), self._config.batch):
                images = [self._tensor(frame.image) for frame in frames[start : start + self._config.batch]]
                run = self._model if self._config.appearance == "none" else self._describe
                found += [self._adapt(result) for result in run(images)]
        return found

    def _tensor(self, image: Array) -> Any:
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._config.device)
        return pixels.permute(2, 0, 1).float().div_(255)

    def _describe(self, images: list[Any]) -> list[dict[str, Any]]:
        """The model's own forward pass in its parts, with the features that its head sees in every box."""
        model, heads = self._model, self._model.roi_heads
        inputs, _ = model.transform(images)
        features = model.backbone(inputs.tensors)
        proposals, _ = model.rpn(inputs, features)
        results, _ = heads(features, proposals, inputs.image_sizes)
        boxes = [result["boxes"] for result in results]
        if self._config.appearance == "mask":
            cells = heads.mask_head(heads.mask_roi_pool(features, boxes, inputs.image_sizes))
        else:
            cells = heads.box_roi_pool(features, boxes, inputs.image_sizes)
        vectors = cells.mean(dim=(2, 3)).split([len(b) for b in boxes])
        results = model.transform.postprocess(results, inputs.image_sizes, [tuple(i.shape[-2:]) for i in images])
        return [{**result, "appearance": vector} for result, vector in zip(results, vectors, strict=True)]

    def _adapt(self, result: dict[str, Any]) -> Detections:
        """A result of the model as detections: those of known classes and sufficient score, after suppression.

        Raises:
            WeightsError: A number is not finite.
        """
        columns: dict[str, Array] = {name: value.cpu().numpy() for name, value in result.items()}
        xyxy = columns["boxes"]
        score = columns["scores"]
        class_id = self._class_of[columns["labels"]]
        appearance = columns.get("appearance", np.zeros((len(xyxy), 0), np.float32))

        for column in (xyxy, score, appearance):
            if not np.isfinite(column).all():
                raise WeightsError("the model gives boxes or features that are not finite", path=self._config.weights)

        # Classes that are not asked for have a negative number.
        is_wanted = (class_id >= 0) & (score >= self._config.min_score)
        rows = np.flatnonzero(is_wanted)
        rows = rows[nms(xyxy[rows], score[rows], self._config.suppression_iou)]

        # Unit vectors; the lower limit keeps a vector of zeros as it is.
        vectors = appearance[rows]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit_vectors = vectors / np.maximum(length, 1e-12)
        return Detections.of(xyxy[rows], score[rows], class_id[rows], unit_vectors)


def _sizes(name: str, image_size: int | None) -> dict[str, int]:
    """What tells a model its image size. It scales to the smaller of two limits: equal, they mean the longer side."""
    if image_size is None:
        return {}
    if name.startswith("ssd"):
        raise ConfigError(f"image_size: {name} takes images of one size only, got {image_size}")
    return {"min_size": image_size, "max_size": image_size}


def _published(name: str, sizes: dict[str, int]) -> tuple[Any, Sequence[str]]:
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(name).DEFAULT
    try:
        return get_model(name, weights=weights, progress=False, **sizes), weights.meta["categories"]
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"torchvision cannot download the weights of {name}: {error}",
            path=weights.url,
            remedy=f"fetch them elsewhere and set weights to {name}:FILE",
        ) from error


def _from_file(name: str, path: Path, sizes: dict[str, int]) -> tuple[Any, Sequence[str]]:
    import torch
    from torchvision.models import get_model, get_model_weights

    if not path.is_file():
        raise WeightsError(
            "there is no such model file", path=path, remedy="correct the part of weights after the colon"
        )
    labels = read_card(path).names
    names = get_model_weights(name).DEFAULT.meta["categories"] if labels is None else ["__background__", *labels]
    model = get_model(name, weights=None, weights_backbone=None, num_classes=len(names), **sizes)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"expected a state dict of {name} with {len(names) - 1} labels, got: {reason[:300]}",
            path=path,
            remedy=f"name its architecture, and list its labels under 'names' in {path.with_suffix('.json').name}",
        ) from error
    return model, names
