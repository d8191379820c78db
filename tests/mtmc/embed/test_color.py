"""The embedder without weights."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.embed.color import ColorHistogramEmbedder, _lab

EMBED = ColorHistogramEmbedder()


def plain(*rgb):
    """A picture of one paint under changing light."""
    light = np.linspace(0.5, 1.2, 64)[:, None]
    return (light * np.array(rgb)).astype(np.uint8)[None].repeat(64, axis=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rows_are_unit_vectors_and_do_not_depend_on_their_neighbors(seed):
    images = np.random.default_rng(seed).integers(0, 256, (3, 64, 64, 3), np.uint8)
    rows = EMBED(images)
    assert rows.shape == (3, EMBED.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[1:2], EMBED(images[1:2]))


def test_lab_is_that_of_opencv():
    rgb = np.random.default_rng(1).random((50, 1, 3)).astype(np.float32)
    expected = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(_lab(rgb.astype(float)), expected, atol=0.3)


def test_color_and_its_place_count_more_than_light():
    red, dim_red, blue = plain(200, 30, 30), plain(180, 27, 27), plain(30, 30, 200)
    two_tone, upside_down = np.vstack([red[:32], blue[:32]]), np.vstack([blue[:32], red[:32]])
    reference, darker, other, a, b = EMBED(np.stack([red, dim_red, blue, two_tone, upside_down]))
    assert reference @ darker > 0.8
    assert reference @ other < 0.1
    assert a @ b < 0.5


def test_a_mirror_image_looks_the_same():
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    one, mirrored = EMBED(np.stack([image, image[:, ::-1]]))
    np.testing.assert_allclose(one, mirrored, atol=1e-6)


def test_no_pictures_and_wrong_pictures():
    assert EMBED(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, EMBED.dim)
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 64, 64, 3\), got uint8 \(1, 8, 8, 3\)"):
        EMBED(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(("kind", "least"), [("car", 0.70), ("truck", 0.85)])
def test_real_vehicles_are_found_again_by_another_camera(shared, kind, least):
    first = sorted(shared("data/reid_crops").glob(f"{kind}_*_cam1.jpg"))
    rows = []
    for paths in (first, [path.with_name(path.name.replace("cam1", "cam2")) for path in first]):
        images = [cv2.resize(cv2.imread(str(path)), (64, 64))[..., ::-1] for path in paths]
        rows.append(EMBED(np.stack(images)))
    assert ((rows[0] @ rows[1].T).argmax(axis=1) == np.arange(len(first))).mean() >= least
