"""Two processes on the CPU train as one: same weights, same center, same dictionary."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reid.methods import METHODS
from reid.training import distributed
from reid.training.checkpoint_files import read_json, read_training

_PROGRAM = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from reid.training import checkpoint, distributed, engine
from reid.config import make_config
from reid.data import DatasetSplit, Record
from safetensors.torch import save_file

name, folder = sys.argv[1], Path(sys.argv[2])
method = "baseline" if name == "accumulated" else name
records = tuple(Record(p, int(p.name[:2]), int(p.name[3])) for p in sorted((folder / "crops").glob("*.png")))
config = make_config({
    "method": method, "backbone": "osnet_x0_25", "pretrained": False, "device": "cpu", "workers": 0,
    "data": {"name": "folder", "root": "unused"}, "output": str(folder / name),
    "options": {"size_hw": [32, 32], **{
        "ssbver": {"local_views": 1, "local_size_hw": [16, 16], "outputs": 16, "hidden": 16},
        "ssml": {"mine_from_epoch": 1, "share": 0.2}, "baseline": {}, "val": {"views": 1},
        "sgfd": {"window": 3, "encoder": "resnet18_x0_25"},
        "slsr": {"generated": 4, "clusters": 2, "feature_epochs": 1, "gan_epochs": 1, "gan_batch": 4, "gan_width": 1,
                 "gan_side": 32}}[method]},
    "schedule": {"epochs": 2, "batch": 4, "images_per_identity": 0 if method in ("ssml", "slsr") else 2,
                 "warm_up_epochs": 0,
                 **({"accumulate": 2, "clip_norm": 1.0, "scale_rate": "linear"} if name == "accumulated" else {})},
    **({"evaluate_every": 1, "validation": {"held_out": 0.34}} if name == "accumulated" else {}),
})
kept = {}
save = checkpoint.save
def spy(folder_, config_, setup, done, trained, *rest):
    kept.update({k: v.clone(memory_format=torch.contiguous_format) for k, v in trained.state_dict().items()})
    save(folder_, config_, setup, done, trained, *rest)
    save_file(kept, folder / f"{name}_{distributed.rank()}.safetensors")
checkpoint.save = spy
engine.train(config, DatasetSplit("city", "folder", records))
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS, "accumulated"])
def test_two_processes_end_up_with_the_same_network(method: str, tmp_path: Path) -> None:
    import cv2
    import numpy as np
    from safetensors.torch import load_file

    (tmp_path / "crops").mkdir()
    rng = np.random.default_rng(0)
    for vehicle in range(6):
        for shot in range(4):
            image = np.full((32, 32, 3), 30 * vehicle, np.uint8) + rng.integers(0, 30, (32, 32, 3), np.uint8)
            cv2.imwrite(str(tmp_path / f"crops/{vehicle:02d}_{shot}.png"), image)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "program.py").write_text(_PROGRAM)
    running = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py"), method, str(tmp_path)],
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-2000:]
    first, second = (load_file(tmp_path / f"{method}_{rank}.safetensors") for rank in (0, 1))
    for name, value in first.items():
        assert torch.allclose(value.float(), second[name].float(), atol=1e-6), name
    state, _ = read_training(tmp_path / method)
    assert read_json(tmp_path / method)["processes"] == 2
    if method == "accumulated":
        assert read_json(tmp_path / method / "best")["best"]["map"] > 0
    if method == "slsr":  # one of them trained the stages, the other one found their files
        assert len(list((tmp_path / "slsr/stages/generated").glob("*.png"))) == 4
    if method == "ssml":
        assert state["dictionary"].norm(dim=1).allclose(torch.ones(24), atol=1e-5)


def test_alone_everything_is_the_identity() -> None:
    x = torch.arange(3.0)
    assert distributed.world_size() == 1
    assert distributed.rank() == 0
    assert distributed.is_main()
    assert distributed.average(x) is x
    assert torch.equal(distributed.gather(x), x)
    with distributed.main_first(), distributed.session(torch.device("cpu")):
        distributed.average_buffers(torch.nn.BatchNorm1d(2))
    assert distributed.broadcast(x) is x
