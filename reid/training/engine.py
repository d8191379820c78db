"""The training loop: any method, on one device or several, resumed after a kill to the same bits.

Every epoch starts from a seed of its own, and every image brings the seed of its augmentation along; so a checkpoint
between epochs needs no state of a random generator.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from reid.config import TrainConfig, load_split, make_config
from reid.data import DatasetSplit
from reid.data.loader import CropDataset, make_loader
from reid.data.sampler import IdentityBatches, ShuffledBatches
from reid.errors import ConfigError
from reid.methods.base import BaseMethod, MethodContext, TrainingData
from reid.training import checkpoint, distributed
from reid.training.build import build_method
from reid.training.device import derived_seed, mixed_precision, pick_device
from reid.training.logging import Meter, RunLog
from reid.training.schedule import Schedule, rate

__all__ = ["make_optimizer", "set_learning_rates", "train"]

_LOG = logging.getLogger(__name__)


def train(config: TrainConfig, split: DatasetSplit | None = None) -> Path:
    """Train, or go on with a training that was interrupted.

    Args:
        config: What to train; ``config.output`` holds the result.
        split: The data set, if it is at hand already; its test part is not used, except for the pictures of the
            gallery where the method's options ask to learn from them without labels.

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
    method, context = build_method(config, split, device, train_stage=partial(_train_stage, config, split, device))
    first = checkpoint.epochs_to_continue_from(config, folder, context)
    with distributed.main_first():
        training_data = method.prepare(context)
    method.to(device)
    optimizer = make_optimizer(method, config.schedule)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
    if first:
        checkpoint.restore(folder, method, optimizer, scaler)

    batches = _batches(config, training_data)
    loader = _loader(config, method, training_data, batches, device)
    module = _with_shared_gradients(method, device)
    log = RunLog(config.output, first, tensorboard=config.tensorboard)
    _announce(config, context, first, device)
    for epoch in range(first, config.schedule.epochs):
        torch.manual_seed(derived_seed(config.seed, 1 + epoch, distributed.rank()))
        method.train()
        method.epoch_start(epoch, context)
        batches.epoch = epoch
        meter = _epoch(config, epoch, method, module, optimizer, scaler, loader)
        distributed.average_buffers(method)
        log.write(epoch, {"rate": rate(config.schedule, epoch), **meter.summary()}, of=config.schedule.epochs)
        if (epoch + 1) % config.save_every == 0 or epoch + 1 == config.schedule.epochs:
            checkpoint.save(folder, config, context, epoch + 1, method, optimizer, scaler)
    log.close()
    return folder


def _announce(config: TrainConfig, context: MethodContext, first: int, device: torch.device) -> None:
    if not distributed.is_main():
        return
    data = f"{len(context.training_data.records)} pictures of {context.training_data.classes} identities"
    start = f"from epoch {first + 1}" if first else "from the start"
    epochs = config.schedule.epochs
    _LOG.info("%s with %s on %s, %s: %s, %d epochs", config.method, config.backbone, device, data, start, epochs)


def _loader(
    config: TrainConfig, method: BaseMethod, training_data: TrainingData, batches: Any, device: torch.device
) -> Any:
    crops = CropDataset(
        training_data.records,
        method.views,
        labels=training_data.labels,
        mean=method.backbone.mean,
        std=method.backbone.std,
    )
    return make_loader(crops, batches, workers=config.workers, pin_memory=device.type == "cuda")


def _epoch(
    config: TrainConfig,
    epoch: int,
    method: BaseMethod,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
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
        learning_rate = set_learning_rates(optimizer, config.schedule, epoch, epoch * steps + step)
        with mixed_precision(config.precision, device):
            loss, logs = module(batch)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        method.after_step(batch)
        meter.add(len(batch.label), loss, logs)
        if step < 3 or step % config.check_every == 0 or step == steps - 1:
            meter.check(epoch, step)
        meter.report(f"{title}, step {step + 1}/{steps}", learning_rate)
    return meter


def set_learning_rates(optimizer: torch.optim.Optimizer, schedule: Schedule, epoch: int, iteration: int) -> float:
    """Give every group of parameters its rate, ``learning_rate · lr_scale · rate(epoch)``; returns the backbone's."""
    learning_rate = schedule.learning_rate * rate(schedule, epoch, iteration)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["lr_scale"]
    return learning_rate


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
    split = split or load_split(config.data)
    whole = config.model_dump() | {"method": name, "options": options, "output": output}
    whole["schedule"] = config.schedule.model_dump() | schedule
    return checkpoint.open_checkpoint(_train(make_config(whole), split, device), device).embedder


def _batches(config: TrainConfig, training_data: TrainingData) -> Any:
    schedule = config.schedule
    shared: dict[str, int] = {
        "seed": config.seed,
        "rank": distributed.rank(),
        "world_size": distributed.world_size(),
    }
    if not schedule.images_per_identity:
        return ShuffledBatches(len(training_data.records), schedule.batch, **shared)
    identities, rest = divmod(schedule.batch, schedule.images_per_identity)
    if rest or not identities:
        raise ConfigError(
            f"a batch of {schedule.batch} images cannot hold {schedule.images_per_identity} of each identity",
            remedy="make schedule.batch a multiple of schedule.images_per_identity",
        )
    return IdentityBatches(training_data.labels, identities, schedule.images_per_identity, **shared)


def make_optimizer(method: BaseMethod, schedule: Schedule) -> torch.optim.Optimizer:
    """The optimizer of a schedule, with the groups of parameters that the method wants."""
    groups = method.parameter_groups(schedule)
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=schedule.nesterov, weight_decay=schedule.weight_decay)
    kind = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, weight_decay=schedule.weight_decay)


def _with_shared_gradients(method: BaseMethod, device: torch.device) -> nn.Module:
    """The method itself, or with gradients averaged over all processes.

    Buffers are not sent at every step: a dictionary may be large, and running statistics are averaged once per epoch.
    """
    if distributed.world_size() == 1:
        return method
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(method, device_ids=ids, broadcast_buffers=False)
