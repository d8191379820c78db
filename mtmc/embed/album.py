"""One pass over a video: the pictures that stand for its tracklets, embedded as they come by.

Of each stretch of a tracklet the sharpest candidate is kept, until the last one has come. So no more pictures are
held than vehicles are in view, plus one batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.pool import unit_rows
from mtmc.types import Array, Frame

__all__ = ["Album", "Frames", "Shot", "embed_pictures", "thumbnail"]

#: The frames of a camera whose index is among the wanted, in order.
Frames = Callable[[Collection[int]], Iterable[Frame]]

_THUMBNAIL_HEIGHT_PX = 120


class Shot(NamedTuple):
    """A candidate: row ``row`` of tracklet number ``tracklet``, for its stretch number ``stretch``."""

    tracklet: int
    stretch: int
    row: int


def embed_pictures(images: Array, embedder: Embedder, flip: bool) -> Array:
    """uint8 (N, h, w, 3) → float32 (N, D), unit rows; with ``flip`` the mean of a picture and its mirror image.

    Raises:
        WeightsError: The embedder fails or gives vectors without a direction.
    """
    rows = unit_rows(embedder(images), embedder.name)
    if flip:
        rows = unit_rows(rows + unit_rows(embedder(images[:, :, ::-1]), embedder.name), embedder.name)
    return rows


class Album:
    """Collects shots in the order of frames and embeds the chosen ones in batches.

    Args:
        shots: All candidates.
        embedder: What describes them.
        config: The choices.

    Attributes:
        found: Of each tracklet (by number) the chosen rows and what they look like: (row, float32 (D,), unit length).
    """

    def __init__(self, shots: Iterable[Shot], embedder: Embedder, config: EmbedConfig) -> None:
        self.found: dict[int, list[tuple[int, Array]]] = defaultdict(list)
        self._embedder, self._config = embedder, config
        self._to_come = Counter((shot.tracklet, shot.stretch) for shot in shots)
        self._sharpest: dict[tuple[int, int], tuple[float, Shot, Array]] = {}
        self._batch: list[tuple[Shot, Array]] = []

    def add(self, frame: Frame, shots: Sequence[Shot], xyxy: Array) -> None:
        """Take the shots of a frame, with their boxes (N, 4)."""
        from mtmc.video.crop import cut, sharpness

        crops = cut(frame.image, xyxy, self._embedder.size_hw, self._config.pad, self._embedder.interpolation)
        for shot, crop, sharp in zip(shots, crops, sharpness(frame.image, xyxy).tolist(), strict=True):
            stretch = shot.tracklet, shot.stretch
            if stretch not in self._sharpest or sharp > self._sharpest[stretch][0]:
                self._sharpest[stretch] = sharp, shot, crop
            self._to_come[stretch] -= 1
            if not self._to_come[stretch]:
                self._batch.append(self._sharpest.pop(stretch)[1:])
        if len(self._batch) >= self._config.batch:
            self._embed()

    def finish(self) -> None:
        """Embed what is left, also of stretches some of whose frames never came."""
        self._batch += [(shot, crop) for _, shot, crop in self._sharpest.values()]
        self._sharpest.clear()
        if self._batch:
            self._embed()

    def _embed(self) -> None:
        crops = np.stack([crop for _, crop in self._batch])
        vectors = embed_pictures(crops, self._embedder, self._config.flip)
        for (shot, _), vector in zip(self._batch, vectors, strict=True):
            self.found[shot.tracklet].append((shot.row, vector))
        self._batch = []


def thumbnail(frame: Frame, xyxy: Array) -> Array:
    """A box (4,) as a small picture: uint8 (h ≤ 120, w, 3) RGB."""
    from mtmc.geometry.boxes import clip
    from mtmc.video.crop import cut

    height, width = frame.image.shape[:2]
    box = clip(xyxy, (width, height))
    w, h = np.maximum(box[2:] - box[:2], 1)
    scale = min(1.0, _THUMBNAIL_HEIGHT_PX / h)
    return np.asarray(cut(frame.image, box[None], (max(1, round(h * scale)), max(1, round(w * scale))))[0])
