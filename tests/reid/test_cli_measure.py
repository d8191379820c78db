"""The commands that measure and show: evaluate, efficiency, explain."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
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


def test_evaluate_measures_pairs_expansion_and_intervals(crops: Path, weights: str, tmp_path: Path, capsys) -> None:
    command = ["evaluate", str(crops), "-d", "folder", "-w", weights, "--data-option", "held_out=1", "--flip"]
    out = tmp_path / "out"
    assert main([*command, "--expand", "2", "--plots", str(out), "--out", str(out / "scores.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        "folder",
        "folder, expanded by 2",
        "folder, expanded by 2, α = 3",
        "pairs",
    ]
    assert lines[1].endswith("; 95 %: mAP 100.00 to 100.00, R1 100.00 to 100.00")
    # Twelve queries, each beside two pictures of its own vehicle by the other camera and twenty of others.
    assert re.fullmatch(
        r"pairs: TAR 100\.00 at FAR 0\.01; EER 0\.00 at similarity [\d.]+; 24 of one vehicle, 240 of two", lines[-1]
    )
    found = json.loads((out / "scores.json").read_text())
    assert (found["pairs"]["tar_at_far_0.01"], found["pairs"]["eer"]) == (1.0, 0.0)
    assert found["scores"][0]["r1_interval"] == [1.0, 1.0]
    assert found["scores"][0]["minp"] == 1.0
    assert {path.name for path in out.iterdir()} == {"cmc.png", "roc.png", "scores.json"}
    assert main([*command, "--roc"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == lines[-1]
    with pytest.raises(SystemExit):
        main([*command, "--expand", "0"])
    assert "expected a whole number from 1, got 0" in capsys.readouterr().err


def test_a_data_set_is_measured_by_another_of_its_protocols(tmp_path: Path, weights: str, capsys) -> None:
    for n in range(1, 8):
        picture(tmp_path / f"vid/image/000{n}.jpg")
    (tmp_path / "vid/train_test_split").mkdir()
    (tmp_path / "vid/train_test_split/train_list.txt").write_text("0001 10\n")
    listed = "\n".join(f"000{n} {20 + n // 4}" for n in range(2, 8))  # two pictures of one vehicle, four of another
    (tmp_path / "vid/train_test_split/test_list_800.txt").write_text(listed + "\n")
    command = ["evaluate", str(tmp_path / "vid"), "-d", "vehicleid", "-w", weights]
    command += ["--data-option", "check_counts=false", "--out", str(tmp_path / "scores.json")]
    for options, draws in (([], 10), (["--protocol", "vehicleid-one-draw"], 1)):
        assert main([*command, *options]) == 0
        (found,) = json.loads((tmp_path / "scores.json").read_text())["scores"]
        assert (found["draws"], found["queries"]) == (draws, 4 * draws)
    said = answer([*command, "--protocol", "veriwild-own-camera"], capsys)
    assert said.endswith("these are: vehicleid-800 by vehicleid, vehicleid-one-draw")


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
        (["-d", "folder", "--data-option", "veri776.seed=1"], "no data set veri776 is measured; -d names folder"),
        (["-d", "folder", "--data-option", "seed"], "--data-option seed: expected key=value; for example"),
        (["-d", "veri776"], "expected a folder of pictures, found nothing"),
    ],
)
def test_errors_are_one_sentence(crops: Path, weights: str, capsys, arguments: list[str], message: str) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(crops), "-w", weights, *arguments]) == 2
    assert message in capsys.readouterr().err


def answer(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that a command ends with."""
    capsys.readouterr()
    assert main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((12, 14, 3), 90, np.uint8))


