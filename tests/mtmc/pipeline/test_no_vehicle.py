"""The reason given for a run without vehicles is the true one, and frame numbers may be of any size."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.cli import main


def rows(identity: int = -1, score: float = 0.9, first: int = 1, step: int = 1, count: int = 40) -> str:
    return "".join(f"{first + step * k},{identity},{10 + 4 * k},20,40,30,{score},-1,-1,-1\n" for k in range(count))


def run(tmp_path: Path, kind: str, text: str, *settings: str) -> int:
    path = tmp_path / "S02" / "c006" / kind / f"{kind}.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    options = [word for text in ("render.report=false", *settings) for word in ("-o", text)]
    return main(
        ["run", "--videos", str(tmp_path / "S02"), "--out", str(tmp_path / "out"), "--workers", "1", *options]
    )


@pytest.mark.parametrize(
    ("kind", "text", "settings", "says"),
    [
        ("det", rows(score=0.0), (), "40 detections were read, all with a score of 0 or below; a score of 0 marks"),
        ("det", rows(score=-0.35), (), "40 detections were read, all with a score of 0 or below"),
        ("det", rows(), ("track.n_init=1000",), "40 detections were read, 40 of them with a score above 0, and none"),
        ("det", "", (), "the detection files hold no row of any frame"),
        ("det", rows(), ("clean.filter.min_duration_s=60",), "1 tracks, all of which clean-up left out"),
        ("mtsc", rows(), (), "none of 40 rows of tracklets has an identity, all are −1"),
        ("mtsc", rows(3, 0.0), (), "1 tracks were read, whose 40 rows all have a score of 0 or below"),
        ("mtsc", rows(3, -0.5), (), "1 tracks were read, whose 40 rows all have a score of 0 or below"),
        ("mtsc", rows(3), ("clean.filter.min_duration_s=60",), "1 tracks were read, all of which clean-up left out"),
        ("mtsc", "# none\n", (), "the tracklet files hold no rows"),
    ],
)
def test_the_reason_is_the_true_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, text: str, settings: tuple[str, ...], says: str
) -> None:
    assert run(tmp_path, kind, text, *settings) == 2
    [problem] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mtmc: ")]
    assert problem.startswith(f"mtmc: no vehicle in 1 camera: {says}")
    assert "confidence" not in problem


KEEP = ("postprocess.min_displacement=0", "clean.filter.min_displacement=0")


@pytest.mark.parametrize("kind", ["det", "mtsc"])
@pytest.mark.parametrize("first", [1, 5_000_000, 1_683_000_000, 2**52])
def test_frame_numbers_may_be_counters(tmp_path: Path, kind: str, first: int) -> None:
    assert run(tmp_path, kind, rows(3, first=first), *KEEP) == 0
    frames = [int(line.split()[2]) for line in (tmp_path / "out" / "track1.txt").read_text().splitlines()]
    assert frames == list(range(first, first + 40))


def test_the_offset_of_files_from_zero(tmp_path: Path) -> None:
    for kind in ("det", "mtsc"):
        folder = tmp_path / kind
        assert run(folder, kind, rows(3, first=0), "input.frame_offset=1", *KEEP) == 0
        frames = [int(line.split()[2]) for line in (folder / "out" / "track1.txt").read_text().splitlines()]
        assert frames == list(range(1, 41))
