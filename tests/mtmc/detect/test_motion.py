"""Rectangles that drive over a textured street, with and without shadows; and the rendered clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.detect import DetectConfig, FilterConfig
from mtmc.detect.motion import MotionDetector
from mtmc.geometry.boxes import iou_pairs
from mtmc.types import Array, Frame

WIDTH, HEIGHT, LENGTH = 320, 180, 60


def street(seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    gray = cv2.GaussianBlur(rng.normal(120, 25, (HEIGHT, WIDTH)), (0, 0), 3)
    return np.repeat(gray[..., None], 3, axis=2)


def box_at(index: int) -> tuple[int, int, int, int]:
    left = 10 + 4 * index
    return left, 80, left + 44, 104


def drive(color: tuple[int, int, int], shadow: bool = False, light: float = 1.0, seed: int = 0) -> list[Frame]:
    """One vehicle with a dark window, 4 px a frame, on a static street with sensor noise."""
    rng, ground, frames = np.random.default_rng(seed), street(), []
    for index in range(LENGTH):
        image = ground.copy()
        x1, y1, x2, y2 = box_at(index)
        if shadow:
            image[y2 - 8 : y2 + 12, x1 + 10 : x2 + 14] *= 0.55
        image[y1:y2, x1:x2] = color
        image[y1 + 4 : y1 + 12, x1 + 8 : x2 - 8] = (30, 35, 45)
        image = image * (1 + (light - 1) * index / LENGTH) + rng.normal(0, 2, image.shape)
        frames.append(Frame("c1", index, index / 10, np.clip(image, 0, 255).astype(np.uint8)))
    return frames


def detect(frames: list[Frame], **choices: object) -> list[Array]:
    detector = MotionDetector(DetectConfig(**choices))  # type: ignore[arg-type]
    detector.fit_background("c1", frames)
    return [found.xyxy for found in detector(frames)]


def check(found: list[Array], least_iou: float) -> None:
    hits = 0
    for index, boxes in enumerate(found):
        assert len(boxes) <= 2
        overlap = iou_pairs(boxes, np.array(box_at(index), np.float32)) if len(boxes) else np.zeros(1)
        hits += overlap.max() >= least_iou
    assert hits >= 0.9 * LENGTH


@pytest.mark.parametrize("color", [(230, 230, 235), (200, 30, 30), (40, 60, 160)])
def test_a_vehicle_is_found_where_it_is(color: tuple[int, int, int]) -> None:
    check(detect(drive(color)), 0.75)


@pytest.mark.parametrize("color", [(230, 230, 235), (200, 30, 30)])
def test_its_shadow_is_not_part_of_it(color: tuple[int, int, int]) -> None:
    check(detect(drive(color, shadow=True)), 0.7)


def test_an_empty_street_is_empty_also_when_the_sun_comes_out() -> None:
    rng, ground = np.random.default_rng(1), street()
    detector = MotionDetector(DetectConfig())
    total = 0
    for index in range(300):
        image = ground * (1 + 0.15 * index / 300) + rng.normal(0, 2, ground.shape)
        frame = Frame("c1", index, index / 5, np.clip(image, 0, 255).astype(np.uint8))
        total += len(detector([frame])[0])
    assert total == 0


def test_each_camera_has_its_own_background() -> None:
    frames = drive((230, 230, 235))
    other = Frame("c2", 0, 0.0, np.full((90, 160, 3), 200, np.uint8))
    detector = MotionDetector(DetectConfig())
    detector.fit_background("c1", frames)
    first = detector([frames[5], other, frames[6]])
    assert [len(d) for d in first] == [1, 0, 1]
    again = MotionDetector(DetectConfig())
    again.fit_background("c1", frames)
    assert [d.xyxy.tolist() for d in again(frames[5:7])] == [first[0].xyxy.tolist(), first[2].xyxy.tolist()]


def test_scores_and_the_lowest_of_them() -> None:
    frames = drive((230, 230, 235))
    detector = MotionDetector(DetectConfig(filter=FilterConfig(min_confidence=1.0)))
    detector.fit_background("c1", frames)
    assert sum(len(d) for d in detector(frames)) < LENGTH
    assert detector.stateful


def test_preparing_with_nothing_is_allowed() -> None:
    detector = MotionDetector(DetectConfig())
    detector.fit_background("c1", iter(()))
    assert len(detector(drive((230, 230, 235))[:1])[0]) == 0


@pytest.mark.parametrize(("clip", "recall", "precision"), [("c003", 0.7, 0.65), ("c004", 0.65, 0.65)])
def test_flowing_traffic_of_the_rendered_clips(
    shared: Callable[[str], Path], clip: str, recall: float, precision: float
) -> None:
    capture = cv2.VideoCapture(str(shared(f"prototypes/synthcity/clips/{clip}.mp4")))
    truth = np.loadtxt(shared(f"prototypes/synthcity/clips/{clip}_gt.txt"), delimiter=",")
    frames = []
    while (read := capture.read())[0]:
        frames.append(Frame("c1", len(frames), len(frames) / 10, np.ascontiguousarray(read[1][..., ::-1])))
    found = detect(frames)
    hits = want = boxes = good = 0
    for index, xyxy in enumerate(found):
        rows = truth[truth[:, 0] == index + 1]
        overlap = iou_pairs(rows[:, None, 8:12], xyxy[None].astype(float))
        large = (rows[:, 10] - rows[:, 8]) * (rows[:, 11] - rows[:, 9]) >= 300
        moving = np.array([np.ptp(truth[truth[:, 1] == i, 2]) > 20 for i in rows[:, 1]], bool)
        hits += (overlap[large & moving] >= 0.5).any(axis=1).sum()
        want += (large & moving).sum()
        good += (overlap >= 0.5).any(axis=0).sum()
        boxes += len(xyxy)
    assert hits / want >= recall
    assert good / boxes >= precision
