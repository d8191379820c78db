"""Pictures per second that one worker decodes and augments: ours beside torchvision's transforms of the same recipe.

    python -m tools.bench.loader shared/data/reid_crops
    python -m tools.bench.loader shared/data/reid_crops --size 128 256 --recipe val
    python -m tools.bench.loader shared/data/reid_crops --step resnet50 --batch 8

Every contestant is a data loader with one worker process that reads the same files in the same order and makes
batches of them. Rounds take turns; the figure is pictures per second of the worker's CPU time, of the best round.
torchvision decodes by Pillow, as its image folders do (its resizing then always filters), or to tensors by itself.

``--step`` measures a whole training instead: epochs that read their pictures, with as many workers as trainings have
by default, and epochs of the same batches in memory, in turns; the figure is images per second of the best round.
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

from reid.config import TrainConfig, make_config
from reid.data import DatasetSplit
from reid.data.checks import pictures_below
from reid.data.images import read_image
from reid.data.loader import CropDataset, make_loader
from reid.data.records import Record
from reid.data.sampler import Sample
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD, RECIPES
from reid.methods.base import resize_recipe
from reid.training.build import build_method
from reid.training.device import pick_device
from reid.training.engine import batch_loader, make_batches, run_epoch
from reid.training.optimizer import make_optimizer

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


def training_speed(
    backbone: str, paths: Sequence[Path], side: int, *, batch: int, steps: int, rounds: int, workers: int
) -> dict[str, tuple[float, float]]:
    """Speed of a baseline training that reads its pictures (``loader``), and of one with batches in ``memory``.

    Weights are random and identities arbitrary, which changes no speed.

    Args:
        backbone: A name that :func:`reid.networks.build` knows.
        paths: Pictures, repeated where an epoch needs more.
        side: Of the views, px.
        batch: Images per step, a multiple of 4.
        steps: Of an epoch.
        rounds: Epochs of each, in turns, after one that is not counted.
        workers: Processes that read pictures.

    Returns:
        Images per second of the best round, and the share of its time spent waiting for data.

    Raises:
        ConfigError: There is no such backbone, or ``batch`` is not a multiple of 4.
    """
    config = make_config(
        {
            "method": "baseline",
            "backbone": backbone,
            "pretrained": False,
            "data": {"name": "folder", "root": paths[0].parent},
            "options": {"size_hw": (side, side)},
            "schedule": {"batch": batch, "images_per_identity": 4},
            "output": Path(os.devnull),
            "workers": workers,
        }
    )
    device = pick_device(config.device)
    records = tuple(Record(paths[i % len(paths)], i // 4, 0) for i in range(batch * steps))
    method, context = build_method(config, DatasetSplit("crops", "folder", records), device)
    data = method.prepare(context)
    loader = batch_loader(config, method, data, make_batches(config, data), device)
    sources = {"loader": loader, "memory": list(loader)}
    optimizer = make_optimizer(method.train(), config.schedule)
    scaler = torch.amp.GradScaler(device.type, enabled=False)

    best = dict.fromkeys(sources, (0.0, 0.0))
    for turn in range(rounds + 1):
        for name, source in sources.items():
            found = run_epoch(config, 0, method, method, optimizer, scaler, source).summary()
            if turn:
                best[name] = max(best[name], (found["images_per_second"], 1 - found["device_busy"]))
    return best


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table for every recipe and size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="crops of vehicles, .jpg")
    parser.add_argument("--recipe", nargs="+", default=["baseline", "val"], choices=("baseline", "val"))
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="side of the views, px")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", metavar="BACKBONE", help="measure trainings of this network instead")
    parser.add_argument("--batch", type=int, default=8, help="images per step of a training, a multiple of 4")
    parser.add_argument("--steps", type=int, default=4, help="per round of a training")
    default = TrainConfig.model_fields["workers"].default
    parser.add_argument("--workers", type=int, default=default, help=f"of a training [{default}]")
    arguments = parser.parse_args(argv)
    found = pictures_below(arguments.folder)
    paths = [found[i % len(found)] for i in range(arguments.pictures)]
    height, width, _ = np.median([read_image(path).shape for path in found], axis=0)
    print(f"{len(found)} pictures, median {width:.0f} x {height:.0f} px")
    if arguments.step:
        _print_trainings(arguments, found)
        return 0
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


def _print_trainings(arguments: argparse.Namespace, paths: Sequence[Path]) -> None:
    shared = {name: getattr(arguments, name) for name in ("batch", "steps", "rounds", "workers")}
    for side in arguments.size:
        best = training_speed(arguments.step, paths, side, **shared)
        (speed, waiting), (from_memory, _) = best["loader"], best["memory"]
        print(
            f"{arguments.step}, {side} px, batch {arguments.batch}: {speed:.2f} images/s, {100 * waiting:.1f} % of "
            f"the time waiting for data; {from_memory:.2f} from memory: {100 * speed / from_memory:.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
