"""Vehicles as that which differs from the empty street: for static cameras, without any model.

A background image (a median over time) is subtracted; what differs is a vehicle, or the shadow that goes with it. A
shadow dims the street by one factor without changing its color and adds no structure of its own, so that a pixel
that could be shadow counts only where the image has edges that the background lacks, away from the shadow's outline.

Limits: vehicles that stand longer than they are absent are background, and those that touch are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.detect.config import DetectConfig
from mtmc.types import Array, Detections, Frame

__all__ = ["MotionDetector", "evidence", "median_background"]

#: Longer side of the images compared, pixels; ``image_size`` overrides it. All lengths below are in its pixels.
SIDE = 480
#: Gray levels by which a pixel differs from the background, and by which some of every vehicle's do.
DIFFERENCE, CLEAR_DIFFERENCE = 18, 30
#: A shadow keeps this share of the light, and changes the color by at most so many gray levels.
SHADOW_LIGHT, SHADOW_TINT = (0.3, 0.95), 14.0
#: Gray levels by which an edge must be stronger than the background's.
EDGE = 8
#: A vehicle's box is at least so large (pixels) and filled to such a share.
MIN_BOX_AREA, MIN_FILL = 50, 0.35
#: The background follows slow changes of light by one gray level in this time; where vehicles are, ten times slower.
LEARN_S = 0.5
#: Without preparation the background is learnt from scratch, at full speed, for so long.
YOUNG_S = 10.0
#: How many images a median is taken of, at least and at most.
SAMPLES = (32, 64)


class MotionDetector:
    """Background subtraction, one background per camera. Class "vehicle"; the score grows with the filled share.

    Args:
        config: ``image_size`` and ``filter.min_confidence`` are used.
    """

    stateful = True

    def __init__(self, config: DetectConfig) -> None:
        self._side = config.image_size or SIDE
        self._min_score = config.min_score
        self._backgrounds: dict[str, _Background] = {}

    def fit_background(self, camera_id: str, frames: Iterable[Frame]) -> None:
        """Fit a camera's background before its first frame comes; a few dozen frames over some minutes do.

        Of more frames a few dozen at equal distances are looked at. Without any the detector learns on the way, and
        is of little use in the first seconds.
        """
        samples: list[Array] = []
        stride, born_s = 1, 0.0
        for number, frame in enumerate(frames):
            if number == 0:
                born_s = frame.time_s
            if number % stride == 0:
                samples.append(_shrink(frame.image, self._side))
                if len(samples) == SAMPLES[1]:
                    samples, stride = samples[::2], stride * 2
        if samples:
            self._backgrounds[camera_id] = _Background(median_background(samples), born_s - YOUNG_S, born_s)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections of each frame; those of one camera must come in order of time."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Detections:
        image = _shrink(frame.image, self._side)
        background = self._backgrounds.get(frame.camera_id)
        if background is None or background.image.shape != image.shape:
            background = _Background(image, frame.time_s, frame.time_s)
            self._backgrounds[frame.camera_id] = background
        mask, difference = evidence(image, background.image)
        background.learn(image, difference, frame.time_s)
        xyxy, fill = _boxes(mask, difference)
        scale = np.array(frame.image.shape[1::-1]) / np.array(image.shape[1::-1])
        score = 0.5 + 0.5 * fill
        keep = score >= self._min_score
        return Detections.of((xyxy * np.tile(scale, 2))[keep], score[keep])


@dataclass(slots=True)
class _Background:
    """The empty street of one camera: uint8 (h, w, 3), and the times it was born and last changed."""

    image: Array
    born_s: float
    learnt_s: float
    rounds: int = 0

    def learn(self, image: Array, difference: Array, time_s: float) -> None:
        """Step towards the image, as a running median does; vehicles hold still what they hide."""
        young = time_s - self.born_s < YOUNG_S
        if not young and time_s - self.learnt_s < LEARN_S:
            return
        step = 3 if young else 1
        self.rounds += 1
        change = np.clip(image.astype(np.int16) - self.image, -step, step)
        if not young and self.rounds % 10:
            change[difference > DIFFERENCE] = 0
        self.image = (self.image + change).astype(np.uint8)
        self.learnt_s = time_s


def median_background(images: Sequence[Array]) -> Array:
    """What is seen at each pixel most of the time: uint8 (h, w, 3) of several."""
    return np.asarray(np.median(np.stack(images), axis=0).astype(np.uint8))


def evidence(image: Array, background: Array) -> tuple[Array, Array]:
    """Where there is something that is not the street nor a shadow on it.

    Args:
        image: uint8 (h, w, 3).
        background: uint8 (h, w, 3).

    Returns:
        uint8 (h, w), 1 where a vehicle shows; uint8 (h, w), the greatest difference of a channel.
    """
    import cv2

    smooth, street = cv2.blur(image, (3, 3)), cv2.blur(background, (3, 3))
    difference = cv2.absdiff(smooth, street).max(axis=2)
    mask = (difference > DIFFERENCE).astype(np.uint8)
    pixels = np.nonzero(mask)
    light, shadow = _shadow_test(smooth[pixels].astype(np.float32), street[pixels].astype(np.float32))
    block = np.ones((3, 3), np.uint8)
    # Edges of the street are there in its shadow as well, dimmed, and may be off by a pixel.
    new_edges = _edges(image)[pixels] - light * cv2.dilate(_edges(background), block)[pixels]
    inside = cv2.erode(mask, block)[pixels].astype(bool)
    mask[pixels] = np.logical_not(shadow) | (inside & (new_edges > EDGE))
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, block), difference


def _shadow_test(pixel: Array, street: Array) -> tuple[Array, Array]:
    """For pixels (P, 3): the share of the street's light they keep, at most 1, and whether they may be its shadow."""
    light = pixel.sum(axis=1) / (street.sum(axis=1) + 1)
    tint = np.abs(pixel - street * light[:, None]).max(axis=1)
    shadow = (light > SHADOW_LIGHT[0]) & (light < SHADOW_LIGHT[1]) & (tint < SHADOW_TINT)
    return np.minimum(light, 1), shadow


def _edges(image: Array) -> Array:
    """Range of gray in the 3×3 neighborhood: float32 (h, w)."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.float32)


def _boxes(mask: Array, difference: Array) -> tuple[Array, Array]:
    """Boxes of the connected parts that look like vehicles: float64 (N, 4) xyxy, and the shares they fill (N,)."""
    import cv2

    count, label, stats, _ = cv2.connectedComponentsWithStats(mask)
    clear = np.bincount(label[difference > CLEAR_DIFFERENCE], minlength=count)
    left, top, width, height, filled = stats.T
    fill = filled / (width * height)
    keep = (width * height >= MIN_BOX_AREA) & (fill >= MIN_FILL) & (clear >= 0.05 * filled)
    keep[0] = False  # the rest of the image
    return np.stack([left, top, left + width, top + height], axis=1)[keep], fill[keep]


def _shrink(image: Array, side: int) -> Array:
    """The image with a longer side of at most ``side``."""
    import cv2

    height, width = image.shape[:2]
    ratio = min(1.0, side / max(height, width))
    size_wh = (round(width * ratio), round(height * ratio))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA))
