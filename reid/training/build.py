"""A method with its networks, as a configuration describes it: to be trained, or to be filled from a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reid.config import TrainConfig
from reid.data import DatasetSplit
from reid.data.loader import CropDataset, make_loader
from reid.data.records import Record, class_labels
from reid.data.sampler import Sample
from reid.data.views import AugmentationRecipe
from reid.errors import DataError
from reid.methods import METHODS
from reid.methods.base import BaseMethod, MethodContext, TrainingData
from reid.networks import build
from reid.networks.base import Backbone
from reid.networks.packaged import packaged_weights
from reid.progress import progress
from reid.training import distributed
from reid.training.device import derived_seed, mixed_precision

__all__ = ["build_method"]

#: Images per batch when features of many records are computed.
_EXTRACTION_BATCH = 64


def _no_earlier_stages(*arguments: Any) -> nn.Module:
    raise RuntimeError("build_method: expected train_stage, got none; this method trains an earlier stage first")


def build_method(
    config: TrainConfig,
    split: DatasetSplit | None,
    device: torch.device,
    *,
    classes: int = 0,
    cameras: tuple[int, ...] = (),
    fresh: bool = True,
    train_stage: Callable[..., nn.Module] = _no_earlier_stages,
) -> tuple[BaseMethod, MethodContext]:
    """The method with its networks, before any earlier stage.

    Args:
        config: What to train.
        split: The data; None to build what a checkpoint fits into.
        device: Where it will compute.
        classes: Number of identities, if ``split`` does not tell.
        cameras: Numbers of the training's cameras, likewise.
        fresh: Start from the configured weights; otherwise from noise, to be overwritten.
        train_stage: See :attr:`reid.methods.base.MethodContext.train`.

    Raises:
        DataError: The data set has no training images.
    """
    records = split.train if split is not None else ()
    if split is not None and not records:
        raise DataError(f"{split.name} has no training images", remedy="choose another data set or option")
    training_data = TrainingData(records, class_labels(records))
    context = MethodContext(
        config=config.options,
        network=partial(_network, config, fresh),
        network_facts=_network_facts(config),
        training_data=training_data,
        unlabeled=split.gallery if split is not None else (),
        classes=classes or training_data.classes,
        cameras=cameras or tuple(sorted({record.camera_id for record in records})),
        device=device,
        precision=config.precision,
        seed=config.seed,
        folder=config.output / "stages",
        extract=partial(_extract, config, device),
        train=train_stage,
    )
    torch.manual_seed(derived_seed(config.seed, 0, 0))
    return METHODS[config.method].method(context).to(device), context


def _network(config: TrainConfig, fresh: bool, *, name: str | None = None, **choices: Any) -> Backbone:
    """A backbone: the configured one with its pooling, or another by name with weights of its own."""
    weights = choices.pop("weights", None) if name else config.weights
    if name is None:
        choices |= {"pooling": config.options.pooling, "gem_p": config.options.gem_p}
    backbone = build(
        name or config.backbone,
        pretrained=fresh and config.pretrained,
        weights=weights if fresh else None,
        **choices,
    )
    if name is None and config.schedule.freeze_statistics:
        backbone.freeze_statistics()
    return backbone


def _network_facts(config: TrainConfig) -> tuple[Any, ...]:
    """What decides a network trained at an earlier stage, beside the method's own choices; JSON values."""
    weights = None
    packaged = packaged_weights(config.weights, config.backbone)
    if packaged is not None:
        weights = packaged.sha256
    elif config.weights is not None and config.weights.is_file():
        weights = hashlib.sha256(config.weights.read_bytes()).hexdigest()
    # A stage has a length of its own, so more epochs of the training itself change nothing.
    schedule = config.schedule.model_dump(mode="json", exclude={"epochs"})
    pooling = config.options.pooling, config.options.gem_p
    return config.backbone, config.pretrained, weights, *pooling, config.precision, schedule


def _extract(
    config: TrainConfig,
    device: torch.device,
    network: Callable[[Tensor], Tensor],
    records: Sequence[Record],
    recipe: AugmentationRecipe,
    backbone: Backbone,
) -> Tensor:
    """Features of records in their order, float32 (N, d) on the CPU; the mode of the network is the caller's."""
    crops = CropDataset(
        records, [recipe], labels=np.zeros(len(records), np.int64), mean=backbone.mean, std=backbone.std
    )
    samples = [Sample(i, i) for i in range(len(records))]
    batches = [samples[i : i + _EXTRACTION_BATCH] for i in range(0, len(samples), _EXTRACTION_BATCH)]
    loader = make_loader(crops, batches, workers=config.workers, pin_memory=device.type == "cuda")
    features = []
    with torch.no_grad(), mixed_precision(config.precision, device):
        for batch in progress(loader, f"features of {len(records)} pictures", shown=distributed.is_main()):
            features.append(network(batch.views[0].to(device)).float().cpu())
    return torch.cat(features)
