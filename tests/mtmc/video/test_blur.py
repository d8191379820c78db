"""Blurred regions, by the variance of pixels inside and outside of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtmc.types import CLASSES, Array, Detections
from mtmc.video.blur import BlurKind, blur_crop, blurred, regions_of, regions_of_detections, regions_to_blur
from tests.builders import tracklet

CAR, MOTORCYCLE, PERSON = (CLASSES.index(name) for name in ("car", "motorcycle", "person"))
BOX = np.array([[100.0, 50, 180, 130]])


def noise(height: int = 200, width: int = 300) -> Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def detail(image: Array, x1: int, y1: int, x2: int, y2: int) -> float:
    """Mean squared difference of neighbors, which coarse cells do not have."""
    part = image[y1:y2, x1:x2].astype(float)
    return float((np.diff(part, axis=1) ** 2).mean())


@pytest.mark.parametrize(
    ("kinds", "class_id", "is_hidden"),
    [
        (["vehicles"], CAR, (True, True)),
        (["plates"], CAR, (False, True)),
        (["faces"], CAR, (True, False)),
        (["plates", "faces"], CAR, (True, True)),
        (["plates"], MOTORCYCLE, (True, True)),
        (["faces"], PERSON, (True, False)),
        (["plates", "vehicles"], PERSON, (False, False)),
        ([], CAR, (False, False)),
    ],
)
def test_the_upper_and_the_lower_half_of_a_box(
    kinds: list[BlurKind], class_id: int, is_hidden: tuple[bool, bool]
) -> None:
    image = noise()
    found = blurred(image, regions_to_blur(kinds, BOX, class_id))
    for (y1, y2), hidden in zip([(50, 86), (94, 130)], is_hidden, strict=True):
        before, after = detail(image, 100, y1, 180, y2), detail(found, 100, y1, 180, y2)
        assert after < 0.02 * before if hidden else after == before


def test_the_rest_of_the_picture_and_the_source_are_unchanged() -> None:
    image = noise()
    source = image.copy()
    found = blurred(image, regions_to_blur(["vehicles"], BOX, CAR))
    np.testing.assert_array_equal(image, source)
    outside = np.ones(image.shape[:2], bool)
    outside[46:134, 96:184] = False  # the box and 5 % of its size
    np.testing.assert_array_equal(found[outside], image[outside])
    assert not np.array_equal(found, image)


def test_boxes_that_reach_over_the_border() -> None:
    image = noise()
    found = blurred(image, np.array([[-50.0, -20, 40, 30], [280, 190, 400, 260], [500, 500, 600, 600]]))
    assert detail(found, 0, 0, 40, 30) < 0.02 * detail(image, 0, 0, 40, 30)
    assert detail(found, 280, 190, 300, 200) < 0.1 * detail(image, 280, 190, 300, 200)
    np.testing.assert_array_equal(found[40:180], image[40:180])


def test_letters_of_a_plate_are_one_gray() -> None:
    """A plate a third as wide as the car, with strokes of two pixels, is no longer legible."""
    image = np.full((200, 300, 3), 60, np.uint8)
    image[110:120, 125:155] = 255
    image[112:118, 127:153:4] = 0
    found = blurred(image, regions_to_blur(["plates"], BOX, CAR))
    assert image[110:120, 125:155].std() > 80
    assert found[110:120, 125:155].std() < 12


def test_regions_by_frame() -> None:
    first = tracklet(first=5, length=3, start=(10, 20), step=(1, 0), size=(40, 20))
    second = replace(tracklet(track_id=2, first=6, length=1, start=(100, 20), size=(40, 20)), class_id=PERSON)
    regions = regions_of(["plates", "faces"], [first, second])
    assert [len(regions.at(frame)) for frame in range(4, 9)] == [0, 2, 3, 2, 0]
    np.testing.assert_allclose(sorted(regions.at(7).tolist()), [[10, 19, 54, 31], [10, 29, 54, 41]])
    assert len(regions_of([], [first]).at(5)) == 0


def test_pictures_of_one_box() -> None:
    picture = noise(120, 160)
    found = blur_crop(picture, CAR, ["plates"])
    np.testing.assert_array_equal(found[:50], picture[:50])
    assert detail(found, 0, 62, 160, 120) < 0.02 * detail(picture, 0, 62, 160, 120)
    several = blur_crop(np.stack([picture, picture]), CAR, ["vehicles"])
    assert several.shape == (2, 120, 160, 3)
    assert detail(several[1], 0, 0, 160, 120) < 0.02 * detail(picture, 0, 0, 160, 120)


def test_regions_of_detections_by_hand() -> None:
    boxes = np.array([[0, 0, 100, 40], [200, 100, 240, 200]], np.float32)
    both = Detections(boxes, np.full(2, 0.1, np.float32), np.array([PERSON, CAR]), np.zeros((2, 0), np.float32))
    none = Detections(boxes[:0], np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    found = regions_of_detections(["plates"], [(3, none), (4, both)])
    assert found.frame.tolist() == [4]  # a person has no plate
    np.testing.assert_allclose(found.at(4), [[198, 145, 242, 205]])
    tracked = regions_of(["vehicles"], [tracklet(length=10)])
    joined = found.joined(tracked)
    assert (np.diff(joined.frame) >= 0).all()
    np.testing.assert_allclose(joined.at(4), np.concatenate([found.at(4), tracked.at(4)]))
