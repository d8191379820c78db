"""Crops against slicing and cv2.resize, sharpness against its definition."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.video.crop import cut, sharpness

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_a_whole_box_of_the_same_size_is_a_slice():
    [crop] = cut(IMAGE, np.array([[10, 5, 30, 25]], np.float32), (20, 20))
    assert (crop == IMAGE[5:25, 10:30]).all()


@pytest.mark.parametrize("size_hw", [(256, 256), (8, 5)])
def test_resized_like_cv2_linear(size_hw):
    [crop] = cut(IMAGE, np.array([[10.4, 4.6, 29.6, 25.4]]), size_hw)
    assert (crop == cv2.resize(IMAGE[5:25, 10:30], size_hw[::-1], interpolation=cv2.INTER_LINEAR)).all()


def test_boxes_are_clipped_to_the_image():
    [crop] = cut(IMAGE, np.array([[-20, -30, 20, 20]]), (20, 20))
    assert (crop == IMAGE[:20, :20]).all()


def test_pad_is_a_share_of_the_box():
    [crop] = cut(IMAGE, np.array([[20, 10, 40, 20]]), (12, 24), pad=0.1)
    assert (crop == IMAGE[9:21, 18:42]).all()


@pytest.mark.parametrize(
    "box",
    [[10, 10, 10, 20], [20, 20, 10, 10], [60, 0, 80, 10], [-9, -9, -1, -1], [np.nan, 0, 9, 9], [0, 0, np.inf, 9]],
)
def test_boxes_without_pixels_are_even_gray(box):
    boxes = np.array([box, [0, 0, 10, 10]], np.float32)
    crops = cut(IMAGE, boxes, (6, 7), pad=0.2 if box[0] == 10 else 0.0)
    assert len(np.unique(crops[0])) == 1
    assert len(np.unique(crops[1])) > 1
    assert sharpness(IMAGE, boxes)[0] == 0


def test_no_boxes():
    assert cut(IMAGE, np.zeros((0, 4), np.float32), (6, 7)).shape == (0, 6, 7, 3)
    assert sharpness(IMAGE, np.zeros((0, 4), np.float32)).shape == (0,)


@given(st.lists(st.tuples(*[st.floats(-200, 200, width=32)] * 4), max_size=4))
def test_never_raises(boxes):
    array = np.array(boxes, np.float32).reshape(-1, 4)
    assert cut(IMAGE, array, (4, 4), pad=0.1).shape == (len(boxes), 4, 4, 3)
    assert np.isfinite(sharpness(IMAGE, array)).all()


def test_sharpness_is_the_variance_of_the_laplacian():
    [value] = sharpness(IMAGE, np.array([[0, 0, 60, 40]]))
    gray = cv2.cvtColor(cv2.resize(IMAGE, (64, 64)), cv2.COLOR_RGB2GRAY).astype(float)
    p = np.pad(gray, 1, mode="reflect")
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * gray
    assert value == pytest.approx(laplacian.var(), rel=1e-4)
    assert value.dtype == np.float32


def test_blur_lowers_sharpness():
    blurred = cv2.GaussianBlur(IMAGE, (0, 0), 2)
    box = np.array([[5, 5, 50, 35]])
    assert sharpness(blurred, box)[0] < 0.2 * sharpness(IMAGE, box)[0]


def test_cubic_pictures_overshoot_at_an_edge_and_linear_ones_do_not():
    image = np.full((8, 8, 3), 100, np.uint8)
    image[:, 4:] = 150
    box = np.array([[0, 0, 8, 8]], np.float32)
    linear, cubic = (cut(image, box, (16, 16), interpolation=name) for name in ("linear", "cubic"))
    assert (linear.min(), linear.max()) == (100, 150)
    assert cubic.min() < 100
    assert cubic.max() > 150
