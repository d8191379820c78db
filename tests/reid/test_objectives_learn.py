"""Each choice of pooling and loss teaches a small network what tells six patterns apart, on pictures of any color."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate
from reid.inference import Embedder
from reid.torch_loader import runner
from reid.training.build import build_method
from reid.training.checkpoint import make_card, open_checkpoint
from reid.training.engine import train

SIDE, IDENTITIES = 32, 6


def pictures(folder: Path, count: int, rng: np.random.Generator) -> tuple[Record, ...]:
    """An identity is the height of a bar; the colors of bar and background say nothing."""
    records = []
    for identity in range(IDENTITIES):
        for shot in range(count):
            image = np.full((SIDE, SIDE, 3), rng.integers(30, 226, 3), np.float64)
            image[4 + 4 * identity : 8 + 4 * identity] = rng.integers(0, 256, 3)
            noisy = np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)
            path = folder / f"{identity}_{shot}_{count}.png"
            cv2.imwrite(str(path), noisy)
            records.append(Record(path, identity, shot % 2))
    return tuple(records)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "gem"},
        {"classifier": "arcface", "triplet_weight": 0.0},
        {"classifier": "cosface", "triplet_weight": 0.0},
        {"classifier": "circle", "triplet_weight": 0.0},
        {"pair_loss": "circle"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_retrieval_of_new_pictures_rises(options: dict[str, Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    learned, asked = pictures(tmp_path, 8, rng), pictures(tmp_path, 6, rng)
    config = make_config(
        {
            "method": "baseline",
            "backbone": "resnet18_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], "triplet_on": "embedding", **options},
            "schedule": {
                "epochs": 30,
                "batch": 24,
                "images_per_identity": 4,
                "warm_up_epochs": 0,
                "learning_rate": 3e-3,
                "decay": "cosine",
            },
            "output": str(tmp_path / "run"),
            "device": "cpu",
            "workers": 0,
        }
    )
    split = DatasetSplit("bars", "folder", learned)
    method, _ = build_method(config, split, torch.device("cpu"))
    start = Embedder(make_card(config, method), runner(method.embedder.eval()))
    trained = open_checkpoint(train(config, split))
    scores = []
    for embedder in (start, Embedder(trained.card, runner(trained.embedder))):
        crops = Embeddings.of(extract(embedder, asked, threads=1), asked)
        scores.append(evaluate(crops, crops).map)
    assert scores[0] < 0.3
    assert scores[1] > scores[0] + 0.1
