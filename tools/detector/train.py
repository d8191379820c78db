"""The detector's training: from random weights, by Ultralytics, within a given time."""

from __future__ import annotations

import os
from pathlib import Path

import torch

__all__ = ["train"]


def train(data: Path, out: Path, *, hours: float, threads: int, seed: int, device: str = "cpu") -> Path:
    """Train a YOLOv5-nano-size network (anchor-free head, 2.6 M parameters) on tiles of the city.

    Args:
        data: The tiles' ``data.yaml``.
        out: Folder for weights, curves and settings.
        hours: Wall time; the learning rate falls to its end within it.
        threads: Of torch, on a processor.
        seed: Of the weights, the order and the augmentation.
        device: ``cpu`` or a graphics card's number.

    Returns:
        The last weights, ``out/weights/last.pt``: with so short a schedule there is nothing to choose by validation.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from ultralytics import YOLO

    torch.set_num_threads(threads)
    model = YOLO("yolov5n.yaml")
    model.train(
        data=str(data),
        project=str(out.parent.resolve()),
        name=out.name,
        exist_ok=True,
        epochs=100,
        time=hours,
        imgsz=320,
        batch=16,
        device=device,
        workers=0 if device == "cpu" else 8,
        amp=device != "cpu",
        pretrained=False,
        optimizer="AdamW",
        lr0=0.002,
        lrf=0.01,
        cos_lr=True,
        warmup_epochs=0.3,
        weight_decay=0.01,
        mosaic=0.5,
        close_mosaic=2,
        scale=0.5,
        translate=0.15,
        fliplr=0.5,
        hsv_h=0.02,
        hsv_s=0.6,
        hsv_v=0.5,
        seed=seed,
        val=False,
        plots=False,
        save_period=1,
    )
    return out / "weights" / "last.pt"
