"""A detector that adds an embedding to every detection, for trackers that use appearance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mtmc.embed.config import EmbedConfig
from mtmc.embed.crop_buffer import embed_crops
from mtmc.embed.embedder import Embedder
from mtmc.errors import ConfigError
from mtmc.types import Array, Detections, Frame

__all__ = ["with_appearance"]


class _Detector(Protocol):
    stateful: bool

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]: ...


def with_appearance(detector: _Detector, embedder: Embedder | None, config: EmbedConfig) -> _Detector:
    """The same detector, with a vector for every box.

    Raises:
        ConfigError: There is no embedder.
    """
    if embedder is None:
        raise ConfigError(
            "embed.per_detection: expected an embedder, got none",
            remedy="set embed.weights, or per_detection to false",
        )
    return _EmbeddingDetector(detector, embedder, config, detector.stateful)


@dataclass
class _EmbeddingDetector:
    detector: _Detector
    embedder: Embedder
    config: EmbedConfig
    stateful: bool

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        detected = self.detector(frames)
        return [
            Detections(d.xyxy, d.score, d.class_id, self._embed_boxes(frame, d.xyxy))
            for frame, d in zip(frames, detected, strict=True)
        ]

    def _embed_boxes(self, frame: Frame, xyxy: Array) -> Array:
        from mtmc.video.crop import cut

        vectors = [np.zeros((0, self.embedder.dim), np.float32)]
        for start in range(0, len(xyxy), self.config.batch):
            boxes = xyxy[start : start + self.config.batch]
            crops = cut(frame.image, boxes, self.embedder.size_hw, self.config.pad, self.embedder.interpolation)
            vectors.append(embed_crops(crops, self.embedder, self.config.flip))
        return np.concatenate(vectors)
