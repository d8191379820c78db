"""Pictures per second that one worker decodes and augments: ours beside torchvision's transforms of the same recipe.

    python -m tools.bench.loader shared/data/reid_crops
    python -m tools.bench.loader shared/data/reid_crops --size 128 256 --recipe val

Every contestant is a data loader with one worker process that reads the same files in the same order and makes
batches of them. Rounds take turns; the figure is pictures per second of the worker's CPU time, of the best round.
torchvision decodes by Pillow, as its image folders do (its resizing then always filters), or to tensors by itself.
"""

from __future__ import annotations

import argparse
import gc
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import InterpolationMode, v2

from reid.data.checks import is_picture
from reid.data.images import read_image
from reid.data.loader import CropDataset, make_loader
from reid.data.records import Record
from reid.data.sampler import Sample
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD, RECIPES
from reid.methods.base import resize_recipe

BATCH = 64
#: From paths to a data loader with one worker, whose batches hold the pictures in this order.
Contestant = Callable[[Sequence[Path]], "DataLoader[Any]"]


def ours(recipe: str, size_hw: tuple[int, int]) -> Contestant:
    """The loader of a training."""

    def loader(paths: Sequence[Path]) -> DataLoader[Any]:
        records = [Record(path, i, 0) for i, path in enumerate(paths)]
        crops = CropDataset(records, [resize_recipe(RECIPES[recipe], size_hw)])
        samples = [Sample(i, i) for i in range(len(records))]
        batches = [samples[i : i + BATCH] for i in range(0, len(samples), BATCH)]
        return make_loader(crops, batches, workers=1)

    return loader


def torchvision_of(recipe: str, size_hw: tuple[int, int], *, pillow: bool) -> Contestant:
    """The same steps by torchvision: resize, pad, crop, flip, colors, normalize, erase."""
    chosen = resize_recipe(RECIPES[recipe], size_hw)
    brightness, contrast, saturation, hue = chosen.jitter
    steps: list[Any] = [
        v2.Resize(size_hw, InterpolationMode.BILINEAR, antialias=False),
        v2.Pad(chosen.pad_px),
        v2.RandomCrop(size_hw),
        v2.RandomHorizontalFlip(chosen.flip),
    ]
    if chosen.jitter_p:
        steps.append(v2.RandomApply([v2.ColorJitter(brightness, contrast, saturation, hue)], chosen.jitter_p))
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    if chosen.erase_p:
        steps.append(
            v2.RandomErasing(chosen.erase_p, chosen.erase_area, chosen.erase_aspect, list(chosen.erase_value))
        )
    change = v2.Compose(steps)
    for known in ("Anti-alias option is always applied", "The image decoding and encoding capabilities"):
        warnings.filterwarnings("ignore", known)
    return lambda paths: DataLoader(_Files(paths, change, pillow), batch_size=BATCH, num_workers=1)


class _Files(Dataset[Tensor]):
    def __init__(self, paths: Sequence[Path], change: Callable[[Any], Tensor], pillow: bool) -> None:
        self.paths, self.change, self.pillow = paths, change, pillow

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        if self.pillow:
            with Image.open(self.paths[i]) as image:
                return self.change(image.convert("RGB"))
        return self.change(decode_image(str(self.paths[i]), ImageReadMode.RGB))


def measure(contestants: dict[str, Contestant], paths: Sequence[Path], rounds: int) -> dict[str, float]:
    """Pictures per second of the worker's CPU time, the best of some rounds in turns."""
    best = dict.fromkeys(contestants, 0.0)
    for _ in range(rounds):
        for name, contestant in contestants.items():
            loader = contestant(paths)
            begin = _of_children()
            for _ in loader:
                pass
            del loader
            gc.collect()  # ends the worker, whose time is known from then on
            best[name] = max(best[name], len(paths) / (_of_children() - begin))
    return best


def _of_children() -> float:
    """CPU seconds of all processes that this one started and that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table for every recipe and size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="crops of vehicles, .jpg")
    parser.add_argument("--recipe", nargs="+", default=["baseline", "val"], choices=("baseline", "val"))
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="side of the views, px")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    found = sorted(path for path in arguments.folder.rglob("*") if is_picture(path))
    paths = [found[i % len(found)] for i in range(arguments.pictures)]
    height, width, _ = np.median([read_image(path).shape for path in found], axis=0)
    print(f"{len(found)} pictures, median {width:.0f} x {height:.0f} px")
    print("| recipe | view, px | ours | torchvision v2, Pillow | torchvision v2, tensors |\n|---|---|---|---|---|")
    for recipe in arguments.recipe:
        for side in arguments.size:
            size_hw = (side, side)
            best = measure(
                {
                    "ours": ours(recipe, size_hw),
                    "pillow": torchvision_of(recipe, size_hw, pillow=True),
                    "tensors": torchvision_of(recipe, size_hw, pillow=False),
                },
                paths,
                arguments.rounds,
            )
            print(
                f"| {recipe} | {side} | " + " | ".join(f"{value:.0f}" for value in best.values()) + " |", flush=True
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
