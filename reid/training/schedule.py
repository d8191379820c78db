"""How a method is trained: batches, optimizer, and the learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from reid.settings import Condition, Settings, UsedWhen

__all__ = ["Schedule", "full_rate", "rate"]


class Schedule(Settings):
    """Length, batches and optimizer of a training; the rate follows :func:`rate`."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        "nesterov": UsedWhen("schedule.optimizer", "=", "sgd"),
        "warm_up_start": UsedWhen("schedule.warm_up_epochs", ">", 0),
        "milestones": UsedWhen("schedule.decay", "=", "steps"),
        "step_factor": UsedWhen("schedule.decay", "=", "steps"),
        "cosine_end": UsedWhen("schedule.decay", "=", "cosine"),
        "cosine_epochs": UsedWhen("schedule.decay", "=", "cosine"),
    }

    epochs: int = Field(..., ge=1, description="passes over the training set")
    batch: int = Field(..., ge=2, description="images per step and process")
    accumulate: int = Field(
        1,
        ge=1,
        description="batches whose mean gradient makes one update; triplets and batch norms see one batch",
    )
    images_per_identity: int = Field(
        4, ge=0, description="images of each identity in a batch; 0 draws images regardless of identity"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="sgd has momentum 0.9")
    nesterov: bool = Field(False, description="look-ahead momentum, for sgd")
    learning_rate: float = Field(..., gt=0, description="base learning rate, that of the backbone")
    new_layers: float = Field(1.0, gt=0, description="learning rate of all else, relative to the backbone's")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="learning rate of a layer of the backbone, relative to the layer above it"
    )
    freeze_epochs: int = Field(0, ge=0, description="first epochs in which the backbone's weights stay as they are")
    freeze_statistics: bool = Field(
        False, description="the backbone's batch norms use and keep the statistics of the start weights"
    )
    scale_rate: Literal["none", "linear", "sqrt"] = Field(
        "none", description="factor of the learning rate for n processes: 1, n, or the square root of n"
    )
    weight_decay: float = Field(5e-4, ge=0, description="per step, relative to the learning rate")
    decay_all: bool = Field(True, description="decay every parameter; false leaves out biases, norms and embeddings")
    clip_norm: float | None = Field(None, gt=0, description="largest Euclidean norm of an update's gradient")
    fused: bool = Field(False, description="optimizer in one kernel where the device has it; rounds differently")
    sync_batch_norm: bool = Field(False, description="batch statistics over all processes, on GPUs")
    warm_up_epochs: int = Field(0, ge=0, description="epochs of linear rise to the full rate")
    warm_up_start: float = Field(0.01, gt=0, le=1, description="share of the rate in the first epoch of the rise")
    decay: Literal["steps", "cosine", "inverse"] = Field(
        "steps", description="steps: times step_factor at each milestone; cosine; inverse: a slow power per iteration"
    )
    milestones: tuple[int, ...] = Field((), description="epochs at which steps lower the rate")
    step_factor: float = Field(0.1, gt=0, le=1, description="factor at each milestone")
    cosine_end: float = Field(0.0, ge=0, le=1, description="share of the rate that cosine decay ends at")
    cosine_epochs: int | None = Field(
        None, ge=1, description="epoch at which cosine_end is reached; a second cosine then leads to 0; default: last"
    )

    @model_validator(mode="after")
    def _statistics_are_frozen_or_shared(self) -> Schedule:
        if self.freeze_statistics and self.sync_batch_norm:
            raise ValueError("frozen statistics cannot be shared: set freeze_statistics or sync_batch_norm to false")
        return self


def full_rate(schedule: Schedule, processes: int) -> float:
    """The base learning rate, by ``scale_rate`` for the number of processes."""
    factor = {"none": 1.0, "linear": float(processes), "sqrt": math.sqrt(processes)}
    return schedule.learning_rate * factor[schedule.scale_rate]


def rate(schedule: Schedule, epoch: int, iteration: int = 0) -> float:
    """The learning rate as a share of the base rate.

    Args:
        schedule: The choices.
        epoch: From 0.
        iteration: Steps taken since the training began; only ``inverse`` decay uses it.
    """
    if epoch < schedule.warm_up_epochs:
        done = epoch / max(1, schedule.warm_up_epochs - 1)
        return schedule.warm_up_start + (1 - schedule.warm_up_start) * done
    if schedule.decay == "inverse":
        return float((1 + 0.1 * iteration) ** -0.025)
    if schedule.decay == "steps":
        return float(schedule.step_factor ** sum(epoch >= m for m in schedule.milestones))
    turn = schedule.cosine_epochs or schedule.epochs - 1
    if epoch <= turn:
        return _cosine(epoch - schedule.warm_up_epochs, turn - schedule.warm_up_epochs, 1.0, schedule.cosine_end)
    return _cosine(epoch - turn, schedule.epochs - 1 - turn, schedule.cosine_end, 0.0)


def _cosine(done: int, length: int, start: float, end: float) -> float:
    share = min(1.0, done / length) if length > 0 else 1.0
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
