"""Steps of augmentation: functions from picture to picture, every random choice from the generator passed in.

Pictures are uint8 (H, W, 3) RGB until :func:`normalize`, float32 (3, h, w) after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "INTERPOLATIONS",
    "blur",
    "color_cast",
    "color_jitter",
    "compress",
    "cut_off",
    "erase",
    "expose",
    "normalize",
    "pad_crop",
    "resize",
    "resized_crop",
    "rotate",
    "shrink",
]

Image = NDArray[Any]
Rng = np.random.Generator

INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}


def resize(image: Image, size_hw: tuple[int, int], interpolation: str = "linear") -> Image:
    """Resize to ``size_hw``, aspect ignored. Without anti-aliasing except for ``area``."""
    if image.shape[:2] == tuple(size_hw):
        return image
    resized: Image = cv2.resize(image, (size_hw[1], size_hw[0]), interpolation=INTERPOLATIONS[interpolation])
    return resized


def pad_crop(image: Image, size_hw: tuple[int, int], pad_px: int, rng: Rng) -> Image:
    """Pad by ``pad_px`` of black on every side and cut out ``size_hw`` at a random place."""
    padded = np.pad(image, ((pad_px, pad_px), (pad_px, pad_px), (0, 0))) if pad_px else image
    top = int(rng.integers(0, padded.shape[0] - size_hw[0] + 1))
    left = int(rng.integers(0, padded.shape[1] - size_hw[1] + 1))
    return padded[top : top + size_hw[0], left : left + size_hw[1]]


def resized_crop(
    image: Image,
    size_hw: tuple[int, int],
    scale: tuple[float, float],
    aspect: tuple[float, float],
    rng: Rng,
    interpolation: str = "linear",
) -> Image:
    """Cut out a random rectangle and resize it.

    Its area is uniform in ``scale`` of the picture's, its width/height log-uniform in ``aspect`` times the picture's
    own. A rectangle that does not fit is cut off at the border of the picture.
    """
    height, width = image.shape[:2]
    area = rng.uniform(*scale)
    ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
    h = min(height, max(1, round(height * math.sqrt(area / ratio))))
    w = min(width, max(1, round(width * math.sqrt(area * ratio))))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return resize(image[top : top + h, left : left + w], size_hw, interpolation)


def rotate(image: Image, angle_deg: float) -> Image:
    """Turn counter-clockwise about the center; uncovered corners are black."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    turned: Image = cv2.warpAffine(np.ascontiguousarray(image), turn, (width, height), flags=cv2.INTER_LINEAR)
    return turned


def shrink(image: Image, longest_px: tuple[int, int], rng: Rng) -> Image:
    """Reduce a picture until its longer side has a length drawn from ``longest_px``, small ones as likely as large.

    The logarithm of the length is uniform. A picture that is smaller already stays as it is.
    """
    low, high = longest_px
    share = math.exp(rng.uniform(math.log(low), math.log(high))) / max(image.shape[:2])
    if share >= 1:
        return image
    height, width = (max(1, round(n * share)) for n in image.shape[:2])
    return resize(image, (height, width), "area")


def cut_off(image: Image, largest: float, rng: Rng) -> Image:
    """Lose a share of up to ``largest`` at one side, as a vehicle does at the picture's border or behind another."""
    height, width = image.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    share = rng.uniform(0, largest)
    side = int(rng.integers(4))
    if side == 0:
        left = int(share * width)
    elif side == 1:
        top = int(share * height)
    elif side == 2:
        right = width - int(share * width)
    else:
        bottom = height - int(share * height)
    return image[top:bottom, left:right]


def blur(image: Image, sigma: tuple[float, float], rng: Rng) -> Image:
    """Blur by a Gaussian whose standard deviation is uniform in ``sigma``, in percent of the longer side."""
    deviation = rng.uniform(*sigma) / 100 * max(image.shape[:2])
    blurred: Image = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), max(deviation, 1e-3))
    return blurred


