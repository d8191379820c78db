"""What swapping the embedder changes: the table by hand, and two embedders on a street of two cameras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import traffic_frames, write_video
from tools.bench.reid_in_tracking import main, table


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Two cameras that see the same two vehicles pass, with the truth of one of them."""
    folder = tmp_path / "street"
    truth = "".join(f"{f},1,{4 * f - 28},20,24,16,1,-1,-1,-1\n" for f in range(8, 40))
    for name in ("c001", "c002"):
        write_video(folder / f"{name}.mp4", traffic_frames(40, colors=((220, 40, 40), (40, 60, 220))))
        (folder / f"{name}_gt.txt").write_text(truth)
    return folder


def test_table_by_hand() -> None:
    """60 right, 20 wrong, 40 missed: IDP 60/80, IDR 60/100, IDF1 120/180. Both scenes together: 90, 20, 60."""
    found = {
        "H01": {"runs/a_s0.onnx": (60, 20, 40), "color_histogram": (0, 0, 100)},
        "H02": {"runs/a_s0.onnx": (30, 0, 20), "color_histogram": (50, 0, 0)},
    }
    assert table(found).splitlines() == [
        "| embedder | H01 | H02 | all | gain |",
        "|---|---|---|---|---|",
        "| a_s0 | 66.7/75.0/60.0 | 75.0/100.0/60.0 | 69.2/81.8/60.0 | +0.0 |",
        "| color_histogram | 0.0/0.0/0.0 | 100.0/100.0/100.0 | 50.0/100.0/33.3 | -19.2 |",
    ]


def test_detection_and_tracking_are_done_once(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("detect: {weights: motion}\nclean: {filter: {enabled: false}}\n")
    command = [str(street), "--embed", "color_histogram", "none", "--config", str(tmp_path / "run.yaml")]
    command += ["--out", str(tmp_path / "out")]
    assert main(command) == 0
    first = capsys.readouterr().out
    rows = [line for line in first.splitlines() if line.startswith("|")]
    assert [row.split(" ")[1] for row in rows[2:]] == ["color_histogram", "none"]
    parts = {
        path.parent.name: len(list(path.parent.glob("*.npz"))) for path in (tmp_path / "out").glob("*/cache/*/*.npz")
    }
    assert (parts["track"], parts["embed"]) == (2, 4)
    # A second time nothing is run.
    kept = json.loads((tmp_path / "out" / "street.json").read_text())
    assert set(kept) == {"color_histogram", "none"}
    (tmp_path / "out" / "street" / "scores.json").unlink()
    assert main(command) == 0
    assert capsys.readouterr().out == "\n".join(rows) + "\n"


def test_errors_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), "--embed", "color_histogram", "--out", str(tmp_path)]) == 2
    assert "nowhere" in capsys.readouterr().err
