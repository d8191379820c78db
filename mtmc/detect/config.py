"""The choices of detection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from mtmc.detect.filters import FilterConfig
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import CLASSES

__all__ = ["DetectConfig"]

#: Lowest score of a detector's output where ``filter.min_confidence`` is null.
_DEFAULT_MIN_SCORE = 0.25
#: A detector suppresses boxes that overlap by more than this, whatever ``filter.nms_iou`` asks for in addition.
_SUPPRESSION_IOU = 0.7
#: What ``tiles`` can be.
_TILES = re.compile(r"none|auto|[1-9]\d?x[1-9]\d?")


class DetectConfig(Settings):
    """Which detector runs, on what, and what is kept of its output."""

    renamed: ClassVar[Mapping[str, str]] = {
        "confidence": "filter.min_confidence",
        "nms_iou": "filter.nms_iou",
    }
    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        ("backend", "classes", "tiles", "batch", "runtime", "precision", "appearance"),
        UsedWhen("detect.weights", "≠", "motion"),
    )

    weights: str = Field(
        default="auto",
        description="auto (the best permissive model at hand), package (the model that comes with mtmc), a model of "
        "mtmc models list, a model file, a model of ultralytics (yolo11n.pt) or torchvision "
        "(maskrcnn_resnet50_fpn_v2, optionally with a file of its own: maskrcnn_resnet50_fpn_v2:cars.pth), or motion "
        "(background subtraction: static cameras, no model).",
    )
    backend: Literal["auto", "onnx", "ultralytics", "torchvision"] = Field(
        default="auto",
        description="Whose code runs the weights; auto tells by name: .onnx and .xml are run without a vendor.",
    )
    classes: tuple[str, ...] = Field(
        default=("vehicle", "car", "van", "pickup", "truck", "bus"),
        min_length=1,
        description=f"What to look for, among {', '.join(CLASSES)}.",
    )
    image_size: int | None = Field(
        default=None,
        ge=32,
        description="Longer side of the image as the model sees it, in pixels; null: as it was exported.",
    )
    tiles: str = Field(
        default="none",
        description="Look at overlapping tiles of the picture in addition to the whole, for small vehicles. 3x2: "
        "three columns, two rows; auto: as many as it takes to show the picture to the model without shrinking it.",
    )
    batch: int = Field(default=8, ge=1, description="Most images in one forward pass.")
    runtime: Literal["auto", "onnxruntime", "openvino"] = Field(
        default="auto", description="Engine for .onnx and .xml files."
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Arithmetic of the model; bf16 where the CPU has it."
    )
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:1.")
    appearance: Literal["none", "mask", "box"] = Field(
        default="none",
        description="Describe each box by the features of the model's own mask or box head (torchvision's R-CNNs): "
        "appearance for the tracker without a second model.",
    )

    filter: FilterConfig = FilterConfig()

    @property
    def tile_grid(self) -> tuple[int, int] | None:
        """(columns, rows) of tiles, (1, 1) for none; None where the size of the picture decides."""
        if self.tiles == "auto":
            return None
        columns, _, rows = self.tiles.partition("x")
        return (int(columns), int(rows)) if rows else (1, 1)

    @property
    def min_score(self) -> float:
        """Lowest score that a detector has to give."""
        return _DEFAULT_MIN_SCORE if self.filter.min_confidence is None else self.filter.min_confidence

    @property
    def suppression_iou(self) -> float:
        """Overlap above which a detector keeps the best of its boxes; the filter may suppress more, later."""
        return max(_SUPPRESSION_IOU, self.filter.nms_iou or 0.0)

    @field_validator("weights", mode="before")
    @classmethod
    def _given(cls, weights: Any) -> Any:
        if not (isinstance(weights, str) and weights.strip()):
            raise ValueError("expected auto, package, motion, or a model's name or file")
        return weights

    @field_validator("tiles", mode="before")
    @classmethod
    def _is_grid(cls, tiles: Any) -> Any:
        """YAML reads some texts as other values: 0x0 as the number 0."""
        if not (isinstance(tiles, str) and _TILES.fullmatch(tiles)):
            raise ValueError("expected none, auto, or columns and rows such as 3x2, each from 1 to 99")
        return tiles

    @field_validator("classes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in CLASSES]
        if unknown:
            raise ValueError(f"unknown class {unknown[0]!r}; the classes are {', '.join(CLASSES)}")
        return names
