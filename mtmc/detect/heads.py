"""What the outputs of a detection model mean: one pure function per kind of head.

A decoder takes one image's outputs (without the batch dimension), the labels that matter, the lowest score and
the input's (height, width), and gives the boxes in pixels of that input. A = number of anchors (or queries) of a
model, C = its number of labels. As in the models' own code a place stands for its best label; those whose best
label does not matter are left out. Scores are thresholded before anything else is computed, so that of an output
with thousands of places only a few columns are decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mtmc.types import Array

__all__ = [
    "HEADS",
    "Head",
    "RawDetections",
    "decode_detr",
    "decode_end2end",
    "decode_nanodet",
    "decode_rtdetr",
    "decode_ssd",
    "decode_yolo",
    "decode_yolov5",
    "decode_yolox",
]

#: Candidates that go on to suppression, the best first; more means that the lowest score is set too low.
LIMIT = 1000


class RawDetections(NamedTuple):
    """Candidates in one image: float32 (K, 4) xyxy in pixels of the model's input, float32 (K,), int64 (K,)."""

    xyxy: Array
    score: Array
    label: Array


Decoder = Callable[[list[Array], Array, float, tuple[int, int]], RawDetections]


class Head(NamedTuple):
    """A decoder and the input its models are usually trained with.

    Attributes:
        decode: From outputs to boxes.
        mean, std: In 0…255, in the model's order of channels.
        bgr: The order of channels is blue, green, red.
        stretch: The image is stretched to the input's size rather than fitted into it.
    """

    decode: Decoder
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    bgr: bool = False
    stretch: bool = False


