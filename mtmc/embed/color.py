"""An embedder without weights: a color histogram of three bands.

A crop is cut into three horizontal bands (roof and windows, body, wheels and road). Each gives a histogram over
lightness and the two color axes of CIE Lab; pixels near the middle count more, because the vehicle is there.
The square root of a histogram makes the cosine of two of them their Bhattacharyya coefficient.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np

from mtmc.types import Array

__all__ = ["ColorHistogramEmbedder"]

_BANDS = 3
_BINS = (8, 7, 7)  # lightness, green–red, blue–yellow
_SIZE_HW = (64, 64)
_CENTER_SIGMA = 0.6  # of half the picture's width and height
_CHROMA_LIMIT = 64.0  # Lab units; paint and lamps rarely exceed it
_CODES = 32  # steps per RGB channel in the lookup table


class ColorHistogramEmbedder:
    """Color histograms: uint8 (N, 64, 64, 3) RGB → float32 (N, 1176), unit length."""

    name = "color_histogram"
    size_hw = _SIZE_HW
    interpolation = "linear"
    dim = _BANDS * int(np.prod(_BINS))
    chroma_limit = _CHROMA_LIMIT
    match_similarity: float | None = 0.85
    spread: float | None = 0.1

    def __call__(self, images: Array) -> Array:
        """Embed pictures.

        Raises:
            ValueError: They have another shape or type.
        """
        if images.dtype != np.uint8 or images.shape[1:] != (*_SIZE_HW, 3):
            raise ValueError(f"expected uint8 (N, 64, 64, 3), got {images.dtype} {images.shape}")
        out = np.empty((len(images), self.dim), np.float32)
        for row, image in zip(out, images, strict=True):
            row[:] = self._histogram(image)
        return out

    def layout(self) -> tuple[tuple[int, ...], list[tuple[int, int]], Array]:
        """For the same histogram by other code: bins per axis, pixels of each band, weights of pixels (H·W,)."""
        edges = np.searchsorted(self._band, np.arange(_BANDS + 1) * int(np.prod(_BINS))).tolist()
        return _BINS, list(pairwise(edges)), self._center

    def _histogram(self, image: Array) -> Array:
        bins, shares = self._colors
        code = np.ravel_multi_index(tuple(np.moveaxis(image >> 3, -1, 0).astype(np.intp)), (_CODES,) * 3).ravel()
        # Each pixel is shared among the eight bins around its color, so that a slight change of light moves little.
        where = bins[code] + self._band[:, None]
        share = shares[code] * self._center[:, None]
        histogram = np.bincount(where.ravel(), share.ravel(), minlength=self.dim).reshape(_BANDS, -1)
        root = np.sqrt(histogram / histogram.sum(axis=1, keepdims=True)).ravel()
        return np.asarray(root / np.linalg.norm(root), np.float32)

    @cached_property
    def _band(self) -> Array:
        """First bin of each pixel's band: int (H·W,)."""
        rows = np.arange(_SIZE_HW[0]) * _BANDS // _SIZE_HW[0]
        return np.repeat(rows * int(np.prod(_BINS)), _SIZE_HW[1])

    @cached_property
    def _center(self) -> Array:
        """Weight of each pixel: float (H·W,)."""
        y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in _SIZE_HW)
        return np.asarray(np.exp(-(y[:, None] ** 2 + x**2) / (2 * _CENTER_SIGMA**2)).ravel())

    @cached_property
    def _colors(self) -> tuple[Array, Array]:
        """For each color code the bins around it and its share in each: int (32³, 8), float (32³, 8)."""
        # A code stands for the color in the middle of its cell.
        steps = (np.arange(_CODES) + 0.5) / _CODES
        red_green_blue = np.meshgrid(steps, steps, steps, indexing="ij")
        rgb = np.stack(red_green_blue, axis=-1).reshape(-1, 3)
        position = _histogram_position(_lab(rgb))

        # The lower of the two bins beside a color on each axis; the uppermost bin has none above it.
        last_low = np.array(_BINS) - 2
        low = np.clip(np.floor(position), 0, last_low).astype(np.intp)

        # Trilinear interpolation: the share of a bin is the product of its shares on the three axes.
        corner = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, 8).T
        upper_share = (position - low)[:, None, :]
        shares = np.where(corner == 1, upper_share, 1 - upper_share).prod(axis=-1)

        bins_by_axis = np.moveaxis(low[:, None, :] + corner, -1, 0)
        bins = np.ravel_multi_index(tuple(bins_by_axis), _BINS)
        return bins, shares


def _histogram_position(lab: Array) -> Array:
    """Where CIE Lab colors lie on the axes of the histogram, in bins: float (K, 3) → float (K, 3)."""
    position = np.empty_like(lab)
    position[:, 0] = lab[:, 0] / 100  # lightness is 0 to 100

    # The root makes the bins finer near gray, where most paints are.
    chroma = np.clip(np.abs(lab[:, 1:]) / _CHROMA_LIMIT, 0, 1)
    position[:, 1:] = 0.5 + 0.5 * np.sign(lab[:, 1:]) * np.sqrt(chroma)
    position *= np.array(_BINS) - 1
    return position


def _lab(rgb: Array) -> Array:
    """SRGB in [0, 1] → CIE Lab under D65 (IEC 61966-2-1, CIE 15): (…, 3) → (…, 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    relative = linear @ to_xyz.T / to_xyz.sum(axis=1)
    delta = 6 / 29
    f = np.where(relative > delta**3, np.cbrt(relative), relative / (3 * delta**2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
