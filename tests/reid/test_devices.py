"""A step of every method on a GPU that is only pretended: an operation on tensors of two devices is an error there.

PyTorch's fake tensors have shapes and devices but no values, so that no GPU is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.losses.margin import MARGINS
from reid.methods import METHODS, sgfd, slsr
from reid.methods.base import BaseMethod
from reid.training.build import build_method

SIDE, B = 32, 4
GPU = torch.device("cuda")
RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2, i % 2) for i in range(8))
OPTIONS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "ssml": {"dictionary_start": "zeros"},
    "ssbver": {"local_views": 1, "local_size_hw": [16, 16], "outputs": 8, "hidden": 16},
    "val": {},
    "sgfd": {"window": 3, "encoder": "resnet18_x0_25"},
    "slsr": {"generated": 2},
}


def method_of(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, backbone: str = "resnet18_x0_25", **options: Any
) -> BaseMethod:
    """The method on the CPU, its earlier stages done."""
    config = make_config(
        {
            "method": name,
            "backbone": backbone,
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **OPTIONS[name], **options},
            "output": str(folder),
        }
    )
    new = tuple(Record(Path(f"new{i}.png"), -1, -1) for i in range(2))
    monkeypatch.setattr(slsr.Method, "_clusters", lambda self, context: np.arange(8) % 2)
    monkeypatch.setattr(slsr.Method, "_generate", lambda self, context, clusters: (new, torch.tensor([0, 1])))
    method, context = build_method(config, DatasetSplit("tiny", "folder", RECORDS), torch.device("cpu"))
    method.prepare(context)
    return method.train()


def step_on_the_gpu(method: BaseMethod, sides: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with FakeTensorMode(shape_env=ShapeEnv()) as mode:
        state = {
            name: mode.from_tensor(tensor, static_shapes=True).to(GPU)
            for name, tensor in [*method.named_parameters(), *method.named_buffers()]
        }
        batch = Batch(
            [torch.zeros(B, 3, side, side) for side in sides],
            torch.zeros(len(sides), B, dtype=torch.bool),
            torch.zeros(B, dtype=torch.int64),
            torch.zeros(B, dtype=torch.int64),
            torch.zeros(B, dtype=torch.int64),
            torch.zeros(B, dtype=torch.int64),
        )
        found: tuple[torch.Tensor, dict[str, torch.Tensor]] = functional_call(method, state, (batch.to(GPU),))
        return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in METHODS),
        *((name, {"pooling": "gem"}) for name in METHODS),
        *(("baseline", {"classifier": kind, "pair_loss": "circle"}) for kind in MARGINS),
        ("baseline", {"backbone": "timm:test_vit", "camera_weight": 3.0}),
        ("ssml", {"objective": "triplet"}),
        ("ssbver", {"weight": 0.0}),
        ("sgfd", {"branches": "independent"}),
        ("slsr", {"noise_layer": "output"}),
    ],
)
def test_a_step_computes_where_the_batch_is(
    name: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = method_of(name, tmp_path, monkeypatch, **options)
    sides = [view.size_hw[0] for view in method.views]
    loss, logs = step_on_the_gpu(method, sides)
    assert loss.device.type == "cuda"
    assert {value.device.type for value in logs.values()} == {"cuda"}


def test_a_tensor_left_on_the_cpu_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rotate = sgfd.rotate
    monkeypatch.setattr(sgfd, "rotate", lambda images, turns: rotate(images, turns) + torch.zeros(B, 3, SIDE, SIDE))
    with pytest.raises(RuntimeError, match="device"):
        step_on_the_gpu(method_of("sgfd", tmp_path, monkeypatch), [SIDE])
