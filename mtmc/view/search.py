"""Search by example: the tracklets of a run that look most like one of them, or like a picture.

The similarity is the cosine of two embeddings without what all embeddings of a camera have in common, its light and
its viewpoint (:class:`mtmc.multiview.appearance.CameraMeans`), as association compares them. A picture is of no
camera: the mean of all embeddings is taken from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.embed.crop_buffer import embed_crops
from mtmc.embed.pooling import unit_rows
from mtmc.errors import ConfigError
from mtmc.multiview.appearance import CameraMeans, embeddings_of
from mtmc.pipeline.models import make_embedder
from mtmc.types import Array
from mtmc.video.crop import cut
from mtmc.view.run_data import ViewedRun

__all__ = ["MAX_PICTURE_BYTES", "Match", "Search"]

#: Of a picture that is searched for, as a file.
MAX_PICTURE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Match:
    """A passage that was found.

    Attributes:
        passage: Its index.
        similarity: In [−1, 1].
    """

    passage: int
    similarity: float


class Search:
    """The embeddings of a run, ready to be compared.

    Args:
        viewed: The run.
    """

    def __init__(self, viewed: ViewedRun) -> None:
        embeddings = embeddings_of(viewed.passages, np.float32)
        self._config = viewed.run.config.embed
        self._means = CameraMeans.fit(embeddings, viewed.camera)
        self._vectors = self._means.remove(embeddings, viewed.camera)

    def like_passage(self, passage: int, count: int) -> list[Match]:
        """The passages that look most like one of them, best first, itself left out.

        Raises:
            ConfigError: The passage has no embedding.
        """
        vector = self._vectors[passage]
        if not vector.any():
            raise ConfigError("this tracklet has no embedding: the run had no picture of it, or no embedder")
        return [match for match in self._ranked(vector, count + 1) if match.passage != passage][:count]

    def like_picture(self, image: Array, count: int) -> list[Match]:
        """The passages that look most like a picture of one vehicle, best first.

        Args:
            image: uint8 (H, W, 3), RGB.
            count: How many at most.

        Raises:
            ConfigError: The run has no embeddings, or its embedder has changed.
            WeightsError: Its embedder cannot be loaded.
        """
        vector = self._described(image) - self._means.overall
        return self._ranked(unit_rows(vector[None], "the run")[0], count)

    def _described(self, image: Array) -> Array:
        """The embedding of a picture by the run's own embedder: float32 (D,)."""
        size = self._vectors.shape[1]
        embedder = make_embedder(self._config, threads=1) if size else None
        if embedder is None:
            raise ConfigError(
                "the run has no embeddings to compare a picture with",
                remedy="repeat the run from videos with an embedder (embed.weights)",
            )
        height, width = image.shape[:2]
        whole = np.array([[0, 0, width, height]], np.float32)
        crop = cut(image, whole, embedder.size_hw, 0.0, embedder.interpolation)
        vector: Array = embed_crops(crop, embedder, self._config.flip)[0]
        if len(vector) != size:
            raise ConfigError(
                f"expected embeddings of size {size} as the run has them, got size {len(vector)}: "
                "its embedder was changed since",
                remedy="repeat the run with the same --out",
            )
        return vector

    def _ranked(self, vector: Array, count: int) -> list[Match]:
        """The passages of the largest cosine with a unit vector; of equal ones the first."""
        known = np.flatnonzero(self._vectors.any(axis=1))
        cosine = self._vectors[known] @ vector
        best = np.argsort(-cosine, kind="stable")[:count]
        return [Match(int(known[k]), float(cosine[k])) for k in best]
