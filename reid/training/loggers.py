"""Programs that draw the curves of a training: TensorBoard, Weights & Biases. All receive the same figures."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

from reid.config import TrainConfig
from reid.errors import MissingDependency
from reid.training import distributed

__all__ = ["Logger", "TensorBoard", "WeightsAndBiases", "make_loggers"]


class Logger(Protocol):
    """A receiver of the figures of every epoch."""

    def write(self, epoch: int, values: dict[str, float], /) -> None:
        """Take the figures of an epoch, counted from 0."""

    def close(self) -> None:
        """Finish what was written."""


def make_loggers(config: TrainConfig, first: int) -> list[Logger]:
    """The loggers that a configuration names, in the main process; ``first`` is the epoch to begin with.

    Raises:
        MissingDependency: The package of one of them is not installed.
    """
    if not distributed.is_main():
        return []
    loggers: list[Logger] = []
    if config.tensorboard:
        loggers.append(TensorBoard(config.output, first))
    if config.wandb is not None:
        loggers.append(WeightsAndBiases(config.wandb, config.output, config.model_dump(mode="json")))
    return loggers


class TensorBoard:
    """Events in the folder of the training.

    Args:
        folder: Where to.
        first: Events of this epoch and later ones, from a run that was killed, are not shown.

    Raises:
        MissingDependency: The package is not installed.
    """

    def __init__(self, folder: Path, first: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as cause:
            remedy = "pip install tensorboard, or set tensorboard to false"
            raise MissingDependency("tensorboard: true needs the package", remedy=remedy) from cause
        self._events = SummaryWriter(folder, purge_step=first)

    def write(self, epoch: int, values: dict[str, float], /) -> None:
        """Add one event per figure."""
        for name, value in values.items():
            self._events.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Write what is left."""
        self._events.close()


class WeightsAndBiases:
    """A run of a project of Weights & Biases; a training that goes on continues its run.

    Args:
        project: Its name.
        folder: Of the training; decides the run's name and identifier, and takes its files.
        choices: The configuration, shown beside the curves.

    Raises:
        MissingDependency: The package is not installed.
    """

    def __init__(self, project: str, folder: Path, choices: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError as cause:
            remedy = "pip install wandb, or leave wandb out"
            raise MissingDependency(f"wandb: {project} needs the package", remedy=remedy) from cause
        identifier = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._run = wandb.init(
            project=project,
            name=folder.name,
            id=identifier,
            resume="allow",
            dir=str(folder),
            config=choices,
            allow_val_change=True,  # a training that goes on may have been given more epochs
        )

    def write(self, epoch: int, values: dict[str, float], /) -> None:
        """Log the figures at step ``epoch``."""
        self._run.log(values, step=epoch)

    def close(self) -> None:
        """End the run."""
        self._run.finish()
