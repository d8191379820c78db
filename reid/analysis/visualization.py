"""Pictures that show what an embedder does: ranked lists, a map of the embedding, heat laid over a crop.

Everything is uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.records import JUNK, DatasetSplit
from reid.errors import ConfigError
from reid.evaluation.extract import read_crop
from reid.evaluation.protocols import PROTOCOLS
from reid.evaluation.ranks import unit
from reid.evaluation.retrieval import Embeddings

__all__ = [
    "embedding_plot",
    "overlay",
    "principal_plane",
    "ranked_list",
    "ranked_lists",
    "save_picture",
    "stack",
    "write_showcase",
]

Image = NDArray[Any]

_GRAY, _RIGHT, _WRONG = (128, 128, 128), (46, 160, 67), (207, 34, 46)
_BORDER_PX = 4
_CAPTION_PX = 18


def ranked_list(query: Image, answers: Sequence[Image], right: Sequence[bool], similarity: Sequence[float]) -> Image:
    """A query and its answers in order, right ones framed in green, wrong ones in red, similarities below.

    All crops must be of one size.
    """
    tiles = [_framed(query, _GRAY, "query")]
    for k, (answer, ok, value) in enumerate(zip(answers, right, similarity, strict=True), 1):
        tiles.append(_framed(answer, _RIGHT if ok else _WRONG, f"{k}: {value:.3f}"))
    return np.concatenate(tiles, axis=1)


def stack(rows: Sequence[Image]) -> Image:
    """Pictures below each other, the narrower ones filled up with white."""
    width = max(row.shape[1] for row in rows)
    pads = [np.full((row.shape[0], width - row.shape[1], 3), 255, np.uint8) for row in rows]
    return np.concatenate([np.concatenate([r, p], axis=1) for r, p in zip(rows, pads, strict=True)])


def embedding_plot(features: NDArray[Any], labels: NDArray[Any], *, side_px: int = 800) -> Image:
    """Every feature as a dot, colored by label, on the plane of largest variance.

    Args:
        features: float (N, D), at least two.
        labels: int (N,); labels of one color are one identity, colors repeat after many.
        side_px: Side of the square picture.
    """
    place = principal_plane(features)
    low, high = place.min(axis=0), place.max(axis=0)
    margin = 20
    spot = margin + (place - low) / np.maximum(high - low, 1e-12) * (side_px - 2 * margin)
    picture = np.full((side_px, side_px, 3), 255, np.uint8)
    colors = _colors(labels)
    for (x, y), color in zip(spot, colors, strict=True):
        cv2.circle(picture, (round(x), round(side_px - y)), 4, color, cv2.FILLED, cv2.LINE_AA)
    return picture


def principal_plane(features: NDArray[Any]) -> NDArray[Any]:
    """Coordinates (N, 2) on the two axes of largest variance; signs are fixed, so the picture is reproducible."""
    centered = np.asarray(features, np.float64) - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    axes = np.pad(axes[:2], ((0, max(0, 2 - len(axes))), (0, 0)))  # a single feature has one axis
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(centered @ axes.T)


def overlay(image: Image, heat: NDArray[Any], *, strength: float = 0.6) -> Image:
    """Lay a map over a crop, from blue (none) over green to red (most).

    Args:
        image: uint8 (H, W, 3) RGB.
        heat: float (h, w), not negative; scaled so that its 99th percentile is full red, and resized to the image.
        strength: Share of the colors in the result, 0…1.
    """
    heat = np.clip(heat / max(float(np.percentile(heat, 99)), 1e-12), 0, 1).astype(np.float32)
    heat = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    color = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    mixed: Image = cv2.addWeighted(image, 1 - strength, np.ascontiguousarray(color), strength, 0)
    return mixed


def save_picture(path: Path, picture: Image) -> None:
    """Write a picture; the suffix says how.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))
    except (OSError, cv2.error):
        written = False
    if not written:
        raise ConfigError(
            "cannot write a picture here",
            path=path,
            remedy="give a name that ends in .png or .jpg, in a folder that can be written to",
        )


def _framed(image: Image, color: tuple[int, int, int], caption: str) -> Image:
    framed = cv2.copyMakeBorder(
        np.ascontiguousarray(image), *(_BORDER_PX,) * 4, borderType=cv2.BORDER_CONSTANT, value=color
    )
    tile = np.full((framed.shape[0] + _CAPTION_PX, framed.shape[1], 3), 255, np.uint8)
    tile[: framed.shape[0]] = framed
    place = (_BORDER_PX, framed.shape[0] + _CAPTION_PX - 5)
    cv2.putText(tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _colors(labels: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Well separated hues in the order of the labels."""
    rank = np.unique(labels, return_inverse=True)[1].reshape(-1)
    hsv = np.full((1, len(rank), 3), 200, np.uint8)
    hsv[0, :, 0] = (rank * 0.618033988749895 % 1 * 180).astype(np.uint8)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def write_showcase(folder: Path, split: DatasetSplit, query: Embeddings | None, gallery: Embeddings) -> None:
    """Write ``ranked_lists.png``, of up to ten queries, and ``embedding.png``, of up to 30 identities.

    Without queries, where the protocol draws them, there are no ranked lists.

    Raises:
        ConfigError: The files cannot be written.
        DataError: A crop cannot be read.
    """
    if query is not None:
        save_picture(folder / "ranked_lists.png", ranked_lists(split, query, gallery))
    shown = np.unique(gallery.vehicle_id[gallery.vehicle_id != JUNK])[:30]
    some = np.isin(gallery.vehicle_id, shown)
    if some.any():
        save_picture(folder / "embedding.png", embedding_plot(unit(gallery.features[some]), gallery.vehicle_id[some]))


def ranked_lists(
    split: DatasetSplit,
    query: Embeddings,
    gallery: Embeddings,
    *,
    count: int = 10,
    depth: int = 10,
    size_hw: tuple[int, int] = (96, 96),
) -> NDArray[Any]:
    """One row per query with its first answers; queries are taken at equal distances from the whole list."""
    rows = []
    asked, offered = unit(query.features), unit(gallery.features)
    for i in np.unique(np.linspace(0, len(query) - 1, min(count, len(query))).round().astype(int)):
        similarity = offered @ asked[i]
        right = gallery.vehicle_id == query.vehicle_id[i]
        left_out = gallery.vehicle_id == JUNK
        if PROTOCOLS[split.protocol].camera_rule:
            left_out |= right & (gallery.camera_id == query.camera_id[i])
        similarity[left_out] = -np.inf
        first = np.argsort(-similarity, kind="stable")[: min(depth, int((~left_out).sum()))]
        crops = [read_crop(split.gallery[k], size_hw) for k in first]
        rows.append(
            ranked_list(read_crop(split.query[i], size_hw), crops, right[first].tolist(), similarity[first].tolist())
        )
    return stack(rows)
