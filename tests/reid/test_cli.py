"""The commands of ``reid``."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, save

from reid.card import read_card
from reid.cli import main
from reid.errors import ReidError


@pytest.fixture
def weights(tmp_path):
    """A network that gives the mean of each channel of 4 × 4 pictures."""
    path = tmp_path / "means.onnx"
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["images"], ["embedding"], axes=[2, 3], keepdims=0)],
        "means",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def folder(tmp_path):
    """A blue picture and, in a subfolder, a red one; and a text file."""
    root = tmp_path / "crops"
    (root / "b").mkdir(parents=True)
    cv2.imwrite(str(root / "blue.png"), np.full((9, 5, 3), (255, 0, 0), np.uint8))
    cv2.imwrite(str(root / "b" / "red.png"), np.full((5, 9, 3), (0, 0, 255), np.uint8))
    (root / "notes.txt").write_text("not a picture")
    return root


def test_card_then_embed(weights, folder, tmp_path, capsys):
    mean = ["--mean", "0,0,0", "--std", "1,1,1"]
    assert main(["card", str(weights), "--size", "4x4", *mean, "--license", "MIT"]) == 0
    card = read_card(tmp_path / "means.json")
    assert (card.size_hw, card.dim, card.mean, card.license) == ((4, 4), 3, (0, 0, 0), "MIT")
    assert capsys.readouterr().out.strip() == str(tmp_path / "means.json")

    expected = [[1, 0, 0], [0, 0, 1]]
    assert main(["embed", str(folder), "-w", str(weights), "--out", str(tmp_path / "out" / "x.npz")]) == 0
    with np.load(tmp_path / "out" / "x.npz") as saved:
        assert saved["path"].tolist() == ["b/red.png", "blue.png"]
        np.testing.assert_allclose(saved["embedding"], expected)

    assert main(["embed", str(folder), "-w", str(weights), "--out", str(tmp_path / "x.parquet")]) == 0
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["path"].to_pylist() == ["b/red.png", "blue.png"]
    np.testing.assert_allclose(table["embedding"].to_pylist(), expected)


def test_errors_are_one_sentence_and_exit_code_2(weights, folder, tmp_path, capsys):
    embed = ["embed", str(folder), "-w", str(weights), "--out"]
    assert main([*embed, str(tmp_path / "x.npz")]) == 2
    assert "have no card" in capsys.readouterr().err
    assert main([*embed, str(tmp_path / "x.csv")]) == 2
    assert "ends in .npz or .parquet" in capsys.readouterr().err
    assert main(["card", str(weights), "--size", "big"]) == 2
    assert "expected height x width" in capsys.readouterr().err
    with pytest.raises(ReidError, match="have no card"):
        main(["--debug", *embed, str(tmp_path / "x.npz")])


@pytest.mark.parametrize(
    "options",
    [
        ["evaluate", "-d", "folder", "--seed", "-1"],
        ["embed", "--out", "x.npz", "--threads", "-3"],
        ["efficiency", "--runs", "0"],
    ],
)
def test_numbers_that_are_too_small_are_refused_before_any_work(weights, folder, capsys, options):
    command, *rest = options
    where = [] if command == "efficiency" else [str(folder)]
    with pytest.raises(SystemExit):
        main([command, *where, "-w", str(weights), *rest])
    assert f"argument {rest[-2]}: expected a whole number from" in capsys.readouterr().err


def test_names_that_are_not_utf_8_go_into_npz_alone(weights, folder, tmp_path, capsys):
    main(["card", str(weights), "--size", "4x4"])
    (folder / "blue.png").rename(os.fsdecode(os.fsencode(folder) + b"/blue\xff.png"))
    embed = ["embed", str(folder), "-w", str(weights), "--out"]
    assert main([*embed, str(tmp_path / "x.npz")]) == 0
    with np.load(tmp_path / "x.npz") as saved:
        assert [os.fsencode(name) for name in saved["path"].tolist()] == [b"b/red.png", b"blue\xff.png"]
    assert main([*embed, str(tmp_path / "x.parquet")]) == 2
    assert r"got 'blue\udcff.png'; rename this file, or write .npz" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.parquet"))


def test_a_picture_that_cannot_be_read_is_named(weights, folder, tmp_path, capsys):
    main(["card", str(weights), "--size", "4x4"])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    assert main(["embed", str(folder), "-w", str(weights), "--out", str(tmp_path / "x.npz")]) == 2
    assert "broken.jpg" in capsys.readouterr().err
    assert not list(tmp_path.glob("*x*.npz"))
    (tmp_path / "empty").mkdir()
    assert main(["embed", str(tmp_path / "empty"), "-w", str(weights), "--out", str(tmp_path / "x.npz")]) == 2
    assert "expected a folder with pictures" in capsys.readouterr().err


def test_help_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "embed" in out
    assert "card" in out
