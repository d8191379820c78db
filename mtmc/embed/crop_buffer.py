"""One pass over a video: the crops that represent its tracklets, embedded as their frames come by.

Of each stretch of a tracklet the sharpest candidate is kept, until the last one has come. So no more crops are held
than vehicles are in view, plus one batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.pooling import unit_rows
from mtmc.types import Array, Frame

__all__ = ["CropBuffer", "CropCandidate", "Frames", "embed_crops", "thumbnail"]

#: The frames of a camera whose index is among the wanted, in order.
Frames = Callable[[Collection[int]], Iterable[Frame]]

_THUMBNAIL_HEIGHT_PX = 120


class CropCandidate(NamedTuple):
    """Row ``row`` of tracklet number ``tracklet``, a candidate for its stretch number ``stretch``."""

    tracklet: int
    stretch: int
    row: int


class _SharpestCrop(NamedTuple):
    """The sharpest candidate of a stretch so far, and its pixels: uint8 (h, w, 3)."""

    sharpness: float
    candidate: CropCandidate
    crop: Array


def embed_crops(images: Array, embedder: Embedder, flip: bool) -> Array:
    """uint8 (N, h, w, 3) → float32 (N, D), unit rows; with ``flip`` the mean of a crop and its mirror image.

    Raises:
        WeightsError: The embedder fails or gives vectors without a direction.
    """
    rows = unit_rows(embedder(images), embedder.name)
    if flip:
        mirrored = unit_rows(embedder(images[:, :, ::-1]), embedder.name)
        rows = unit_rows(rows + mirrored, embedder.name)
    return rows


class CropBuffer:
    """Collects crop candidates in the order of frames and embeds the chosen ones in batches.

    Args:
        candidates: All that will come.
        embedder: What gives their vectors.
        config: The choices.

    Attributes:
        embedded: Of each tracklet (by number) the chosen rows and their vectors: (row, float32 (D,), unit length).
    """

    def __init__(self, candidates: Iterable[CropCandidate], embedder: Embedder, config: EmbedConfig) -> None:
        self.embedded: dict[int, list[tuple[int, Array]]] = defaultdict(list)
        self._embedder, self._config = embedder, config
        self._awaited = Counter((candidate.tracklet, candidate.stretch) for candidate in candidates)
        self._sharpest: dict[tuple[int, int], _SharpestCrop] = {}
        self._batch: list[_SharpestCrop] = []

    def add(self, frame: Frame, candidates: Sequence[CropCandidate], xyxy: Array) -> None:
        """Take the candidates of a frame, with their boxes (N, 4)."""
        from mtmc.video.crop import cut, sharpness

        crops = cut(frame.image, xyxy, self._embedder.size_hw, self._config.pad, self._embedder.interpolation)
        for candidate, crop, sharp in zip(candidates, crops, sharpness(frame.image, xyxy).tolist(), strict=True):
            stretch = candidate.tracklet, candidate.stretch
            if stretch not in self._sharpest or sharp > self._sharpest[stretch].sharpness:
                self._sharpest[stretch] = _SharpestCrop(sharp, candidate, crop)
            self._awaited[stretch] -= 1
            if not self._awaited[stretch]:
                self._batch.append(self._sharpest.pop(stretch))
        if len(self._batch) >= self._config.batch:
            self._embed_batch()

    def finish(self) -> None:
        """Embed what is left, also of stretches some of whose frames never came."""
        self._batch += self._sharpest.values()
        self._sharpest.clear()
        if self._batch:
            self._embed_batch()

    def _embed_batch(self) -> None:
        crops = np.stack([item.crop for item in self._batch])
        vectors = embed_crops(crops, self._embedder, self._config.flip)
        for item, vector in zip(self._batch, vectors, strict=True):
            self.embedded[item.candidate.tracklet].append((item.candidate.row, vector))
        self._batch = []


def thumbnail(frame: Frame, xyxy: Array) -> Array:
    """A box (4,) as a small picture: uint8 (h ≤ 120, w, 3) RGB."""
    from mtmc.geometry.boxes import clip
    from mtmc.video.crop import cut

    height, width = frame.image.shape[:2]
    box = clip(xyxy, (width, height))
    w, h = np.maximum(box[2:] - box[:2], 1)
    scale = min(1.0, _THUMBNAIL_HEIGHT_PX / h)
    size_hw = max(1, round(h * scale)), max(1, round(w * scale))
    return np.asarray(cut(frame.image, box[None], size_hw)[0])
