"""The detector's training: from random weights, by Ultralytics, within a given time.

The time is the budget because processors differ: the learning rate follows the share of it that is over, batch by
batch, so that it has fallen to its end when the time is up, whatever else the machine does.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

from tools.detector.restore import NETWORK
from tools.detector.tiles import TILE_PX

__all__ = ["learning_rate", "train"]

_WARM_STEPS = 150
_LAST_SHARE = 0.02  # of the learning rate, when the time is up
_PLAIN_FROM = 0.7  # share of the time after which pictures are no longer composed of four


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


def train(
    data: Path,
    out: Path,
    *,
    hours: float,
    seed: int,
    start: Path | None = None,
    peak: float = 0.001,
    batch: int = 8,
    threads: int = 1,
    device: str = "cpu",
) -> Path:
    """Train a YOLOv5-nano with an anchor-free head (2.65 M parameters, one class) on tiles of the city.

    Args:
        data: The tiles' ``data.yaml``.
        out: Folder for weights, settings and the losses of every epoch.
        hours: Wall time without the validation at the end.
        seed: Of weights, order and augmentation.
        start: Weights of an earlier run of this function to go on from; None starts from random ones.
        peak: Largest learning rate (AdamW).
        batch: Tiles per optimiser step.
        threads: Of torch, on a processor.
        device: ``cpu`` or a graphics card's number.

    Returns:
        The last weights, ``out/weights/last.pt``: so short a schedule leaves nothing to choose by validation.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(threads)
    model = YOLO(NETWORK if start is None else str(start))
    clock = _Clock(hours * 3600, peak)
    for event, action in clock.actions().items():
        model.add_callback(event, action)
    model.train(
        data=str(data),
        project=str(out.parent.resolve()),
        name=out.name,
        exist_ok=True,
        epochs=10_000,  # the clock ends it
        imgsz=TILE_PX,
        batch=batch,
        nbs=batch,  # Ultralytics would add up the gradients of 64 pictures before each step: too few steps here
        device=device,
        workers=0 if device == "cpu" else 8,
        amp=device != "cpu",
        pretrained=start is not None,
        optimizer="AdamW",
        lr0=peak,
        warmup_epochs=0,
        weight_decay=0.01,
        mosaic=0.5,
        close_mosaic=0,
        scale=0.5,
        translate=0.15,
        fliplr=0.5,
        hsv_h=0.02,
        hsv_s=0.6,
        hsv_v=0.5,
        seed=seed,
        patience=0,
        val=False,
        plots=False,
    )
    return out / "weights" / "last.pt"


class _Clock:
    """Sets the learning rate before each batch, and ends the training."""

    def __init__(self, seconds: float, peak: float) -> None:
        self._seconds, self._peak = seconds, peak
        self._began, self._step, self._plain = 0.0, 0, False

    def actions(self) -> dict[str, Any]:
        """Ultralytics' events that it listens to."""
        return {
            "on_train_start": self._begin,
            "on_train_epoch_start": self._open_epoch,
            "on_train_batch_start": self._set_rate,
            "on_train_batch_end": self._look,
        }

    @property
    def _share(self) -> float:
        return (time.monotonic() - self._began) / self._seconds

    def _begin(self, trainer: Any) -> None:
        self._began = time.monotonic()

    def _open_epoch(self, trainer: Any) -> None:
        if self._plain:  # workers made before the change still compose
            trainer.train_loader.reset()

    def _set_rate(self, trainer: Any) -> None:
        for group in trainer.optimizer.param_groups:
            group["lr"] = learning_rate(self._peak, self._step, self._share)
        self._step += 1

    def _look(self, trainer: Any) -> None:
        trainer.stop = trainer.stop or self._share >= 1
        if self._share >= _PLAIN_FROM and not self._plain:
            self._plain = True
            trainer._close_dataloader_mosaic()
        if self._step % 100 == 0:
            trainer.save_model()  # nothing is lost if the machine stops