def expose(image: Image, stops: float, gamma: float, rng: Rng) -> Image:
    """Another exposure and tone curve: ``255 · (2^s · (x / 255)^g)``, clipped.

    Args:
        image: uint8 (H, W, 3).
        stops: Largest ``|s|``; s is uniform.
        gamma: Largest factor of g to either side of 1; its logarithm is uniform.
        rng: Source of randomness.
    """
    gain = 2 ** rng.uniform(-stops, stops)
    power = math.exp(rng.uniform(-math.log(gamma), math.log(gamma)))
    curve = np.clip(255 * gain * (np.arange(256) / 255) ** power, 0, 255).astype(np.uint8)
    return curve[image]


def color_cast(image: Image, amount: float, rng: Rng) -> Image:
    """Another white balance: each channel times a factor uniform in 1 ± ``amount``."""
    factors = rng.uniform(1 - amount, 1 + amount, 3)
    return np.clip(image * factors, 0, 255).astype(np.uint8)


def compress(image: Image, quality: int) -> Image:
    """A picture after lossy compression (JPEG) of a quality of 1…100."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    back: Image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(back[..., ::-1])


def color_jitter(image: Image, amounts: tuple[float, float, float, float], rng: Rng) -> Image:
    """Change the colors at random, in random order. uint8 in and out.

    Args:
        image: uint8 (H, W, 3) RGB.
        amounts: Largest relative change of brightness, contrast and saturation, and largest turn of the hue as a
            share of the color circle.
        rng: Source of randomness.
    """
    steps: list[Callable[[Image], Image]] = []
    for amount, step in zip(amounts[:3], (_brighten, _contrast, _saturate), strict=True):
        if amount:
            steps.append(partial(step, factor=rng.uniform(max(0.0, 1 - amount), 1 + amount)))
    if amounts[3]:
        steps.append(partial(_turn_hue, turns=rng.uniform(-amounts[3], amounts[3])))
    image = np.ascontiguousarray(image)
    for i in rng.permutation(len(steps)):
        image = steps[i](image)
    return image


def erase(
    view: NDArray[Any],
    rng: Rng,
    area: tuple[float, float],
    aspect: tuple[float, float],
    value: Sequence[float],
    attempts: int = 100,
) -> None:
    """Fill one random rectangle of a float (3, h, w) view in place; nothing when none fits in ``attempts`` draws."""
    _, height, width = view.shape
    for _ in range(attempts):
        share = rng.uniform(*area) * height * width
        ratio = rng.uniform(*aspect)
        h, w = round(math.sqrt(share * ratio)), round(math.sqrt(share / ratio))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            view[:, top : top + h, left : left + w] = np.asarray(value, view.dtype)[:, None, None]
            return


def normalize(image: Image, mean: Sequence[float], std: Sequence[float]) -> NDArray[Any]:
    """uint8 (H, W, 3) in 0…255 to contiguous float32 (3, H, W), ``(x / 255 − mean) / std`` per channel."""
    scale = 1 / (255 * np.asarray(std, np.float32))
    offset = np.asarray(mean, np.float32) / np.asarray(std, np.float32)
    out = np.empty((3, *image.shape[:2]), np.float32)
    np.multiply(image.transpose(2, 0, 1), scale[:, None, None], out=out)
    out -= offset[:, None, None]
    return out


_GRAY = np.array([0.299, 0.587, 0.114])


def _brighten(image: Image, factor: float) -> Image:
    return _affine(image, factor, 0.0)


def _contrast(image: Image, factor: float) -> Image:
    return _affine(image, factor, (1 - factor) * float(np.array(cv2.mean(image)[:3]) @ _GRAY))


def _saturate(image: Image, factor: float) -> Image:
    mix = factor * np.eye(3) + (1 - factor) * np.tile(_GRAY, (3, 1))
    mixed: Image = cv2.transform(image, mix)
    return mixed


def _affine(image: Image, gain: float, offset: float) -> Image:
    table = np.clip(np.arange(256) * gain + offset + 0.5, 0, 255).astype(np.uint8)
    changed: Image = cv2.LUT(image, table)
    return changed


def _turn_hue(image: Image, turns: float) -> Image:
    hsv: Image = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(turns * 256) % 256)
    rgb: Image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return rgb
