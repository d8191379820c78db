"""The commands that measure and show: evaluate, efficiency, explain."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid.cli import main  # noqa: E402


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Six vehicles, each of one color, in two cameras; identity/camera/*.png."""
    rng = np.random.default_rng(0)
    for vehicle, color in enumerate(rng.integers(0, 256, (6, 3))):
        for camera in ("north", "south"):
            folder = tmp_path / "crops" / f"{vehicle}" / camera
            folder.mkdir(parents=True)
            for n in range(2):
                noise = rng.integers(-9, 10, (12, 14, 3))
                cv2.imwrite(str(folder / f"{n}.png"), np.clip(color + noise, 0, 255).astype(np.uint8))
    return tmp_path / "crops"


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """The mean of each channel of 8 × 8 pictures, as TorchScript with a card."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    network[0].weight.data = torch.eye(3)[:, :, None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of torch want people off this format
        torch.jit.trace(network.eval(), torch.rand(1, 3, 8, 8)).save(str(tmp_path / "means.torchscript"))
    assert main(["card", str(tmp_path / "means.torchscript"), "--size", "8x8"]) == 0
    return str(tmp_path / "means.torchscript")


def test_evaluate_scores_and_shows(crops: Path, weights: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    command = ["evaluate", str(crops), "-d", "folder", "-w", weights, "--data-option", "held_out=1", "--rerank"]
    assert main([*command, "--out", str(out / "scores.json"), "--pictures", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "crops by folder (whole gallery, own camera left out)" in printed
    assert "folder: mAP 100.00, R1 100.00" in printed
    found = json.loads((out / "scores.json").read_text())
    assert [s["protocol"] for s in found["scores"]] == ["folder", "folder, re-ranked"]
    assert found["scores"][0]["queries"] == 12
    assert cv2.imread(str(out / "ranked_lists.png")).shape[0] > 10 * 96
    assert cv2.imread(str(out / "embedding.png")) is not None


def test_efficiency_counts(weights: str, tmp_path: Path, capsys) -> None:
    assert main(["efficiency", weights, "--warmup", "1", "--runs", "3", "--out", str(tmp_path / "cost.json")]) == 0
    assert "3 dimensions" in capsys.readouterr().out
    found = json.loads((tmp_path / "cost.json").read_text())
    assert (found["parameters"], found["macs"]) == (9, 9 * 64)
    assert [t["batch"] for t in found["timings"]] == [1, 64, 1, 64]


def test_explain_draws_the_pair(crops: Path, weights: str, tmp_path: Path, capsys) -> None:
    pair = [str(crops / "0" / camera / "0.png") for camera in ("north", "south")]
    assert main(["explain", *pair, "-w", weights, "--out", str(tmp_path / "pair.png")]) == 0
    assert float(capsys.readouterr().out.split()[-1]) > 0.99
    assert cv2.imread(str(tmp_path / "pair.png")).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-d", "veri"], "expected a data set (veri776, "),
        (["-d", "folder", "--data-option", "hold_out=1"], "got hold_out; did you mean held_out?"),
        (["-d", "folder", "--data-option", "seed"], "--data-option seed: expected key=value; for example"),
        (["-d", "veri776"], "expected a folder of pictures, found nothing"),
    ],
)
def test_errors_are_one_sentence(crops: Path, weights: str, capsys, arguments: list[str], message: str) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(crops), "-w", weights, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_exported_files_cannot_be_explained(tmp_path: Path, capsys) -> None:
    assert main(["efficiency", str(tmp_path / "x.onnx")]) == 2
    assert "expected weights that run in torch" in capsys.readouterr().err
