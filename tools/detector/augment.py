"""Training tiles, cut from pictures on the way: other scales, mirrored, composed, other light, a worse camera.

A tile shows a picture as a run would at some width, so that a vehicle is met in all sizes; what a camera and its
encoder do to a picture (noise, blur, few pixels, JPEG blocks, little light) is done to it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mtmc.types import Array
from tools.detector.dataset import IGNORED, Labels

__all__ = ["GRAY", "TileRule", "burn_in", "clip_labels", "compose", "cut_tile", "degrade"]

#: What surrounds a picture, in 0…255, as in a run.
GRAY = 114
#: Of a vehicle so much must lie within a tile to be learned from it; what shows less is ambiguous.
_LEAST_SHARE = 0.35
#: Sides of a box below which it is ambiguous, and below which nothing of it is seen, pixels.
_LEAST_SIDE_PX, _NO_SIDE_PX = 5.0, 1.0
#: Mean gray level below which a picture is dark already.
_DARK = 80.0


@dataclass(frozen=True, slots=True)
class TileRule:
    """How tiles are cut.

    Attributes:
        size: Side of a tile, pixels.
        widths: Smallest and largest width that a whole picture is scaled to, pixels.
        stretch: Largest relative change of the ratio of width to height.
        on_vehicle: Share of the tiles that are laid over a vehicle.
    """

    size: int = 320
    widths: tuple[float, float] = (360.0, 1000.0)
    stretch: float = 0.1
    on_vehicle: float = 0.8


def cut_tile(image: Array, labels: Labels, rule: TileRule, rng: np.random.Generator) -> tuple[Array, Labels]:
    """A tile of a picture at a random scale: uint8 (size, size, 3) and its labels."""
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(rule.widths)))) / width
    scales = scale * np.exp(rng.uniform(-rule.stretch, rule.stretch, 2))
    size_wh = np.array([width, height]) * scales
    start = _place(size_wh, labels.xyxy * np.tile(scales, 2), rule, rng)

    if scale < 0.6:  # a warp alone would skip pixels
        image = cv2.resize(image, np.ceil(size_wh).astype(int).tolist(), interpolation=cv2.INTER_AREA)
        scales_left = size_wh / [image.shape[1], image.shape[0]]
    else:
        scales_left = scales
    xyxy = labels.xyxy * np.tile(scales, 2) - np.tile(start, 2)
    matrix = np.array([[scales_left[0], 0, -start[0]], [0, scales_left[1], -start[1]]])
    if rng.random() < 0.5:
        matrix[0] = [-scales_left[0], 0, rule.size - 1 + start[0]]
        xyxy = np.stack([rule.size - xyxy[:, 2], xyxy[:, 1], rule.size - xyxy[:, 0], xyxy[:, 3]], axis=1)
    border = (GRAY, GRAY, GRAY)
    tile = cv2.warpAffine(image, matrix, (rule.size, rule.size), flags=cv2.INTER_LINEAR, borderValue=border)
    return tile, clip_labels(Labels(xyxy, labels.class_id), rule.size)


def clip_labels(labels: Labels, size: float) -> Labels:
    """Boxes clipped to a tile; what shows little of a vehicle becomes ambiguous, what shows nothing is dropped.

    >>> boxes = np.array([[-9.0, 0, 11, 20], [-19, 0, 1, 20], [-30, 0, -10, 20]])
    >>> kept = clip_labels(Labels(boxes, np.ones(3, int)), 32)
    >>> kept.xyxy.tolist(), kept.class_id.tolist()
    ([[0.0, 0.0, 11.0, 20.0], [0.0, 0.0, 1.0, 20.0]], [1, -1])
    """
    clipped = labels.xyxy.clip(0, size)
    sides, whole = clipped[:, 2:] - clipped[:, :2], labels.xyxy[:, 2:] - labels.xyxy[:, :2]
    seen = sides.min(axis=1, initial=np.inf) >= _NO_SIDE_PX
    clear = (sides.prod(axis=1) >= _LEAST_SHARE * whole.prod(axis=1)) & (
        sides.min(axis=1, initial=np.inf) >= _LEAST_SIDE_PX
    )
    return Labels(clipped[seen], np.where(clear, labels.class_id, IGNORED)[seen])


def compose(tiles: list[tuple[Array, Labels]], size: int) -> tuple[Array, Labels]:
    """Four tiles of half the side as one."""
    half = size // 2
    image = np.empty((size, size, 3), np.uint8)
    boxes, kinds = [], []
    for number, (tile, labels) in enumerate(tiles):
        x, y = half * (number % 2), half * (number // 2)
        image[y : y + half, x : x + half] = tile
        boxes.append(labels.xyxy + np.array([x, y, x, y]))
        kinds.append(labels.class_id)
    return image, Labels(np.concatenate(boxes), np.concatenate(kinds))


def burn_in(image: Array, labels: Labels, rng: np.random.Generator) -> Array:
    """Texts and signs as cameras write them over their pictures, beside the vehicles: uint8 (H, W, 3)."""
    image = image.copy()
    for _ in range(int(rng.integers(1, 4))):
        patch = _draw_text(rng) if rng.random() < 0.7 else _draw_sign(rng)
        high, wide = np.minimum(patch.shape[:2], image.shape[:2])
        x, y = (int(rng.integers(0, room + 1)) for room in (image.shape[1] - wide, image.shape[0] - high))
        covers = (labels.xyxy[:, :2] < [x + wide, y + high]) & (labels.xyxy[:, 2:] > [x, y])
        if covers.all(axis=1).any():
            continue
        place = image[y : y + high, x : x + wide]
        opacity = rng.uniform(0.6, 1.0)
        place[:] = cv2.addWeighted(patch[:high, :wide], opacity, place, 1 - opacity, 0)
    return image


def degrade(image: Array, rng: np.random.Generator) -> Array:
    """The same scene in other light and by a worse camera: uint8 (H, W, 3)."""
    if rng.random() < 0.8:
        image = _relight(image, rng)
    if rng.random() < 0.12:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.15 and image.mean() > _DARK:
        image = _at_night(image, rng)
    if rng.random() < 0.3:
        image = _blur(image, rng)
    if rng.random() < 0.35:
        image = _fewer_pixels(image, rng)
    if rng.random() < 0.35:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(20, 90))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return image


def _place(size_wh: Array, boxes: Array, rule: TileRule, rng: np.random.Generator) -> Array:
    """Top left corner of a tile on a scaled picture: over some vehicle, or anywhere on it."""
    if len(boxes) and rng.random() < rule.on_vehicle:
        box = boxes[rng.integers(len(boxes))]
        middle = rng.uniform(box[:2], np.maximum(box[2:], box[:2] + 1))
        start = middle - rng.uniform(0.1, 0.9, 2) * rule.size
    else:
        start = rng.uniform(-0.1, 1.0, 2) * np.maximum(size_wh - rule.size, 0)
    # A tile lies within the picture where the picture is large enough, else the picture in the tile.
    room = size_wh - rule.size
    return np.clip(start, np.minimum(room, 0), np.maximum(room, 0))


def _draw_text(rng: np.random.Generator) -> Array:
    """A line of letters and digits on a bar."""
    letters = "ABCDEFGHIKLMNOPRSTUVWY abcdefghiklmnoprstuvwy 0123456789 :/-."
    text = "".join(letters[k] for k in rng.integers(0, len(letters), int(rng.integers(2, 22))))
    font, thickness = int(rng.integers(0, 8)), int(rng.integers(1, 3))
    scale = float(rng.uniform(0.3, 1.0))
    (wide, high), below = cv2.getTextSize(text, font, scale, thickness)
    bar, ink = np.array([[20] * 3, [235] * 3])[:: rng.choice([-1, 1])]
    if rng.random() < 0.3:
        bar, ink = rng.integers(0, 256, (2, 3))
    patch = np.full((high + below + 4, wide + 4, 3), bar, np.uint8)
    cv2.putText(patch, text, (2, high + 2), font, scale, ink.tolist(), thickness, cv2.LINE_AA)
    return patch


def _draw_sign(rng: np.random.Generator) -> Array:
    """A few flat shapes on a plain ground."""
    wide, high = (int(v) for v in rng.integers(16, 70, 2))
    patch = np.full((high, wide, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        color = rng.integers(0, 256, 3).tolist()
        x, y, side = int(rng.integers(wide)), int(rng.integers(high)), int(rng.integers(4, 24))
        if rng.random() < 0.5:
            cv2.circle(patch, (x, y), side // 2, color, int(rng.choice([-1, 2, 4])), cv2.LINE_AA)
        else:
            cv2.rectangle(patch, (x, y), (x + side, y + side // 2), color, -1)
    return patch


def _relight(image: Array, rng: np.random.Generator) -> Array:
    """Another hue, saturation, contrast, brightness and gamma."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-6, 6)) % 180
    hsv[..., 1] = (hsv[..., 1] * rng.uniform(0.4, 1.5)).clip(0, 255)
    value = hsv[..., 2] / 255
    contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-0.15, 0.15)
    value = ((value - 0.5) * contrast + 0.5 + brightness).clip(0, 1)
    hsv[..., 2] = value ** np.exp(rng.uniform(-0.4, 0.4)) * 255
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def _at_night(image: Array, rng: np.random.Generator) -> Array:
    """Little light of a lamp's color, with glare around what is bright."""
    value = image.astype(np.float32) / 255
    tint = np.array([rng.uniform(0.4, 1.0), rng.uniform(0.7, 1.0), 1.0], np.float32)
    dark = value ** rng.uniform(1.3, 2.2) * rng.uniform(0.35, 0.8) * tint
    bright = np.where(value.max(axis=2, keepdims=True) > 0.85, value, 0)
    glare = cv2.GaussianBlur(bright, (0, 0), rng.uniform(3, 10)) * rng.uniform(0.3, 1.2)
    return ((dark + glare).clip(0, 1) * 255).astype(np.uint8)


def _blur(image: Array, rng: np.random.Generator) -> Array:
    """Out of focus, or moved along a line."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    length = int(rng.integers(2, 7))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1)
    turned = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, turned / max(float(turned.sum()), 1e-6))


def _fewer_pixels(image: Array, rng: np.random.Generator) -> Array:
    """Scaled down and up again, as a small picture is when a run enlarges it."""
    height, width = image.shape[:2]
    scale = rng.uniform(0.35, 0.9)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    way = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=way)
