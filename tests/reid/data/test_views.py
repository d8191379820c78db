"""Views against plain arithmetic, and their determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid.data import augment  # noqa: E402
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD, RECIPES, AugmentationRecipe, make_view, multi_crop  # noqa: E402


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_test_view_is_resize_and_normalize(image: np.ndarray) -> None:
    view, flipped = make_view(image, AugmentationRecipe(size_hw=(40, 60)))
    expected = ((image / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
    assert not flipped
    np.testing.assert_allclose(view.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_is_deterministic_and_of_its_size(image: np.ndarray, name: str) -> None:
    recipe = RECIPES[name]
    for seed in range(4):
        first, flipped = make_view(image, recipe, np.random.default_rng(seed))
        second, again = make_view(image, recipe, np.random.default_rng(seed))
        assert first.shape == (3, *recipe.size_hw)
        assert first.dtype == torch.float32
        assert first.is_contiguous()
        assert torch.equal(first, second)
        assert flipped == again
    others = [make_view(image, recipe, np.random.default_rng(seed))[0] for seed in range(8)]
    assert any(not torch.equal(others[0], other) for other in others) == (name != "test")


def test_flip_mirrors_and_says_so(image: np.ndarray) -> None:
    plain, _ = make_view(image, AugmentationRecipe(size_hw=(40, 60)))
    mirrored, flipped = make_view(image, AugmentationRecipe(size_hw=(40, 60), flip=1.0))
    assert flipped
    assert torch.equal(mirrored, plain.flip(2))


def test_pad_crop_is_a_shifted_picture_on_black(image: np.ndarray) -> None:
    out = augment.pad_crop(image, (40, 60), 6, np.random.default_rng(1))
    padded = np.zeros((52, 72, 3), np.uint8)
    padded[6:-6, 6:-6] = image
    places = [(t, l) for t in range(13) for l in range(13) if np.array_equal(padded[t : t + 40, l : l + 60], out)]  # noqa: E741
    assert len(places) == 1


def test_resized_crop_keeps_area_and_aspect() -> None:
    """On a picture whose pixels hold their own coordinates, the corners tell which rectangle was cut."""
    rows, columns = np.mgrid[0:200, 0:100]
    image = np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)
    for seed in range(50):
        out = augment.resized_crop(image, (64, 32), (0.25, 0.5), (1.0, 1.0), np.random.default_rng(seed), "area")
        height = float(out[-1, 0, 0]) - float(out[0, 0, 0])
        width = float(out[0, -1, 1]) - float(out[0, 0, 1])
        assert 0.22 < height * width / (200 * 100) < 0.52
        assert height / width == pytest.approx(2.0, rel=0.1)


def test_erase_fills_one_rectangle_within_bounds() -> None:
    for seed in range(50):
        view = np.zeros((3, 50, 40), np.float32)
        augment.erase(view, np.random.default_rng(seed), (0.02, 0.4), (1.0, 1.0), (1.0, 2.0, 3.0))
        rows, columns = np.nonzero(view[0])
        h, w = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert h == w
        assert len(rows) == h * w
        assert 0.015 < h * w / 2000 < 0.41
        np.testing.assert_array_equal(view[2], 3 * view[0])


def test_erase_fills_after_normalization(image: np.ndarray) -> None:
    recipe = AugmentationRecipe(size_hw=(40, 60), erase_p=1.0, erase_value=(9.0, 9.0, 9.0))
    view, _ = make_view(image, recipe, np.random.default_rng(0))
    assert (view == 9).any()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_color_jitter_follows_its_definition(image: np.ndarray, which: int) -> None:
    """Blend with black, with the mean gray of the picture, with the gray of each pixel."""
    gray = image @ [0.299, 0.587, 0.114]
    other = [0.0, gray.mean(), gray[..., None]][which]
    for seed in range(5):
        amounts = tuple(0.5 * (k == which) for k in range(4))
        changed = augment.color_jitter(image, amounts, np.random.default_rng(seed))
        factor = np.random.default_rng(seed).uniform(0.5, 1.5)
        np.testing.assert_allclose(changed, np.clip(image * factor + other * (1 - factor), 0, 255), atol=1.01)


def test_gray_stays_gray() -> None:
    gray = np.full((4, 4, 3), 90, np.uint8)
    np.testing.assert_array_equal(augment.color_jitter(gray, (0, 0.9, 0.9, 0.1), np.random.default_rng(0)), gray)


def test_hue_turns_around_the_circle() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    green = augment._turn_hue(red, 1 / 3)[0, 0].astype(int)
    assert green[1] > 250
    assert green[0] < 10
    np.testing.assert_allclose(augment._turn_hue(red, 1.0)[0, 0], [255, 0, 0], atol=3)


def test_rotate_quarter_turn(image: np.ndarray) -> None:
    square = image[:40, :40]
    np.testing.assert_allclose(augment.rotate(square, 90.0), np.rot90(square), atol=1)


def test_multi_crop_sizes(image: np.ndarray) -> None:
    small = replace(RECIPES["ssbver_local"], size_hw=(16, 16))
    views, flipped = multi_crop(image, [RECIPES["ssbver_first"], small, small], np.random.default_rng(0))
    assert [tuple(v.shape) for v in views] == [(3, 256, 256), (3, 16, 16), (3, 16, 16)]
    assert len(flipped) == 3
    assert not torch.equal(views[1], views[2])


def test_shrink_keeps_proportions_and_never_enlarges(image: np.ndarray) -> None:
    sides = {augment.shrink(image, (12, 30), np.random.default_rng(seed)).shape[:2] for seed in range(50)}
    assert all(12 <= width <= 30 for _, width in sides)
    assert all(abs(height - width * 40 / 60) <= 1 for height, width in sides)
    assert len(sides) > 5
    assert augment.shrink(image, (80, 90), np.random.default_rng(0)) is image


def test_compress_loses_more_at_lower_quality() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64) * 2)[..., None].repeat(3, axis=2).astype(np.uint8)
    ramp[..., 1] //= 2
    lost = [np.abs(augment.compress(ramp, q).astype(int) - ramp).mean() for q in (5, 50, 95)]
    assert lost[0] > lost[1] > lost[2]
    assert lost[2] < 3


def test_cut_off_takes_one_side_and_no_more_than_its_share() -> None:
    ramp = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    sides = set()
    for seed in range(40):
        found = augment.cut_off(ramp, 0.3, np.random.default_rng(seed))
        height, width = found.shape[:2]
        assert height >= 28
        assert width >= 42
        assert height == 40 or width == 60
        kept_start = np.array_equal(found, ramp[:height, :width])
        assert kept_start or np.array_equal(found, ramp[40 - height :, 60 - width :])
        sides.add((height == 40, kept_start))
    assert len(sides) == 4


def test_blur_spreads_a_point_by_its_deviation() -> None:
    """2 % of 100 px are 2 px."""
    point = np.zeros((100, 100, 3), np.uint8)
    point[50, 50] = 255
    row = augment.blur(point, (2.0, 2.0), np.random.default_rng(0))[:, :, 0].astype(float)
    weight = row.sum(axis=0)
    deviation = np.sqrt((weight * (np.arange(100) - 50) ** 2).sum() / weight.sum())
    assert deviation == pytest.approx(2, abs=0.25)


def test_exposure_is_a_gain_and_a_power() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    rng = np.random.default_rng(3)
    found = augment.expose(levels, 0.8, 1.5, rng)
    twin = np.random.default_rng(3)
    gain, power = 2 ** twin.uniform(-0.8, 0.8), np.exp(twin.uniform(-np.log(1.5), np.log(1.5)))
    expected = [min(255, int(255 * gain * (level / 255) ** power)) for level in range(256)]
    assert found[..., 0].ravel().tolist() == expected
    assert np.array_equal(augment.expose(levels, 0.0, 1.0, rng), levels)


def test_a_cast_scales_channels_apart() -> None:
    gray = np.full((4, 4, 3), 100, np.uint8)
    factors = np.random.default_rng(5).uniform(0.8, 1.2, 3)
    found = augment.color_cast(gray, 0.2, np.random.default_rng(5))
    assert found[0, 0].tolist() == [int(100 * factor) for factor in factors]
    assert len(set(found[0, 0].tolist())) > 1


def test_steps_that_a_recipe_lacks_leave_the_other_choices_as_they_are(image: np.ndarray) -> None:
    """The recipes of earlier versions draw the same numbers."""
    recipe = RECIPES["video"]
    rng, twin = np.random.default_rng(2), np.random.default_rng(2)
    make_view(image, recipe, rng)
    make_view(image, replace(recipe, cut_off=0.9, blur=(1.0, 9.0), cast=0.5), twin)
    assert rng.random() == twin.random()
