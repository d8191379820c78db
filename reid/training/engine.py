"""The training loop: any method, on one device or several, resumed after a kill to the same bits.

Every epoch starts from a seed of its own, and every image brings the seed of its augmentation along; so a checkpoint
between epochs needs no state of a random generator.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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
from reid.training.loggers import make_loggers
from reid.training.logging import Meter, RunLog
from reid.training.optimizer import make_optimizer, set_learning_rates, update
from reid.training.schedule import full_rate
from reid.training.validation import digest_of, divide, score

__all__ = ["batch_loader", "make_batches", "run_epoch", "train"]

_LOG = logging.getLogger(__name__)


def train(config: TrainConfig, split: DatasetSplit | None = None) -> Path:
    """Train, or go on with a training that was interrupted.

    Args:
        config: What to train; ``config.output`` holds the result.
        split: The data set, if it is at hand already, in place of ``config.data``. Its test part is used for the
            scores of ``config.evaluate_every`` alone, and the pictures of its gallery where the method's options ask
            to learn from them without labels.

    Returns:
        The checkpoint's folder; with ``config.evaluate_every`` the best network so far is in ``best`` beside it.

    Raises:
        ConfigError: Choices contradict each other or are not possible on this machine, or ``config.output`` holds
            another training.
        DataError: Data are missing, features collapsed, or the loss is no longer finite.
        WeightsError: Start weights or a checkpoint are no good.
        MissingDependency: The package of a logger is not installed.
    """
    device = pick_device(config.device)
    with distributed.session(device):
        splits = [load_split(data) for data in config.data] if split is None else [split]
        learned, tests = divide(config, splits)
        return _train(config, learned, device, tests)


def _train(
    config: TrainConfig, split: DatasetSplit, device: torch.device, tests: Sequence[DatasetSplit] = ()
) -> Path:
    folder, schedule = config.output / "checkpoint", config.schedule
    method, context = build_method(config, split, device, train_stage=partial(_train_stage, config, split, device))
    first = checkpoint.epochs_to_continue_from(config, folder, context)
    loggers = make_loggers(config, first)  # before the stages of a method, which take hours: a package may be missing
    with distributed.main_first():
        training_data = method.prepare(context)
    method = _placed(config, method, device)
    optimizer = make_optimizer(method, schedule)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
    best = checkpoint.restore(folder, method, optimizer, scaler) if first else None
    measured_on = digest_of(tests)
    if tests and first < schedule.epochs:
        best = _comparable(best, measured_on, config.output / "best")

    batches = make_batches(config, training_data)
    loader = batch_loader(config, method, training_data, batches, device)
    backbone = [parameter for parameter in method.backbone.parameters() if parameter.requires_grad]
    module: nn.Module | None = None
    log = RunLog(config.output, first, loggers)
    _announce(config, context, first, device)
    for epoch in range(first, schedule.epochs):
        torch.manual_seed(derived_seed(config.seed, 1 + epoch, distributed.rank()))
        method.train()
        if module is None or epoch == schedule.freeze_epochs:
            for parameter in backbone:
                parameter.requires_grad_(epoch >= schedule.freeze_epochs)
            module = _wrapped(config, method, device)
        method.epoch_start(epoch, context)
        batches.epoch = epoch
        with _compilation(config):
            meter = run_epoch(config, epoch, method, module, optimizer, scaler, loader)
        distributed.average_buffers(method)
        is_last = epoch + 1 == schedule.epochs
        figures = meter.summary()
        scores: dict[str, float] = {}
        if tests and distributed.is_main() and (is_last or (epoch + 1) % config.evaluate_every == 0):
            scores = score(method, context, tests)
            shown = ", ".join(f"{name.removeprefix('validation/')} {value:.3f}" for name, value in scores.items())
            _LOG.info("validation after epoch %d: %s", epoch + 1, shown)
            if best is None or scores["validation/map"] > best.map:
                best = checkpoint.Best(epoch + 1, scores["validation/map"], measured_on)
                checkpoint.save(config.output / "best", config, context, epoch + 1, method, optimizer, scaler, best)
        log.write(epoch, {**figures, **scores}, of=schedule.epochs)
        # Also after every evaluation, so that a training that goes on compares with the best network so far.
        if scores or is_last or (epoch + 1) % config.save_every == 0:
            checkpoint.save(folder, config, context, epoch + 1, method, optimizer, scaler, best)
    log.close()
    if best is not None and distributed.is_main():
        _LOG.info("best mAP %.3f after epoch %d: %s", best.map, best.epoch, config.output / "best")
    return folder


def _comparable(best: checkpoint.Best | None, measured_on: str, folder: Path) -> checkpoint.Best | None:
    """The best network so far if it is there and its score is of the validation data of those to come, else None."""
    if best is not None and not folder.is_dir():
        if distributed.is_main():
            _LOG.warning("%s is gone: the next network measured is the best so far", folder)
        return None
    if best is None or best.measured_on == measured_on:
        return best
    if distributed.is_main():
        _LOG.warning(
            "the validation data have changed: the best network so far (mAP %.3f after epoch %d) was measured on "
            "others, so the comparison starts again and the next network measured replaces it in best",
            best.map,
            best.epoch,
        )
    return None


def _placed(config: TrainConfig, method: BaseMethod, device: torch.device) -> BaseMethod:
    """The method on its device, as ``schedule.sync_batch_norm`` and ``speed`` want it.

    Raises:
        ConfigError: Several processes on the CPU cannot share batch statistics.
    """
    method.to(device)
    if config.speed.channels_last:
        method.to(memory_format=torch.channels_last)
    if config.speed.cudnn_benchmark:
        torch.backends.cudnn.benchmark = True
    if config.schedule.sync_batch_norm and distributed.world_size() > 1:
        if device.type != "cuda":
            raise ConfigError(
                f"schedule.sync_batch_norm: torch shares batch statistics between GPUs only, not on {device}",
                remedy="set it to false",
            )
        distributed.shared_statistics(method)
    return method


def _announce(config: TrainConfig, context: MethodContext, first: int, device: torch.device) -> None:
    if not distributed.is_main():
        return
    data = f"{len(context.training_data.records)} pictures of {context.training_data.classes} identities"
    start = f"from epoch {first + 1}" if first else "from the start"
    epochs = config.schedule.epochs
    _LOG.info("%s with %s on %s, %s: %s, %d epochs", config.method, config.backbone, device, data, start, epochs)
    schedule, processes = config.schedule, distributed.world_size()
    images = schedule.batch * schedule.accumulate * processes
    if images > schedule.batch:
        height = full_rate(schedule, processes)
        parts = f"batch {schedule.batch} x {schedule.accumulate} accumulated x {processes} process(es)"
        scaled = "not scaled with the processes" if schedule.scale_rate == "none" else f"scaled {schedule.scale_rate}"
        _LOG.info("%d images per update (%s): learning rate %.3g, %s", images, parts, height, scaled)


def batch_loader(
    config: TrainConfig, method: BaseMethod, training_data: TrainingData, batches: Any, device: torch.device
) -> Any:
    """The method's views of the training pictures in batches, read by ``config.workers`` processes."""
    crops = CropDataset(
        training_data.records,
        method.views,
        labels=training_data.labels,
        mean=method.backbone.mean,
        std=method.backbone.std,
    )
    return make_loader(crops, batches, workers=config.workers, pin_memory=device.type == "cuda")


