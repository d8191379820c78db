"""The detector's training: from published weights, on rendered and real pictures, within a given time.

The time is the budget because processors differ: the learning rate follows the share of it that is over, batch by
batch, so that it has fallen to its end when the time is up, whatever else the machine does. Steps may be counted
instead.
"""

from __future__ import annotations

import copy
import csv
import math
import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from mtmc.errors import WeightsError
from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import Array
from tools.detector.augment import TileRule, burn_in, compose, cut_tile, degrade
from tools.detector.dataset import Labels, list_examples, read_labels, read_picture
from tools.detector.losses import Targets, detection_loss
from tools.detector.network import NAMES, YoloxNano, load_published

__all__ = ["Part", "TrainingPlan", "draw_batch", "learning_rate", "load_network", "save_network", "train"]

_WARM_STEPS = 50
_LAST_SHARE = 0.02  # of the learning rate, when the time is up
_MOSAIC_SHARE = 0.3  # of the tiles that are composed of four
_MOSAIC_SCALE = 0.75  # of the pictures in these, beside those in other tiles
_BURN_IN_SHARE = 0.35  # of the tiles over which a camera writes
_PLAIN_FROM = 0.8  # share of the time after which none is
_LARGEST_GRADIENT = 10.0
_LOG_STEPS = 25
_COLUMNS = ("step", "minutes", "rate", "box", "object", "class")


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures of one kind.

    Attributes:
        folder: In the layout of :mod:`tools.detector.dataset`; its ``train`` part is used.
        share: Of the tiles that come from it, relative to the other parts' shares.
        prefix: Only pictures whose names begin so.
    """

    folder: Path
    share: float = 1.0
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how to train.

    Attributes:
        minutes: Wall time.
        steps: Most steps; None: the time alone ends the training.
        batch: Tiles per step.
        peak: Largest learning rate (AdamW).
        seed: Of the order and of augmentation.
        threads: Of torch.
        average: Decay per step of the moving average of the weights, which is what is kept.
        save_minutes: Wall time between checkpoints.
        tiles: How tiles are cut.
    """

    minutes: float
    steps: int | None = None
    batch: int = 8
    peak: float = 0.001
    seed: int = 1
    threads: int = 1
    average: float = 0.997
    save_minutes: float = 4.0
    tiles: TileRule = field(default_factory=TileRule)


def learning_rate(peak: float, step: int, share: float) -> float:
    """A linear rise over the first steps times half a cosine over the time.

    Args:
        peak: The largest.
        step: Batches before this one.
        share: Of the time that is over, 0…1.

    >>> learning_rate(0.001, 10_000, 0.0), learning_rate(0.001, 10_000, 1.0)
    (0.001, 2e-05)
    """
    fall = _LAST_SHARE + (1 - _LAST_SHARE) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return peak * min(1.0, (step + 1) / _WARM_STEPS) * fall