def decode_yolo(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """YOLOv8, v9, 11, 12: one output (4 + C, A); rows are center x, center y, width, height, C scores."""
    (raw,) = outputs
    places, score, label = _candidates(raw[4:], labels, threshold)
    return RawDetections(_corners(raw[:4, places].T), score, label)


def decode_yolov5(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """YOLOv5 and v7: one output (3 A, 5 + C); columns are center x, center y, width, height, objectness, C scores."""
    (raw,) = outputs
    places, score, label = _candidates(raw[:, 5:].T, labels, threshold, raw[:, 4])
    return RawDetections(_corners(raw[places, :4]), score, label)


def decode_yolox(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """YOLOX: one output (A, 5 + C) as in YOLOv5, but boxes are relative to a grid of cells of 8, 16 and 32 pixels."""
    (raw,) = outputs
    places, score, label = _candidates(raw[:, 5:].T, labels, threshold, raw[:, 4])
    corner, stride = (part[places] for part in _grid(input_hw, (8, 16, 32)))
    center = (raw[places, :2] + corner) * stride
    size = np.exp(raw[places, 2:4]) * stride
    return RawDetections(_corners(np.concatenate([center, size], axis=1)), score, label)


def decode_nanodet(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """NanoDet: per level scores (A, C) and distributions (A, 4 (R + 1)) of the distances to the four sides.

    A distance is the expectation of its distribution over 0…R, in units of the level's stride (Generalized Focal
    Loss, Li et al. 2020, eq. 4–5), from the middle of the cell. Of a level, scores come before distributions.
    """
    levels = sorted(outputs, key=lambda output: -len(output))
    parts = []
    for scores, distribution in zip(levels[::2], levels[1::2], strict=True):
        places, score, label = _candidates(scores.T, labels, threshold)
        stride = round((input_hw[0] * input_hw[1] / len(scores)) ** 0.5)
        corner, _ = _grid(input_hw, (stride,))
        bins = distribution[places].reshape(len(places), 4, distribution.shape[1] // 4)
        weight = np.exp(bins - bins.max(axis=2, keepdims=True))
        distance = (weight @ np.arange(bins.shape[2], dtype=np.float32)) / weight.sum(axis=2)
        middle = corner[places] + np.float32(0.5)
        xyxy = np.concatenate([middle - distance[:, :2], middle + distance[:, 2:]], axis=1) * np.float32(stride)
        parts.append(RawDetections(xyxy, score, label))
    return RawDetections(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def decode_end2end(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """Models that suppress by themselves: one output (K, 6) of x1, y1, x2, y2, score, label."""
    (raw,) = outputs
    keep = np.logical_not(raw[:, 4] < threshold) & np.isin(raw[:, 5], labels)
    return RawDetections(raw[keep, :4], raw[keep, 4], raw[keep, 5].astype(np.int64))


def decode_detr(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """DETR, RT-DETR, D-FINE, RF-DETR without post-processing: boxes (A, 4) and logits (A, C) of A queries.

    Boxes are center x, center y, width, height as shares of the input; a score is the sigmoid of its logit.
    """
    boxes, logits = outputs
    height, width = input_hw
    scores = 1 / (1 + np.exp(-logits.T.astype(np.float32)))
    queries, score, label = _candidates(scores, labels, threshold)
    size = np.array([width, height, width, height], np.float32)
    return RawDetections(_corners(boxes[queries] * size), score, label)


def decode_rtdetr(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """RT-DETR and D-FINE with their post-processing: labels (A,), corners (A, 4) in pixels, scores (A,)."""
    label, corners, score = outputs
    keep = np.logical_not(score < threshold) & np.isin(label, labels)
    return RawDetections(corners[keep].astype(np.float32), score[keep], label[keep].astype(np.int64))


def decode_ssd(outputs: list[Array], labels: Array, threshold: float, input_hw: tuple[int, int]) -> RawDetections:
    """OpenVINO's and Caffe's ``DetectionOutput``: (1, A, 7) of image, label, score, x1, y1, x2, y2.

    Corners are shares of the input. A negative number of an image ends the list.
    """
    rows = outputs[0].reshape(-1, 7)
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    height, width = input_hw
    keep = np.logical_not(rows[:, 2] < threshold) & np.isin(rows[:, 1], labels)
    size = np.array([width, height, width, height], np.float32)
    return RawDetections(rows[keep, 3:] * size, rows[keep, 2], rows[keep, 1].astype(np.int64))


HEADS: dict[str, Head] = {
    "yolo": Head(decode_yolo),
    "yolov5": Head(decode_yolov5),
    "yolox": Head(decode_yolox, std=(1.0, 1.0, 1.0), bgr=True),
    "nanodet": Head(decode_nanodet, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), bgr=True),
    "end2end": Head(decode_end2end),
    "detr": Head(decode_detr, stretch=True),
    "rtdetr": Head(decode_rtdetr, stretch=True),
    "ssd": Head(decode_ssd, std=(1.0, 1.0, 1.0), bgr=True, stretch=True),
}


def _candidates(
    scores: Array, labels: Array, threshold: float, weight: Array | None = None
) -> tuple[Array, Array, Array]:
    """Places (K,) whose best label is among ``labels`` and scores enough, with score and label; at most LIMIT.

    Args:
        scores: (C, A).
        labels: int64, the rows that matter.
        threshold: The lowest score.
        weight: (A,), multiplied to the scores.
    """
    best = scores[labels].max(axis=0)
    if weight is not None:
        best = best * weight
    # "Not less" rather than "at least": a NaN must come through, to be reported.
    places = np.flatnonzero(np.logical_not(best < threshold))
    label = scores[:, places].argmax(axis=0)
    score = best[places]
    mine = np.isin(label, labels) | np.logical_not(np.isfinite(score))
    places, score, label = places[mine], score[mine], label[mine]
    if len(places) > LIMIT:
        top = np.sort(np.argsort(-score, kind="stable")[:LIMIT])
        places, score, label = places[top], score[top], label[top]
    return places, score, label


def _corners(center_size: Array) -> Array:
    """(center x, center y, width, height) → (x1, y1, x2, y2)."""
    half = center_size[:, 2:] / 2
    return np.concatenate([center_size[:, :2] - half, center_size[:, :2] + half], axis=1)


@lru_cache(maxsize=64)
def _grid(input_hw: tuple[int, int], strides: tuple[int, ...]) -> tuple[Array, Array]:
    """Cells row by row, level by level: top left corner (A, 2) in cells, and stride (A, 1) in pixels; float32."""
    corners, sizes = [], []
    for stride in strides:
        y, x = np.mgrid[: -(-input_hw[0] // stride), : -(-input_hw[1] // stride)]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sizes.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(sizes).astype(np.float32)
