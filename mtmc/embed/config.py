"""The choices of embedding tracklets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from mtmc.settings import Condition, Settings, UsedWhen

__all__ = ["EmbedConfig"]


class EmbedConfig(Settings):
    """Which embedder, and which crops represent a tracklet."""

    renamed: ClassVar[Mapping[str, str]] = {
        "every_box": "per_detection",
        "crops": "crops_per_tracklet",
        "focus": "pooling_sharpness",
    }
    used_when: ClassVar[Mapping[str, Condition]] = {
        **dict.fromkeys(("card", "runtime", "precision"), UsedWhen("embed.weights", "≠", "none", "color_histogram")),
        **dict.fromkeys(
            ("crops_per_tracklet", "min_side_px", "pad", "flip", "batch", "pooling_sharpness"),
            UsedWhen("embed.weights", "≠", "none"),
        ),
    }

    weights: str | tuple[str, ...] = Field(
        "auto",
        description="auto (the best permissive model at hand), package (the model that comes with mtmc), a model of "
        "mtmc models list, a file (.onnx, .xml, .torchscript, .safetensors), a checkpoint folder, timm:NAME, "
        "color_histogram (no weights needed), or none; a list of them is an ensemble",
    )
    attributes: str = Field(
        "none",
        description="network that tells types (car, van, truck, bus) and colors: none, a model of mtmc models list "
        "or a file; the type is taken where the detector says only vehicle",
    )
    card: Path | None = Field(None, description="JSON card of the weights, if it is not beside them; not for several")
    runtime: Literal["auto", "onnxruntime", "openvino"] = Field("auto", description="what runs an ONNX file")
    device: str = Field("cpu", description="cpu, cuda or cuda:1")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16 is faster on processors that compute in it")
    per_detection: bool = Field(
        False, description="embed every detection before tracking, for trackers that use appearance"
    )
    crops_per_tracklet: int = Field(
        6, ge=1, description="number of crops, one from each equal stretch of the tracklet's time"
    )
    min_side_px: float = Field(16.0, ge=0, description="a smaller box counts only if the tracklet has no larger one")
    pad: float = Field(0.0, ge=0, le=1, description="margin around the box, as a share of its sides")
    flip: bool = Field(False, description="average each crop with its mirror image, at twice the cost")
    batch: int = Field(64, ge=1, description="crops per call of the embedder")
    pooling_sharpness: float = Field(
        4.0,
        ge=0,
        description="how much the best crops dominate the mean: "
        "weights are exp(pooling_sharpness · quality); 0: equal weights",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The embedders of ``weights``, one or several."""
        return (self.weights,) if isinstance(self.weights, str) else self.weights

    @field_validator("weights", mode="before")
    @classmethod
    def _are_embedders(cls, weights: Any) -> str | tuple[str, ...]:
        """A list of one is that one."""
        names = tuple(weights) if isinstance(weights, list | tuple) else (weights,)
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError("expected the name or file of an embedder, or a list of them")
        if not names or (len(names) > 1 and "none" in names):
            raise ValueError("expected one embedder or more in the list, none of them named none")
        return names[0] if len(names) == 1 else names

    @field_validator("attributes")
    @classmethod
    def _is_given(cls, attributes: str) -> str:
        if not attributes.strip():
            raise ValueError("expected none, or the name or file of an attribute network")
        return attributes