def run_epoch(
    config: TrainConfig,
    epoch: int,
    method: BaseMethod,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    loader: Any,
) -> Meter:
    """One pass over the training set: an update after every ``accumulate`` steps, and after the last one."""
    meter = Meter()
    steps, accumulate = len(loader), config.schedule.accumulate
    source = iter(loader)
    device = next(method.parameters()).device
    title = f"epoch {epoch + 1}/{config.schedule.epochs}"
    for step in tqdm(range(steps), title, disable=None if distributed.is_main() else True, leave=False):
        with meter.waiting():
            batch = next(source)
        batch = batch.to(device)
        if config.speed.channels_last:
            batch = batch.channels_last()
        iteration = epoch * math.ceil(steps / accumulate) + step // accumulate
        learning_rate = set_learning_rates(
            optimizer, config.schedule, epoch, iteration, processes=distributed.world_size()
        )
        together = min(accumulate, steps - step // accumulate * accumulate)
        completes = step % accumulate == together - 1
        with nullcontext() if completes else distributed.own_gradients(module):
            with mixed_precision(config.precision, device):
                loss, logs = module(batch)
            scaler.scale(loss / together).backward()
        if completes:
            meter.add_update(update(optimizer, scaler, config.schedule.clip_norm))
            method.after_update()
        method.after_step(batch)
        meter.add(len(batch.label), loss, logs, learning_rate)
        if step < 3 or step % config.check_every == 0 or step == steps - 1:
            meter.check(epoch, step)
        meter.report(f"{title}, step {step + 1}/{steps}")
    return meter


def _train_stage(
    config: TrainConfig,
    split: DatasetSplit,
    device: torch.device,
    name: str,
    options: dict[str, Any],
    schedule: dict[str, Any],
    output: Path,
) -> nn.Module:
    """Train another method on the same data as an earlier stage, and give its deployed network."""
    whole = config.model_dump() | {"method": name, "options": options, "output": output}
    whole |= {"evaluate_every": 0, "validation": {}, "wandb": None}
    whole["schedule"] = config.schedule.model_dump() | schedule
    return checkpoint.open_checkpoint(_train(make_config(whole), split, device), device).embedder


def make_batches(config: TrainConfig, training_data: TrainingData) -> Any:
    """Which pictures form a batch, by identities or at random; its ``epoch`` seeds the order.

    Raises:
        ConfigError: ``schedule.batch`` is not a multiple of ``schedule.images_per_identity``, or no identity has two
            pictures.
    """
    schedule = config.schedule
    shared: dict[str, int] = {
        "seed": config.seed,
        "rank": distributed.rank(),
        "world_size": distributed.world_size(),
    }
    if not schedule.images_per_identity:
        return ShuffledBatches(len(training_data.records), schedule.batch, **shared)
    if schedule.images_per_identity > 1 and len(np.unique(training_data.labels)) == len(training_data.labels):
        raise ConfigError(
            f"a batch cannot hold {schedule.images_per_identity} images of each identity: every picture here is an "
            "identity of its own",
            remedy="set schedule.images_per_identity to 0",
        )
    identities, rest = divmod(schedule.batch, schedule.images_per_identity)
    if rest or not identities:
        raise ConfigError(
            f"a batch of {schedule.batch} images cannot hold {schedule.images_per_identity} of each identity",
            remedy="make schedule.batch a multiple of schedule.images_per_identity",
        )
    return IdentityBatches(training_data.labels, identities, schedule.images_per_identity, **shared)


def _wrapped(config: TrainConfig, method: BaseMethod, device: torch.device) -> nn.Module:
    """The method itself, or with gradients averaged over all processes, or compiled.

    Buffers are not sent at every step: a dictionary may be large, and running statistics are averaged once per epoch.
    """
    module: nn.Module = method
    if distributed.world_size() > 1:
        ids = [device.index] if device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)  # its successor is too new
            module = nn.parallel.DistributedDataParallel(method, device_ids=ids, broadcast_buffers=False)
    return torch.compile(module) if config.speed.compile else module


@contextmanager
def _compilation(config: TrainConfig) -> Iterator[None]:
    """Name ``speed.compile`` where torch cannot compile the step, which it does at the first one.

    Raises:
        ConfigError: A compiler is missing, or the network cannot be compiled.
    """
    if not config.speed.compile:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as cause:
        reason = str(getattr(cause, "inner_exception", cause)).partition("\n")[0]
        raise ConfigError(
            f"speed.compile: torch cannot compile the training step here ({reason})",
            remedy="install what it names, such as a C++ compiler, or set speed.compile to false",
        ) from cause
