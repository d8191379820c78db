"""The gap to real vehicles: pictures of the same vehicles by two real cameras, and a plain colour histogram beside.

::

    <folder>/car_0003_cam1.jpg   car_0003_cam2.jpg   …      one picture per vehicle and camera
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mtmc.errors import FormatError
from mtmc.types import Array
from mtmc.video.images import read_image
from reid.data.augment import resize
from reid.evaluation.retrieval import Embeddings, RetrievalScores, evaluate

__all__ = ["HsvHistogram", "score_pairs"]

_NAME = re.compile(r"([a-z]+)_(\d+)_cam(\d+)\.jpg")


class Describe(Protocol):
    """Pictures uint8 (N, h, w, 3) RGB to vectors (N, D)."""

    @property
    def size_hw(self) -> tuple[int, int]: ...
    @property
    def interpolation(self) -> str: ...
    def __call__(self, images: Array, /) -> Array: ...


class HsvHistogram:
    """Joint histogram of hue, saturation and value in 8 × 8 × 8 bins; the cosine is Bhattacharyya's coefficient."""

    size_hw = (128, 128)
    interpolation = "linear"

    def __call__(self, images: Array, /) -> Array:
        """uint8 (N, 128, 128, 3) RGB → float32 (N, 512), unit length."""
        return np.stack([self._histogram(image) for image in images])

    def _histogram(self, image: Array) -> Array:
        hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 8, 8], [0, 180, 0, 256, 0, 256]).ravel()
        return np.asarray(np.sqrt(counts / counts.sum()), np.float32)


def score_pairs(describe: Describe, folder: Path, kind: str = "car") -> RetrievalScores:
    """Look for every vehicle of camera 1 among those of camera 2.

    Args:
        describe: An embedder, or :class:`HsvHistogram`.
        folder: Pictures named as above.
        kind: The vehicles' type; others stay out of the gallery too.

    Raises:
        FormatError: There are no such pictures.
    """
    named = ((_NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.jpg")))
    found = [(int(m[3]), int(m[2]), path) for m, path in named if m is not None and m[1] == kind]
    if not found:
        raise FormatError(f"expected pictures named like {kind}_0003_cam1.jpg, found none", path=folder)
    sides = []
    for camera in (1, 2):
        rows = [(vehicle, path) for number, vehicle, path in found if number == camera]
        images = np.stack([resize(read_image(path), describe.size_hw, describe.interpolation) for _, path in rows])
        sides.append(Embeddings(describe(images), np.array([v for v, _ in rows]), np.full(len(rows), camera)))
    return evaluate(sides[0], sides[1])