def test_data_that_cannot_be_measured_are_named(tmp_path: Path, weights: str, capsys) -> None:
    for vehicle in range(4):
        for n in range(2):
            picture(tmp_path / f"one/{vehicle}/gate/{n}.jpg")
    one = ["evaluate", str(tmp_path / "one"), "-d", "folder", "-w", weights]
    said = answer(one, capsys)
    assert "the camera rule leaves out pictures by the query's own camera" in said
    assert said.endswith("give pictures of the same vehicles by at least two cameras")
    said = answer([*one, "--data-option", "held_out=0"], capsys)
    assert "one holds nothing out for retrieval: its gallery is empty; raise held_out" in said

    for part, camera in (("train", 1), ("train", 2), ("query", 1), ("test", 2)):
        picture(tmp_path / f"veri/image_{part}/0008_c00{camera}_00000008_0.jpg")
    (tmp_path / "veri/test_track.txt").write_text("0008_c002_1 0008_c002_00000008_0.jpg\n")
    veri = ["evaluate", str(tmp_path / "veri"), "-d", "veri776", "--data-option", "check_counts=false", "-w", weights]
    assert "the identity 8 occurs in training and in retrieval" in answer(veri, capsys)

    lists = {"train_list": "0001 10", "test_list_800": "0002 20\n0003 21"}
    for name, text in lists.items():
        (tmp_path / "vid/train_test_split").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"vid/train_test_split/{name}.txt").write_text(text + "\n")
    for n in (1, 2, 3):
        picture(tmp_path / f"vid/image/000{n}.jpg")
    vid = ["evaluate", str(tmp_path / "vid"), "-d", "vehicleid", "--data-option", "check_counts=false", "-w", weights]
    assert "every identity has one picture" in answer(vid, capsys)


def test_pairs_need_two_vehicles_and_plots_a_folder(crops: Path, tmp_path: Path, weights: str, capsys) -> None:
    one = tmp_path / "one"
    one.mkdir()
    (crops / "0").rename(one / "0")
    common = ["-d", "folder", "-w", weights, "--data-option", "held_out=1"]
    said = answer(["evaluate", str(one), *common, "--roc"], capsys)
    assert said.startswith("reid: one: all pictures show one vehicle")
    assert said.endswith("give pictures of at least two vehicles, or leave --roc and --plots out")
    (tmp_path / "file").touch()
    said = answer(["evaluate", str(crops), *common, "--plots", str(tmp_path / "file")], capsys)
    assert "file/cmc.png: cannot write a picture here; give a name that ends in" in said


def test_plots_of_equally_named_data_sets_lie_apart(crops: Path, tmp_path: Path, weights: str) -> None:
    shutil.copytree(crops, tmp_path / "other/crops")
    plots = tmp_path / "plots"
    both = [str(crops), str(tmp_path / "other/crops"), "-d", "folder", "-d", "folder"]
    assert main(["evaluate", *both, "-w", weights, "--data-option", "held_out=1", "--plots", str(plots)]) == 0
    assert sorted(path.name for path in plots.iterdir()) == ["crops-1", "crops-2"]


def test_one_answer_is_enough_for_scores_and_pictures(tmp_path: Path, weights: str, capsys) -> None:
    for camera in ("north", "south"):
        picture(tmp_path / f"crops/7/{camera}/0.jpg")
    command = ["evaluate", str(tmp_path / "crops"), "-d", "folder", "--data-option", "held_out=1", "-w", weights]
    assert main([*command, "--pictures", str(tmp_path / "out")]) == 0
    assert "folder: mAP 100.00, R1 100.00" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["torch", "safetensors", "timm"])
def test_a_base_install_is_told_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def without(*arguments: object) -> None:
        raise ModuleNotFoundError(f"No module named '{package}.nn'", name=f"{package}.nn")

    monkeypatch.setattr("reid.config.load_config", without)
    said = answer(["train", str(tmp_path / "train.yaml")], capsys)
    assert said == f"reid: reid train needs the package {package}; pip install 'mtmc[torch]'"


def test_train_without_torch(tmp_path: Path) -> None:
    """The command itself, where nothing can import torch."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "reid", "train", "any.yaml"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 2
    assert done.stderr == "reid: reid train needs the package torch; pip install 'mtmc[torch]'\n"


def test_exported_files_cannot_be_explained(tmp_path: Path, capsys) -> None:
    assert main(["efficiency", str(tmp_path / "x.onnx")]) == 2
    assert "expected weights that run in torch" in capsys.readouterr().err
