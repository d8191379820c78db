"""The training loop: any method, on one device or several, resumed after a kill to the same bits.

Every epoch starts from a seed of its own, and every image brings the seed of its augmentation along; so a checkpoint
between epochs needs no state of a random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from reid import distributed, saving
from reid.config import TrainConfig, load_split, make_config
from reid.data import DatasetSplit
from reid.data.loader import Crops, make_loader
from reid.data.records import Record, class_labels
from reid.data.sampler import Draw, IdentityBatches, ShuffledBatches
from reid.data.views import Recipe
from reid.device import derived_seed, mixed_precision, pick_device
from reid.errors import ConfigError, DataError
from reid.methods import METHODS
from reid.methods.base import BaseMethod, Material, Setup
from reid.networks import build
from reid.networks.base import Backbone
from reid.runlog import Meter, RunLog
from reid.schedule import Schedule, rate

__all__ = ["build_method", "train"]


def train(config: TrainConfig, split: DatasetSplit | None = None) -> Path:
    """Train, or go on with a training that was interrupted.

    Args:
        config: What to train; ``config.output`` holds the result.
        split: The data set, if it is at hand already; its test part is not looked at, except for the pictures of
            the gallery where the method is told to learn from them without labels.

    Returns:
        The checkpoint's folder.

    Raises:
        ConfigError: Choices contradict each other, or ``config.output`` holds another training.
        DataError: Data are missing, features collapsed, or the loss is no longer finite.
        WeightsError: Start weights or a checkpoint are no good.
    """
    device = pick_device(config.device)
    with distributed.session(device):
        return _train(config, split or load_split(config.data), device)


def _train(config: TrainConfig, split: DatasetSplit, device: torch.device) -> Path:
    folder = config.output / "checkpoint"
    method, setup = build_method(config, split, device)
    with distributed.main_first():
        material = method.prepare(setup)
    method.to(device)
    optimiser = _optimiser(method, config.schedule)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
    first = saving.resume(config, folder, method, optimiser, scaler)
    crops = Crops(
        material.records, method.views, labels=material.labels, mean=method.backbone.mean, std=method.backbone.std
    )
    batches = _batches(config, material)
    loader = make_loader(crops, batches, workers=config.workers, pin_memory=device.type == "cuda")
    module = _shared(method, device)
    log = RunLog(config.output, first, tensorboard=config.tensorboard)
    for epoch in range(first, config.schedule.epochs):
        torch.manual_seed(derived_seed(config.seed, 1 + epoch, distributed.rank()))
        method.train()
        method.epoch_start(epoch, setup)
        batches.epoch = epoch
        meter = _epoch(config, epoch, method, module, optimiser, scaler, loader)
        distributed.average_buffers(method)
        log.write(epoch, {"rate": rate(config.schedule, epoch), **meter.summary()})
        if (epoch + 1) % config.save_every == 0 or epoch + 1 == config.schedule.epochs:
            saving.save(folder, config, setup, epoch + 1, method, optimiser, scaler)
    log.close()
    return folder


def _epoch(
    config: TrainConfig,
    epoch: int,
    method: BaseMethod,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: Any,
    loader: Any,
) -> Meter:
    """One pass over the training set."""
    meter = Meter()
    steps = len(loader)
    source = iter(loader)
    device = next(method.parameters()).device
    title = f"epoch {epoch + 1}/{config.schedule.epochs}"
    for step in tqdm(range(steps), title, disable=None if distributed.is_main() else True, leave=False):
        with meter.waiting():
            batch = next(source)
        batch = batch.to(device)
        for group in optimiser.param_groups:
            factor = rate(config.schedule, epoch, epoch * steps + step)
            group["lr"] = config.schedule.learning_rate * group["height"] * factor
        with mixed_precision(config.precision, device):
            loss, logs = module(batch)
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        method.after_step(batch)
        meter.add(len(batch.label), loss, logs)
        if step < 3 or step % config.check_every == 0 or step == steps - 1:
            meter.check(epoch, step)
    return meter


def build_method(
    config: TrainConfig, split: DatasetSplit | None, device: torch.device, *, classes: int = 0, fresh: bool = True
) -> tuple[BaseMethod, Setup]:
    """The method with its networks, before any earlier stage.

    Args:
        config: What to train.
        split: The data; None to build what a checkpoint fits into.
        device: Where it will compute.
        classes: Number of identities, if ``split`` does not tell.
        fresh: Start from the configured weights; otherwise from noise, to be overwritten.
    """
    records = split.train if split is not None else ()
    if split is not None and not records:
        raise DataError(f"{split.name} has no training images", remedy="choose another data set or option")
    material = Material(records, class_labels(records))
    network = partial(_network, config, fresh)
    setup = Setup(
        config=config.options,
        network=network,
        material=material,
        unlabelled=split.gallery if split is not None else (),
        classes=classes or material.classes,
        device=device,
        precision=config.precision,
        seed=config.seed,
        folder=config.output / "stages",
        extract=partial(_extract, config, device),
        train=partial(_train_stage, config, split, device),
    )
    torch.manual_seed(derived_seed(config.seed, 0, 0))
    return METHODS[config.method].method(setup).to(device), setup


def _network(config: TrainConfig, fresh: bool, *, name: str | None = None, **choices: Any) -> Backbone:
    """A backbone: the configured one, or another by name with weights of its own."""
    weights = choices.pop("weights", None) if name else config.weights
    return build(
        name or config.backbone,
        pretrained=fresh and config.pretrained,
        weights=weights if fresh else None,
        **choices,
    )


def _train_stage(
    config: TrainConfig,
    split: DatasetSplit | None,
    device: torch.device,
    name: str,
    options: dict[str, Any],
    schedule: dict[str, Any],
    output: Path,
) -> nn.Module:
    """Train another method on the same data as an earlier stage, and give its deployed network."""
    from reid.trained import open_checkpoint

    split = split or load_split(config.data)
    whole = config.model_dump() | {"method": name, "options": options, "output": output}
    whole["schedule"] = config.schedule.model_dump() | schedule
    return open_checkpoint(_train(make_config(whole), split, device)).embedder


def _extract(
    config: TrainConfig,
    device: torch.device,
    network: Callable[[Tensor], Tensor],
    records: Sequence[Record],
    recipe: Recipe,
    backbone: Backbone,
) -> Tensor:
    """Features of records in their order, float32 (N, d) on the CPU; the mode of the network is the caller's."""
    crops = Crops(records, [recipe], labels=np.zeros(len(records), np.int64), mean=backbone.mean, std=backbone.std)
    draws = [Draw(i, i) for i in range(len(records))]
    parts = [draws[i : i + 64] for i in range(0, len(draws), 64)]
    found = []
    with torch.no_grad(), mixed_precision(config.precision, device):
        for batch in make_loader(crops, parts, workers=config.workers, pin_memory=device.type == "cuda"):
            found.append(network(batch.views[0].to(device)).float().cpu())
    return torch.cat(found)


