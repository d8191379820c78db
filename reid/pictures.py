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

from reid.errors import ConfigError

__all__ = ["embedding_plot", "overlay", "principal_plane", "ranked_list", "save_picture", "stack"]

Image = NDArray[Any]

_GREY, _RIGHT, _WRONG = (128, 128, 128), (46, 160, 67), (207, 34, 46)
_BORDER_PX = 4
_CAPTION_PX = 18


def ranked_list(query: Image, answers: Sequence[Image], right: Sequence[bool], similarity: Sequence[float]) -> Image:
    """A query and its answers in order, right ones framed in green, wrong ones in red, similarities below.

    All crops must be of one size.
    """
    tiles = [_framed(query, _GREY, "query")]
    for k, (answer, ok, value) in enumerate(zip(answers, right, similarity, strict=True), 1):
        tiles.append(_framed(answer, _RIGHT if ok else _WRONG, f"{k}: {value:.3f}"))
    return np.concatenate(tiles, axis=1)


def stack(rows: Sequence[Image]) -> Image:
    """Pictures below each other, the narrower ones filled up with white."""
    width = max(row.shape[1] for row in rows)
    pads = [np.full((row.shape[0], width - row.shape[1], 3), 255, np.uint8) for row in rows]
    return np.concatenate([np.concatenate([r, p], axis=1) for r, p in zip(rows, pads, strict=True)])


def embedding_plot(features: NDArray[Any], labels: NDArray[Any], *, side_px: int = 800) -> Image:
    """Every feature as a dot, coloured by label, on the plane of largest variance.

    Args:
        features: float (N, D), at least two.
        labels: int (N,); labels of one colour are one identity, colours repeat after many.
        side_px: Side of the square picture.
    """
    place = principal_plane(features)
    low, high = place.min(axis=0), place.max(axis=0)
    margin = 20
    spot = margin + (place - low) / np.maximum(high - low, 1e-12) * (side_px - 2 * margin)
    picture = np.full((side_px, side_px, 3), 255, np.uint8)
    colours = _colours(labels)
    for (x, y), colour in zip(spot, colours, strict=True):
        cv2.circle(picture, (round(x), round(side_px - y)), 4, colour, cv2.FILLED, cv2.LINE_AA)
    return picture


def principal_plane(features: NDArray[Any]) -> NDArray[Any]:
    """Coordinates (N, 2) on the two axes of largest variance; signs are fixed, so the picture is reproducible."""
    centred = np.asarray(features, np.float64) - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(centred @ axes.T)


def overlay(image: Image, heat: NDArray[Any], *, strength: float = 0.6) -> Image:
    """Lay a map over a crop, from blue (none) over green to red (most).

    Args:
        image: uint8 (H, W, 3) RGB.
        heat: float (h, w), not negative; scaled so that its 99th percentile is full red, and resized to the image.
        strength: Share of the colours in the result, 0…1.
    """
    heat = np.clip(heat / max(float(np.percentile(heat, 99)), 1e-12), 0, 1).astype(np.float32)
    heat = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colour = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    mixed: Image = cv2.addWeighted(image, 1 - strength, np.ascontiguousarray(colour), strength, 0)
    return mixed


def save_picture(path: Path, picture: Image) -> None:
    """Write a picture; the suffix says how.

    Raises:
        ConfigError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))
    except cv2.error:
        written = False
    if not written:
        raise ConfigError("cannot write a picture here", path=path, remedy="give a name that ends in .png or .jpg")


def _framed(image: Image, colour: tuple[int, int, int], caption: str) -> Image:
    framed = cv2.copyMakeBorder(
        np.ascontiguousarray(image), *(_BORDER_PX,) * 4, borderType=cv2.BORDER_CONSTANT, value=colour
    )
    tile = np.full((framed.shape[0] + _CAPTION_PX, framed.shape[1], 3), 255, np.uint8)
    tile[: framed.shape[0]] = framed
    place = (_BORDER_PX, framed.shape[0] + _CAPTION_PX - 5)
    cv2.putText(tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _colours(labels: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Well separated hues in the order of the labels."""
    rank = np.unique(labels, return_inverse=True)[1].reshape(-1)
    hsv = np.full((1, len(rank), 3), 200, np.uint8)
    hsv[0, :, 0] = (rank * 0.618033988749895 % 1 * 180).astype(np.uint8)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]