def train(start: Path, parts: Sequence[Part], out: Path, plan: TrainingPlan) -> Path:
    """Fine-tune YOLOX-Nano.

    Args:
        start: The published ``.onnx`` file, or a checkpoint of an earlier training.
        parts: Where tiles come from.
        out: Folder for checkpoints (``last.pt``, and one of each ``save_minutes``) and ``losses.csv``.
        plan: How.

    Returns:
        ``out/last.pt``: the averaged weights.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    network = load_network(start).to(memory_format=torch.channels_last).train()
    # What photographs taught the first layers of edges and textures stays, and half of the time is saved.
    network.backbone.stem.requires_grad_(False)
    network.backbone.stage2.requires_grad_(False)
    averaged = copy.deepcopy(network)
    kernels = [value for value in network.parameters() if value.requires_grad and value.ndim > 1]
    biases = [value for value in network.parameters() if value.requires_grad and value.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.peak)

    clock = _Clock(plan.minutes * 60, plan.steps)
    saves = 0
    with (out / "losses.csv").open("w", encoding="utf-8", newline="") as file, progress_bar("train", "s") as progress:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        recent: list[list[float]] = []
        for step, (images, targets) in enumerate(_batches(parts, plan, clock)):
            rate = learning_rate(plan.peak, step, clock.share)
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses = detection_loss(network(images), targets, (images.shape[2], images.shape[3]))
            total = torch.stack(list(losses.values())).sum()
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            _follow(averaged, network, min(plan.average, (step + 1) / (step + 10)))

            recent.append(torch.stack(list(losses.values())).tolist())
            if len(recent) == _LOG_STEPS:
                means = np.mean(recent, axis=0).tolist()
                table.writerow([step + 1, round(clock.seconds / 60, 2), f"{rate:.2e}", *(f"{v:.4f}" for v in means)])
                file.flush()
                recent = []
            if clock.seconds > (saves + 1) * plan.save_minutes * 60:
                saves += 1
                save_network(averaged, out / f"after_{round(saves * plan.save_minutes):03d}.pt")
            progress(min(int(clock.seconds), int(plan.minutes * 60)), int(plan.minutes * 60))
    return save_network(averaged, out / "last.pt")


def load_network(path: Path) -> YoloxNano:
    """The network of a checkpoint, or of the published file.

    Raises:
        WeightsError: It is neither.
    """
    if path.suffix == ".onnx":
        return load_published(path)
    network = YoloxNano(len(NAMES))
    try:
        network.load_state_dict(torch.load(path, weights_only=True))
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as cause:
        raise WeightsError("is no checkpoint of this network", path=path) from cause
    return network


def save_network(network: YoloxNano, path: Path) -> Path:
    """Write a checkpoint."""
    with atomic_path(path) as file:
        torch.save(network.state_dict(), file)
    return path


def draw_batch(
    examples: Sequence[Sequence[tuple[Path, Path]]],
    shares: Array,
    plan: TrainingPlan,
    mosaic: float,
    rng: np.random.Generator,
) -> tuple[Tensor, list[Targets]]:
    """Tiles and what is in them.

    Args:
        examples: Pictures and labels of each part.
        shares: float (parts,), how often each part is drawn from; they sum to 1.
        plan: How large tiles and batches are.
        mosaic: Share of the tiles that are composed of four.
        rng: Of everything.

    Returns:
        float (B, 3, size, size), BGR, 0…255, and its targets.
    """
    smallest, largest = plan.tiles.widths
    half = TileRule(plan.tiles.size // 2, (_MOSAIC_SCALE * smallest, _MOSAIC_SCALE * largest), plan.tiles.stretch)

    def draw(rule: TileRule) -> tuple[Array, Labels]:
        chosen = examples[int(rng.choice(len(examples), p=shares))]
        picture, text = chosen[int(rng.integers(len(chosen)))]
        image = read_picture(picture)
        return cut_tile(image, read_labels(text, (image.shape[1], image.shape[0])), rule, rng)

    images, targets = [], []
    for _ in range(plan.batch):
        composed = rng.random() < mosaic
        tile, labels = compose([draw(half) for _ in range(4)], plan.tiles.size) if composed else draw(plan.tiles)
        if rng.random() < _BURN_IN_SHARE:
            tile = burn_in(tile, labels, rng)
        images.append(degrade(tile, rng))
        targets.append(Targets(torch.tensor(labels.xyxy, dtype=torch.float32), torch.tensor(labels.class_id)))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return pixels.contiguous(memory_format=torch.channels_last), targets


class _Clock:
    """Seconds since it was made, steps taken, and the share of the budget of either that is spent."""

    def __init__(self, seconds: float, steps: int | None) -> None:
        self._began, self._seconds, self._steps = time.monotonic(), seconds, steps
        self.step = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def share(self) -> float:
        of_steps = 0.0 if self._steps is None else self.step / self._steps
        return max(self.seconds / self._seconds, of_steps)


def _batches(parts: Sequence[Part], plan: TrainingPlan, clock: _Clock) -> Iterator[tuple[Tensor, list[Targets]]]:
    """Batches until the time is up."""
    rng = np.random.default_rng(plan.seed)
    examples = [_of_part(part) for part in parts]
    shares = np.array([part.share for part in parts])
    shares /= shares.sum()
    while clock.share < 1:
        mosaic = _MOSAIC_SHARE if clock.share < _PLAIN_FROM else 0.0
        yield draw_batch(examples, shares, plan, mosaic, rng)
        clock.step += 1


def _of_part(part: Part) -> list[tuple[Path, Path]]:
    return [example for example in list_examples(part.folder, "train") if example[0].name.startswith(part.prefix)]


@torch.no_grad()
def _follow(averaged: YoloxNano, network: YoloxNano, decay: float) -> None:
    """Move the averaged weights toward the present ones."""
    for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