def _batches(config: TrainConfig, material: Material) -> Any:
    schedule = config.schedule
    shared: dict[str, int] = {
        "seed": config.seed,
        "rank": distributed.rank(),
        "world_size": distributed.world_size(),
    }
    if not schedule.images_per_identity:
        return ShuffledBatches(len(material.records), schedule.batch, **shared)
    identities, rest = divmod(schedule.batch, schedule.images_per_identity)
    if rest or not identities:
        raise ConfigError(
            f"a batch of {schedule.batch} images cannot hold {schedule.images_per_identity} of each identity",
            remedy="make schedule.batch a multiple of schedule.images_per_identity",
        )
    return IdentityBatches(material.labels, identities, schedule.images_per_identity, **shared)


def _optimiser(method: BaseMethod, schedule: Schedule) -> torch.optim.Optimizer:
    groups = method.parameter_groups(schedule)
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=schedule.nesterov, weight_decay=schedule.weight_decay)
    kind = torch.optim.Adam if schedule.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, weight_decay=schedule.weight_decay)


def _shared(method: BaseMethod, device: torch.device) -> nn.Module:
    """The method itself, or with gradients averaged over all processes.

    Buffers are not sent at every step: a dictionary may be large, and running statistics are averaged once per epoch.
    """
    if distributed.world_size() == 1:
        return method
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(method, device_ids=ids, broadcast_buffers=False)
