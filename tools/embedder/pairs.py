"""The gap to real vehicles: pictures of the same vehicles by two real cameras, and a plain color histogram beside.

::

    <folder>/car_0003_cam1.jpg   car_0003_cam2.jpg   …      one picture per vehicle and camera
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mtmc.errors import FormatError
from mtmc.types import Array
from mtmc.video.images import read_image
from reid.data.augment import resize
from reid.evaluation.bootstrap import identity_interval

__all__ = [
    "HsvHistogram",
    "PairScores",
    "bootstrap_rank1",
    "read_pairs",
    "real_similarities",
    "right_answers",
    "score_pairs",
]

_NAME = re.compile(r"([a-z]+)_(\d+)_cam(\d)\.jpg")


#: A vehicle's picture by camera 1 and that by camera 2.
Pair = tuple[Path, Path]


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


@dataclass(frozen=True, slots=True)
class PairScores:
    """How often the first answer is right among vehicles of one type, in percent.

    Attributes:
        kind: The type.
        pairs: Vehicles, each with one picture by camera 1 and one by camera 2.
        forth: Camera 1 asks, camera 2 answers.
        back: The other way round.
        rank1: The mean of both.
        low, high: The 95 % interval of that mean, by bootstrap over vehicles.
    """

    kind: str
    pairs: int
    forth: float
    back: float
    rank1: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.kind} ({self.pairs}): rank-1 {self.forth:.1f} / {self.back:.1f}, "
            f"mean {self.rank1:.1f} [{self.low:.1f}, {self.high:.1f}]"
        )


def score_pairs(describe: Describe, folder: Path, seed: int = 0) -> list[PairScores]:
    """Look for every vehicle of one camera among those of its type by the other camera, in both directions.

    Args:
        describe: An embedder, or :class:`HsvHistogram`.
        folder: Pictures named as above.
        seed: Of the bootstrap.

    Returns:
        The scores of each type, the most frequent first.

    Raises:
        FormatError: There are no such pictures, or a vehicle lacks one of its two.
    """
    types = read_pairs(folder)
    return [
        bootstrap_rank1(kind, *right_answers(describe, pairs), seed)
        for kind, pairs in sorted(types.items(), key=lambda item: -len(item[1]))
    ]


def right_answers(describe: Describe, pairs: Sequence[Pair]) -> tuple[Array, Array]:
    """Whether the nearest picture of the other camera is of the same vehicle: bool (V,), cameras 1 and 2 asking."""
    similarity = _similarities(describe, pairs)
    own = np.arange(len(pairs))
    return similarity.argmax(axis=1) == own, similarity.argmax(axis=0) == own


def real_similarities(describe: Describe, folder: Path) -> tuple[Array, Array]:
    """Cosines of all pairs of one type in different cameras: those of one vehicle (S,), and those of two (O,)."""
    same, other = [], []
    for pairs in read_pairs(folder).values():
        similarity = _similarities(describe, pairs)
        one = np.eye(len(pairs), dtype=bool)
        same.append(similarity[one])
        other.append(similarity[~one])
    return np.concatenate(same), np.concatenate(other)


def _similarities(describe: Describe, pairs: Sequence[Pair]) -> Array:
    """Cosines of the vehicles by camera 1 and the vehicles by camera 2: (V, V)."""
    sides = []
    for paths in zip(*pairs, strict=True):
        images = [read_image(path) for path in paths]
        sized = np.stack([resize(image, describe.size_hw, describe.interpolation) for image in images])
        rows = describe(sized).astype(np.float64)
        sides.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return np.asarray(sides[0] @ sides[1].T)


def bootstrap_rank1(kind: str, forth: Array, back: Array, seed: int = 0, draws: int = 2000) -> PairScores:
    """Scores from right and wrong answers, bool (V,) in each direction.

    The interval is that of the mean over vehicles drawn with replacement; both answers of a vehicle are drawn
    together, since they depend on the same two pictures.
    """
    share = (forth.astype(float) + back) / 2 * 100
    (low,), (high,) = identity_interval(share[:, None], np.arange(len(share)), draws=draws, seed=seed)
    return PairScores(
        kind,
        len(share),
        100 * float(forth.mean()),
        100 * float(back.mean()),
        float(share.mean()),
        float(low),
        float(high),
    )


def read_pairs(folder: Path) -> dict[str, list[Pair]]:
    """The pictures of each type's vehicles, by their numbers ascending.

    Raises:
        FormatError: There are no such pictures, or a vehicle lacks one of its two.
    """
    pictures: dict[tuple[str, int], dict[int, Path]] = {}
    for path in sorted(folder.glob("*.jpg")):
        named = _NAME.fullmatch(path.name)
        if named is not None:
            pictures.setdefault((named[1], int(named[2])), {})[int(named[3])] = path
    if not pictures:
        raise FormatError("expected pictures named like car_0003_cam1.jpg, found none", path=folder)
    types: dict[str, list[Pair]] = {}
    for (kind, vehicle), by_camera in sorted(pictures.items()):
        if sorted(by_camera) != [1, 2]:
            raise FormatError(
                f"expected {kind} {vehicle:04d} by cameras 1 and 2, got {sorted(by_camera)}", path=folder
            )
        types.setdefault(kind, []).append((by_camera[1], by_camera[2]))
    return types
