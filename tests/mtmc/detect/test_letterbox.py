"""There and back, and one image against OpenCV's own way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.detect.letterbox import Letterbox, fit_fixed, fit_side, paste

SIZES = st.tuples(st.integers(16, 2000), st.integers(16, 2000))


def there(box: Letterbox, xyxy: np.ndarray) -> np.ndarray:
    scale = np.array(box.inner_wh) / np.array(box.image_wh)
    return xyxy * np.tile(scale, 2) + np.tile(box.offset_xy, 2)


@given(SIZES, st.sampled_from([320, 640, 960]), st.booleans())
def test_boxes_come_back_where_they_were(image_wh: tuple[int, int], side: int, fixed: bool) -> None:
    box = fit_fixed(image_wh, (side, side)) if fixed else fit_side(image_wh, side)
    width, height = image_wh
    xyxy = np.array([[0, 0, width, height], [width / 4, height / 3, width / 2, height / 1.5]])
    np.testing.assert_allclose(box.restore(there(box, xyxy)), xyxy, atol=1e-3 * max(image_wh))


@given(SIZES, st.sampled_from([320, 416, 640]))
def test_the_canvas_is_tight_and_holds_the_image(image_wh: tuple[int, int], side: int) -> None:
    box = fit_side(image_wh, side)
    assert max(box.inner_wh) == side
    for inner, canvas, offset in zip(box.inner_wh, box.canvas_wh, box.offset_xy, strict=True):
        assert canvas % 32 == 0
        assert 0 <= canvas - inner < 32
        assert offset == (canvas - inner) // 2


def test_restored_boxes_end_at_the_border() -> None:
    box = fit_fixed((200, 100), (100, 100))
    assert box.restore(np.array([[-10.0, 0, 120, 100]])).tolist() == [[0, 0, 200, 100]]


@pytest.mark.parametrize("bgr", [False, True])
def test_paste_equals_opencvs_blob(bgr: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    box = fit_side((160, 90), 96)
    mean, std = np.array([103.5, 116, 123], np.float32), np.array([57, 58, 59], np.float32)
    out = np.full((3, 64, 96), np.nan, np.float32)
    paste(image, box, mean, std, bgr, out)
    resized = cv2.resize(image, (96, 54)).astype(np.float32)[..., :: -1 if bgr else 1]
    want = ((resized - mean) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(out[:, 5:59], want, atol=1e-5)
    assert np.isnan(out[:, :5]).all()
    assert np.isnan(out[:, 59:]).all()
