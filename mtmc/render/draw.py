"""Boxes, trails and readable text on RGB pictures. Everything scales with the picture and is drawn in place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from mtmc.render.style import RGB
from mtmc.types import Array

__all__ = [
    "INK",
    "PAPER",
    "banner",
    "banner_wh",
    "box",
    "centered",
    "letter_px",
    "line_px",
    "place_labels",
    "text",
    "text_width",
    "trail",
]

INK: RGB = (18, 22, 28)
PAPER: RGB = (244, 246, 248)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PIECE_PX = 6  # a trail changes its shade this often
_OVER = 4  # text is drawn this much larger and shrunk: smooth at any size


def letter_px(image: Array) -> int:
    """Height of a capital letter: readable on a small picture, modest on a large one."""
    return int(max(8, round(5 + min(image.shape[:2]) / 108)))


def line_px(image: Array) -> int:
    """Thickness of a line whose color counts: video keeps color at half the resolution."""
    return int(max(2, round(min(image.shape[:2]) / 320)))


def box(image: Array, xyxy: Array, rgb: RGB, thickness: int) -> None:
    """A rectangle just inside the box; one that is thick gets a dark edge where the picture is large enough."""
    x1, y1, x2, y2 = (int(v) for v in np.rint(xyxy))
    corners = (x1, y1), (x2 - 1, y2 - 1)
    if thickness > 1 and min(image.shape[:2]) >= 400:
        cv2.rectangle(image, *corners, INK, thickness + 2)
    cv2.rectangle(image, *corners, rgb, thickness)


def trail(image: Array, points: Array, rgb: RGB, thickness: int) -> None:
    """A line through float (K, 2) points that fades towards the first, into the picture below it."""
    step_px = np.diff(points, axis=0)
    step_length_px = np.hypot(step_px[:, 0], step_px[:, 1])
    length_px = np.concatenate([[0.0], step_length_px.cumsum()])
    if length_px[-1] < 1:
        return

    # Pieces of equal length make the fading even, however far apart the points are.
    pixels = _evenly_spaced(points, length_px)
    starts, ends = pixels[:-1], pixels[1:]

    # Each piece is mixed with the picture at its end, before any piece is drawn over it.
    height, width = image.shape[:2]
    x, y = ends.clip(0, [width - 1, height - 1]).T
    share = np.linspace(0.1, 0.9, len(x))[:, None]
    shades = share * np.array(rgb) + (1 - share) * image[y, x]
    for start, end, shade in zip(starts.tolist(), ends.tolist(), shades.tolist(), strict=True):
        cv2.line(image, start, end, shade, thickness)


def _evenly_spaced(points: Array, length_px: Array) -> Array:
    """Pixels at even distances along a line through points, the first and the last point among them: int (P, 2).

    Args:
        points: float (K, 2).
        length_px: float64 (K,), length of the line up to each point.
    """
    total_px = length_px[-1]
    count = 2 + int(total_px / _PIECE_PX)
    at_px = np.linspace(0, total_px, count)
    x = np.interp(at_px, length_px, points[:, 0])
    y = np.interp(at_px, length_px, points[:, 1])
    return np.rint(np.stack([x, y], axis=1)).astype(int)


def text(image: Array, words: str, left_baseline: tuple[int, int], height: int, rgb: RGB) -> None:
    """Words whose capitals are ``height`` pixels high; what lies outside the picture is left out."""
    mask, baseline = _mask(words, height)
    x, y = left_baseline[0], left_baseline[1] - baseline
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + mask.shape[1], image.shape[1]), min(y + mask.shape[0], image.shape[0])
    if x1 < x2 and y1 < y2:
        under = image[y1:y2, x1:x2]
        share = mask[y1 - y : y2 - y, x1 - x : x2 - x, None]
        under[:] = np.rint(under + (np.array(rgb, np.float32) - under) * share)


def text_width(words: str, height: int) -> int:
    """Pixels from the first letter to the end of the last."""
    return int(_mask(words, height)[0].shape[1])


@lru_cache(maxsize=1024)
def _mask(words: str, height: int) -> tuple[Array, int]:
    """How much ink each pixel gets, float32 (h, w) in [0, 1], and the row of the baseline."""
    # OpenCV's scale is relative to its own capitals, and the letters are drawn several times too large.
    (_, capital_px), _ = cv2.getTextSize("H", _FONT, 1.0, 1)
    scale = _OVER * height / capital_px
    thickness = max(1, round(_OVER * height / 7))  # strokes of a seventh of a capital's height
    width = cv2.getTextSize(words, _FONT, scale, thickness)[0][0] if words else 0

    # In parts of a capital's height: room for accents above the baseline and for descenders below it.
    above = round(1.4 * height)
    below = round(0.45 * height)
    rows = above + below
    columns = -(-width // _OVER) + 1  # rounded up, and one to spare

    # Shrinking by the mean of each area makes the edges smooth.
    large = np.zeros((_OVER * rows, _OVER * columns), np.uint8)
    cv2.putText(large, words, (0, _OVER * above), _FONT, scale, 255, thickness, cv2.LINE_AA)
    small = cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255, above


def banner(image: Array, title: str, note: str) -> None:
    """A dark tab in the upper left corner: a name, and something quieter beside it."""
    size = letter_px(image)
    width, height = banner_wh(image, title, note)
    x, baseline = size - 1, height - size + 1
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), INK, cv2.FILLED)
    text(image, title, (x, baseline), size, PAPER)
    text(image, note, (x + text_width(title, size) + size, baseline), size, (150, 200, 255))


def banner_wh(image: Array, title: str, note: str) -> tuple[int, int]:
    """Width and height of the tab that :func:`banner` draws, pixels."""
    size = letter_px(image)
    pad, gap = size - 1, size if note else 0
    return text_width(title, size) + gap + text_width(note, size) + 2 * pad, size + 2 * pad


def centered(image: Array, words: str) -> None:
    """One quiet line in the middle of an empty picture."""
    size = round(1.5 * letter_px(image))
    left = (image.shape[1] - text_width(words, size)) // 2
    text(image, words, (left, (image.shape[0] + size) // 2), size, (130, 138, 148))


def place_labels(
    image: Array, boxes: Array, labels: Sequence[tuple[str, RGB]], corner_wh: tuple[int, int] = (0, 0)
) -> None:
    """A filled label at each box, above it where there is room; later ones keep clear of earlier ones.

    Args:
        image: uint8 (H, W, 3).
        boxes: float (N, 4), pixels of that image, most important first.
        labels: Words and color for each box.
        corner_wh: What the upper left corner keeps for a banner; labels keep clear of it, too.
    """
    size = letter_px(image)
    pad = max(2, size // 3)
    taken = [(0, 0, *corner_wh)]
    for (x1, y1, _, y2), (words, rgb) in zip(np.rint(boxes).astype(int).tolist(), labels, strict=True):
        width, height = text_width(words, size) + 2 * pad, size + 2 * pad
        left = min(max(x1, 0), image.shape[1] - width)
        tops = [y1 - height, y2, y1, y1 - 2 * height]
        spots = [(left, t, left + width, t + height) for t in tops if 0 <= t <= image.shape[0] - height]
        if not spots:
            continue
        spot = next((s for s in spots if not any(_overlap(s, t) for t in taken)), spots[0])
        taken.append(spot)
        cv2.rectangle(image, spot[:2], (spot[2] - 1, spot[3] - 1), rgb, cv2.FILLED)
        text(image, words, (spot[0] + pad, spot[3] - pad), size, INK)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
