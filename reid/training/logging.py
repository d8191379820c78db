"""The log of a training: means of its losses, its speed, and checks that it does not diverge."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from reid.errors import DataError
from reid.methods.base import Logs
from reid.progress import REPORT_EVERY_S
from reid.training import distributed
from reid.training.loggers import Logger

__all__ = ["Meter", "RunLog"]

_LOG = logging.getLogger(__name__)

_COLLAPSED = 1e-4  # of "spread": one minus the mean cosine between the features of a batch


class Meter:
    """Sums over the steps of an epoch, kept on the device so that no step waits for them."""

    def __init__(self) -> None:
        self._begin, self._waited = perf_counter(), 0.0
        self._images = 0
        self._learning_rate = 0.0
        self._reported = self._begin
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._last: dict[str, Tensor] = {}

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent waiting for data."""
        start = perf_counter()
        yield
        self._waited += perf_counter() - start

    def add(self, images: int, loss: Tensor, logs: Logs, learning_rate: float) -> None:
        """Count a step: forward and backward pass of one batch, at the backbone's learning rate."""
        self._images += images
        self._learning_rate = learning_rate
        self._last = {"loss": loss.detach(), **logs}
        self._sum(self._last)

    def add_update(self, logs: Logs) -> None:
        """Count what an update of the parameters, after one step or several, tells of itself."""
        self._sum(logs)

    def _sum(self, logs: Logs) -> None:
        for name, value in logs.items():
            self._sums[name] = self._sums.get(name, 0) + value.float()
            self._counts[name] = self._counts.get(name, 0) + 1

    def check(self, epoch: int, step: int) -> None:
        """Look at the latest step.

        Raises:
            DataError: The loss is not finite, or all features of the batch are the same.
        """
        loss = float(self._last["loss"])
        where = f"in epoch {epoch + 1}, step {step + 1}"
        if not torch.isfinite(torch.tensor(loss)):
            parts = ", ".join(f"{k} {float(v):.3g}" for k, v in self._last.items())
            raise DataError(
                f"the loss is no longer a number {where} ({parts})",
                remedy="lower schedule.learning_rate, or set precision to fp32",
            )
        spread = self._last.get("spread")
        if spread is not None and float(spread) < _COLLAPSED:
            raise DataError(
                f"the features have collapsed {where}: all images of a batch have the same feature",
                remedy="lower schedule.learning_rate, lengthen schedule.warm_up_epochs, or check the images",
            )

    def report(self, where: str) -> None:
        """Log a line with loss, learning rate, speed and waiting, if the last one is :data:`REPORT_EVERY_S` ago."""
        now = perf_counter()
        if now - self._reported < REPORT_EVERY_S or not distributed.is_main():
            return
        self._reported = now
        seconds = now - self._begin
        _LOG.info(
            "%s: loss %.4g, learning rate %.3g, %.3g images/s, %.0f %% of the time waiting for data",
            where,
            float(self._last["loss"]),
            self._learning_rate,
            self._images * distributed.world_size() / seconds,
            100 * self._waited / seconds,
        )

    def summary(self) -> dict[str, float]:
        """The last learning rate, means of all that was logged, images per second of all processes, time not waited.

        ``device_busy`` is the share of the time that was not spent on waiting for data.
        """
        seconds = perf_counter() - self._begin
        means = {name: float(distributed.average(value)) / self._counts[name] for name, value in self._sums.items()}
        return {
            "learning_rate": self._learning_rate,
            **means,
            "seconds": seconds,
            "images_per_second": self._images * distributed.world_size() / seconds,
            "device_busy": 1 - self._waited / seconds,
        }


class RunLog:
    """One line of JSON per epoch in ``log.jsonl``, a line of text for the terminal, and the further loggers.

    Args:
        folder: Where to.
        first: The epoch to begin with; lines of it and later ones, from a run that was killed, are dropped.
        loggers: Further receivers of the figures; in the main process alone.
    """

    def __init__(self, folder: Path, first: int, loggers: Sequence[Logger] = ()) -> None:
        self._path, self._loggers = folder / "log.jsonl", loggers
        if not distributed.is_main():
            return
        folder.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [line for line in lines if json.loads(line)["epoch"] < first]
        self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def write(self, epoch: int, values: dict[str, float], *, of: int) -> None:
        """Add an epoch, from 0, ``of`` so many; the time left is what epochs like it would take."""
        if not distributed.is_main():
            return
        remaining_s = (of - epoch - 1) * values["seconds"]
        _LOG.info(
            "epoch %d/%d: loss %.4g, learning rate %.3g, %.3g images/s, %.0f %% of the time waiting for data%s",
            epoch + 1,
            of,
            values["loss"],
            values["learning_rate"],
            values["images_per_second"],
            100 * (1 - values["device_busy"]),
            f", {timedelta(seconds=round(remaining_s))} left" if remaining_s else "",
        )
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **values}) + "\n")
        for logger in self._loggers:
            logger.write(epoch, values)

    def close(self) -> None:
        """Let all of them finish."""
        for logger in self._loggers:
            logger.close()
