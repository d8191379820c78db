"""Pictures as a network sees them: cut off, shrunk, blurred, compressed, resized, cropped, recolored, erased.

A crop enters as uint8 (H, W, 3) RGB and leaves as one or several float32 (3, h, w) tensors. Every random choice comes
from the generator that is passed in. The steps are those of :mod:`reid.data.augment`; :class:`AugmentationRecipe`
says which of them make a view, and :data:`RECIPES` names those of the published methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reid.data.augment import (
    blur,
    color_cast,
    color_jitter,
    compress,
    cut_off,
    erase,
    expose,
    normalize,
    pad_crop,
    resize,
    resized_crop,
    rotate,
    shrink,
)

if TYPE_CHECKING:
    import torch

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "RECIPES", "AugmentationRecipe", "make_view", "multi_crop"]

Image = NDArray[Any]
Rng = np.random.Generator

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """How one view is made, in the order of the fields. The defaults are the plain test view.

    Attributes:
        cut_off: Largest share that is lost at one side.
        cut_off_p: Probability of it.
        shrink_px: Smallest and largest longer side that a picture is reduced to first, as a camera sees a distant
            vehicle; never enlarged.
        shrink_p: Probability of it.
        blur: Smallest and largest standard deviation of a blur, percent of the longer side.
        blur_p: Probability of it.
        exposure: Largest change of exposure, stops, and largest factor of the tone curve's exponent.
        exposure_p: Probability of it.
        cast: Largest relative change of each color channel.
        cast_p: Probability of it.
        jpeg: Lowest and highest quality of lossy compression at that size, 1…100.
        jpeg_p: Probability of it.
        size_hw: Height and width of the view, px.
        interpolation: Of every resizing: ``linear``, ``cubic`` or ``area``.
        crop: ``none``: resize only. ``pad``: resize, pad by ``pad_px`` of black, crop at random. ``enlarge``: with
            probability one half resize to 1.125 × the size and crop at random. ``resized``: cut out a random
            rectangle of ``scale`` of the area and resize it.
        pad_px: Border of the ``pad`` crop, px.
        scale: Smallest and largest share of the area of the ``resized`` crop.
        aspect: Smallest and largest width/height of the ``resized`` crop, relative to the picture's own.
        flip: Probability of a mirror image.
        rotation_deg: Largest turn to either side, degrees.
        jitter: Largest change of brightness, contrast, saturation and hue; see
            :func:`reid.data.augment.color_jitter`.
        jitter_p: Probability of any color change.
        erase_p: Probability of erasing one rectangle.
        erase_area: Smallest and largest share of the area that is erased.
        erase_aspect: Smallest and largest height/width of the erased rectangle.
        erase_value: What fills it, per channel, on the scale of the normalized view.
    """

    cut_off: float = 0.3
    cut_off_p: float = 0.0
    shrink_px: tuple[int, int] = (32, 160)
    shrink_p: float = 0.0
    blur: tuple[float, float] = (0.3, 2.0)
    blur_p: float = 0.0
    exposure: tuple[float, float] = (0.8, 1.5)
    exposure_p: float = 0.0
    cast: float = 0.12
    cast_p: float = 0.0
    jpeg: tuple[int, int] = (30, 90)
    jpeg_p: float = 0.0
    size_hw: tuple[int, int] = (256, 256)
    interpolation: Literal["linear", "cubic", "area"] = "linear"
    crop: Literal["none", "pad", "enlarge", "resized"] = "none"
    pad_px: int = 10
    scale: tuple[float, float] = (0.64, 1.0)
    aspect: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    rotation_deg: float = 0.0
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_p: float = 0.0
    erase_p: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.4)
    erase_aspect: tuple[float, float] = (0.3, 1 / 0.3)
    erase_value: tuple[float, float, float] = (0.0, 0.0, 0.0)


_SSBVER_JITTER = (0.2, 0.2, 0.1, 0.02)

#: The views of the published methods, at 256 × 256 px; ``dataclasses.replace(recipe, size_hw=…)`` for another size.
RECIPES: dict[str, AugmentationRecipe] = {
    "test": AugmentationRecipe(),
    # The strong baseline; its eraser is filled with the ImageNet mean after normalization, so not with zero.
    "baseline": AugmentationRecipe(crop="pad", flip=0.5, erase_p=0.5, erase_value=IMAGENET_MEAN),
    # For vehicles cut out of video: small and compressed ones, other exposures, boxes that are not exact.
    "video": AugmentationRecipe(
        shrink_p=0.5,
        jpeg_p=0.5,
        crop="resized",
        scale=(0.75, 1.0),
        aspect=(0.85, 1.18),
        flip=0.5,
        jitter=(0.35, 0.3, 0.3, 0.02),
        jitter_p=0.8,
        erase_p=0.4,
        erase_area=(0.02, 0.25),
        erase_value=IMAGENET_MEAN,
    ),
    # As "video", for unknown cameras: down to 24 px, out of focus, too dark or bright, tinted, cut off.
    "street": AugmentationRecipe(
        cut_off_p=0.3,
        shrink_px=(24, 160),
        shrink_p=0.6,
        blur_p=0.3,
        exposure_p=0.6,
        cast_p=0.5,
        jpeg=(15, 90),
        jpeg_p=0.6,
        crop="resized",
        scale=(0.75, 1.0),
        aspect=(0.85, 1.18),
        flip=0.5,
        jitter=(0.0, 0.3, 0.3, 0.02),
        jitter_p=0.6,
        erase_p=0.3,
        erase_area=(0.02, 0.25),
        erase_value=IMAGENET_MEAN,
    ),
    # The published crop suits standing persons; the ratio of the picture itself suits vehicles.
    "ssml": AugmentationRecipe(
        size_hw=(256, 128),
        crop="resized",
        flip=0.5,
        rotation_deg=10.0,
        jitter=(0.2, 0.2, 0.2, 0.0),
        jitter_p=1.0,
        erase_p=0.5,
        erase_area=(0.02, 0.2),
    ),
    "ssbver_first": AugmentationRecipe(
        interpolation="cubic", crop="pad", flip=0.5, erase_p=0.5, erase_value=IMAGENET_MEAN
    ),
    "ssbver_second": AugmentationRecipe(
        interpolation="cubic",
        crop="resized",
        scale=(0.8, 1.0),
        aspect=(3 / 4, 4 / 3),
        flip=0.5,
        jitter=_SSBVER_JITTER,
        jitter_p=0.1,
    ),
    "ssbver_local": AugmentationRecipe(
        size_hw=(112, 112),
        interpolation="cubic",
        crop="resized",
        scale=(0.1, 0.4),
        aspect=(3 / 4, 4 / 3),
        flip=0.5,
        jitter=_SSBVER_JITTER,
        jitter_p=0.1,
    ),
    "val": AugmentationRecipe(crop="pad", flip=0.5, jitter=(0.2, 0.2, 0.2, 0.0), jitter_p=0.5),
    "sgfd": AugmentationRecipe(
        crop="enlarge", flip=0.5, erase_p=0.5, erase_aspect=(1.0, 1.0), erase_value=IMAGENET_MEAN
    ),
    "slsr": AugmentationRecipe(crop="enlarge", flip=0.5, erase_p=0.8),
}


def make_view(
    image: Image,
    recipe: AugmentationRecipe,
    rng: Rng | None = None,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> tuple[torch.Tensor, bool]:
    """One view of a crop.

    Args:
        image: uint8 (H, W, 3) RGB.
        recipe: How to make it.
        rng: Source of randomness; may be None for a recipe without any.
        mean: Per channel, of values in 0…1.
        std: Per channel, of values in 0…1.

    Returns:
        float32 (3, h, w), and whether it is a mirror image (a viewpoint label must follow).
    """
    import torch

    rng = rng if rng is not None else np.random.default_rng(0)
    image = _as_a_camera_sees_it(image, recipe, rng)
    image = _CROPS[recipe.crop](image, recipe, rng)
    flipped = bool(rng.random() < recipe.flip)
    if flipped:
        image = image[:, ::-1]
    if recipe.rotation_deg:
        image = rotate(image, rng.uniform(-recipe.rotation_deg, recipe.rotation_deg))
    if rng.random() < recipe.jitter_p:
        image = color_jitter(image, recipe.jitter, rng)
    view = normalize(image, mean, std)
    if rng.random() < recipe.erase_p:
        erase(view, rng, recipe.erase_area, recipe.erase_aspect, recipe.erase_value)
    return torch.from_numpy(view), flipped


def _as_a_camera_sees_it(image: Image, recipe: AugmentationRecipe, rng: Rng) -> Image:
    """The steps before resizing: what stands before the lens, then the lens, the sensor and the encoder.

    A step that a recipe lacks draws no random number, so that recipes without the later steps give the same views.
    """
    if recipe.cut_off_p and rng.random() < recipe.cut_off_p:
        image = cut_off(image, recipe.cut_off, rng)
    if recipe.shrink_p and rng.random() < recipe.shrink_p:
        image = shrink(image, recipe.shrink_px, rng)
    if recipe.blur_p and rng.random() < recipe.blur_p:
        image = blur(image, recipe.blur, rng)
    if recipe.exposure_p and rng.random() < recipe.exposure_p:
        image = expose(image, *recipe.exposure, rng)
    if recipe.cast_p and rng.random() < recipe.cast_p:
        image = color_cast(image, recipe.cast, rng)
    if recipe.jpeg_p and rng.random() < recipe.jpeg_p:
        image = compress(image, int(rng.integers(recipe.jpeg[0], recipe.jpeg[1] + 1)))
    return image


def multi_crop(
    image: Image,
    recipes: Sequence[AugmentationRecipe],
    rng: Rng,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> tuple[list[torch.Tensor], list[bool]]:
    """Several independent views of one decoded crop, in the order of ``recipes``: see :func:`make_view`.

    SSBVER's are ``[ssbver_first, ssbver_second] + L · [ssbver_local]``.
    """
    made = [make_view(image, recipe, rng, mean=mean, std=std) for recipe in recipes]
    return [view for view, _ in made], [flipped for _, flipped in made]


def _plain(image: Image, recipe: AugmentationRecipe, rng: Rng) -> Image:
    return resize(image, recipe.size_hw, recipe.interpolation)


def _padded(image: Image, recipe: AugmentationRecipe, rng: Rng) -> Image:
    return pad_crop(resize(image, recipe.size_hw, recipe.interpolation), recipe.size_hw, recipe.pad_px, rng)


def _enlarged(image: Image, recipe: AugmentationRecipe, rng: Rng) -> Image:
    if rng.random() < 0.5:
        return resize(image, recipe.size_hw, recipe.interpolation)
    height, width = recipe.size_hw
    larger = resize(image, (round(height * 1.125), round(width * 1.125)), recipe.interpolation)
    return pad_crop(larger, recipe.size_hw, 0, rng)


def _resized(image: Image, recipe: AugmentationRecipe, rng: Rng) -> Image:
    return resized_crop(image, recipe.size_hw, recipe.scale, recipe.aspect, rng, recipe.interpolation)


_CROPS: dict[str, Callable[[Image, AugmentationRecipe, Rng], Image]] = {
    "none": _plain,
    "pad": _padded,
    "enlarge": _enlarged,
    "resized": _resized,
}
