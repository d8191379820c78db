"""Retrieval with and without lookalikes by hand and on a tiny scene; threshold, curves and real pairs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch")

from mtmc.errors import ConfigError, FormatError
from mtmc.video.write import VideoWriter
from reid.evaluation.retrieval import Embeddings
from tools.embedder.__main__ import main
from tools.embedder.curves import draw_curves, join_logs
from tools.embedder.evaluate import evaluate_scene, looks_of, open_embedder, score
from tools.embedder.export import equal_error, pair_similarities
from tools.embedder.pairs import HsvHistogram, bootstrap_rank1, score_pairs
from tools.synthcity.film import write_records
from tools.synthcity.truth import Record


def record(camera: int, frame: int, vehicle: int, box: tuple[float, ...], **changes: object) -> Record:
    facts: dict[str, object] = dict(
        zip(Record.names(), [camera, frame, 0.0, vehicle, "sedan", "s", "red", False, *box, 0, 0, 1, 1], strict=False)
    )
    facts |= {"visibility": 1.0, "truncation": 0.0, "east_m": 0.0, "north_m": 0.0, "heading_rad": 0.0}
    facts |= {"speed_mps": 1.0, "length_m": 4.0 + vehicle / 1000, "width_m": 1.8, "height_m": 1.5}
    return Record(**(facts | changes))  # type: ignore[arg-type]


def at(degrees: list[float]) -> np.ndarray:
    turn = np.deg2rad(degrees)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def test_score_by_hand() -> None:
    """Vehicle 1 asks at 0°; its lookalike 2 stands nearer than itself, and a stranger 3 between its two pictures."""
    query = Embeddings(at([0.0]), np.array([1]), np.array([1]))
    gallery = Embeddings(
        at([1.0, 10.0, 20.0, 30.0, 40.0]), np.array([1, 2, 1, 3, 1]), np.array([1, 2, 2, 2, 3])
    )  # the first is of its own camera and does not count
    found = score(query, gallery, np.array([7]), np.array([7, 7, 7, 8, 7]))
    # With the lookalike the right answers are at ranks 2 and 4, without it at 1 and 3.
    assert found.map == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found.map_apart == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert (found.rank1, found.rank1_apart) == (0.0, 1.0)
    assert (found.queries, found.gallery, found.identities, found.lookalikes) == (1, 5, 1, 1)


def test_looks_are_shape_paint_and_size() -> None:
    box = (0.0, 0.0, 40.0, 40.0)
    rows = [
        record(1, 0, 1, box),
        record(2, 0, 2, box, length_m=4.001),
        record(2, 0, 3, box),
        record(2, 0, 4, box, length_m=4.001, colour="blue"),
    ]
    looks = looks_of(rows)
    assert looks[0] == looks[1]
    assert len({*looks.tolist()}) == 3


PAINT = {1: (200, 30, 30), 2: (30, 30, 200), 3: (30, 160, 30)}


def film(scene: Path, skipped: tuple[int, ...] = ()) -> None:
    """Two cameras, six frames, three boxes of plain paint on gray that stand still."""
    for camera in (1, 2):
        rows = []
        with VideoWriter(scene / f"c00{camera}" / "vdo.mp4", (192, 96), 10.0, crf=18) as video:
            for frame in range(6):
                image = np.full((96, 192, 3), 110, np.uint8)
                for vehicle, paint in PAINT.items():
                    left = 8 + 60 * (vehicle - 1)
                    image[20:64, left : left + 48] = paint
                    hidden = 0.3 if vehicle in skipped else 1.0
                    box = (float(left), 20.0, left + 48.0, 64.0)
                    rows.append(record(camera, frame, vehicle, box, visibility=hidden))
                video.write(image)
        write_records(rows, scene / f"c00{camera}" / "record.parquet")


def test_a_scene_of_plain_colors(tmp_path: Path) -> None:
    film(tmp_path)
    found = evaluate_scene(Path("color_histogram"), tmp_path, per_passage=2)
    assert (found.map, found.rank1) == (1.0, 1.0)
    assert (found.queries, found.gallery, found.identities, found.lookalikes) == (12, 12, 3, 0)


def test_hidden_vehicles_are_not_asked_for(tmp_path: Path) -> None:
    film(tmp_path, skipped=(2, 3))
    found = evaluate_scene(Path("color_histogram"), tmp_path, per_passage=4)
    assert (found.queries, found.identities) == (8, 1)


def test_errors_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected rendered cameras"):
        evaluate_scene(Path("color_histogram"), tmp_path)
    film(tmp_path, skipped=(1, 2, 3))
    with pytest.raises(FormatError, match="two cameras"):
        evaluate_scene(Path("color_histogram"), tmp_path)
    with pytest.raises(ConfigError):
        open_embedder(Path("none"))


def test_equal_error_by_hand() -> None:
    """At 0.5 one of four true pairs is missed (0.3) and one of four others passes (0.5)."""
    threshold, error = equal_error(np.array([0.3, 0.6, 0.8, 0.9]), np.array([0.1, 0.2, 0.25, 0.5]))
    assert (threshold, error) == (0.5, 0.25)
    # Where nothing overlaps, the lowest true pair.
    assert equal_error(np.array([0.7, 0.9]), np.array([0.1, 0.2])) == (0.7, 0.0)


def test_pairs_are_of_different_cameras_only() -> None:
    """Vehicle 1 at 0° and 60° by cameras 1 and 2, vehicle 2 at 90° by camera 2: pairs 1-1 at 60°, 1-2 at 90°."""
    tracklets = Embeddings(3.0 * at([0.0, 60.0, 90.0]), np.array([1, 1, 2]), np.array([1, 2, 2]))
    same, other = pair_similarities(tracklets)
    np.testing.assert_allclose(same, [0.5], atol=1e-12)
    np.testing.assert_allclose(other, [0.0], atol=1e-12)


def log(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    lines = [
        json.dumps(
            {"epoch": i, "seconds": 90, "learning_rate": 1, "loss": x, "identity": x, "triplet": 0.5, "spread": 0.9}
        )
        for i, x in enumerate(losses)
    ]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_curves_of_two_stages(tmp_path: Path) -> None:
    runs = [log(tmp_path / "first", [6.0, 5.0]), log(tmp_path / "second", [4.0])]
    rows = join_logs(runs)
    assert [(r["stage"], r["epoch"], r["minutes"], r["loss"]) for r in rows] == [
        (1, 1, 1.5, 6.0),
        (1, 2, 3.0, 5.0),
        (2, 3, 4.5, 4.0),
    ]
    picture = draw_curves(runs, tmp_path / "out")
    assert cv2.imread(str(picture)).std() > 0
    with (tmp_path / "out" / "curves.csv").open(newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["6.0", "5.0", "4.0"]
    (tmp_path / "second" / "log.jsonl").write_text('{"epoch": 0}\n')
    with pytest.raises(FormatError, match="expected lines of JSON with seconds"):
        join_logs(runs)


def test_curves_of_circle_loss(tmp_path: Path) -> None:
    """A stage with triplets, then one with circle loss: each has its own column and line."""
    runs = [log(tmp_path / "first", [6.0]), log(tmp_path / "second", [4.0])]
    second = runs[1] / "log.jsonl"
    second.write_text(second.read_text().replace('"triplet": 0.5', '"circle": 60.0'))
    draw_curves(runs, tmp_path / "out")
    with (tmp_path / "out" / "curves.csv").open(newline="") as file:
        assert [(row["triplet"], row["circle"]) for row in csv.DictReader(file)] == [("0.5", ""), ("", "60.0")]
    second.write_text(second.read_text().replace("circle", "other"))
    with pytest.raises(FormatError, match="spread and triplet or circle"):
        join_logs(runs)


def photograph(folder: Path, kind: str, vehicle: int, camera: int, color: tuple[int, int, int]) -> None:
    """A plain picture; the file holds BGR."""
    size = (40 + 10 * camera, 60, 3)
    cv2.imwrite(str(folder / f"{kind}_{vehicle:04d}_cam{camera}.jpg"), np.full(size, color[::-1], np.uint8))


def test_real_pairs_by_color(tmp_path: Path) -> None:
    """Two of three cars keep their color, the third turns green. A truck of its first color is no car."""
    red, green, blue = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    for vehicle, first, second in ((1, red, red), (2, green, green), (3, blue, green)):
        photograph(tmp_path, "car", vehicle, 1, first)
        photograph(tmp_path, "car", vehicle, 2, second)
    photograph(tmp_path, "truck", 4, 1, blue)
    photograph(tmp_path, "truck", 4, 2, blue)
    cars, trucks = score_pairs(HsvHistogram(), tmp_path)
    # Camera 1 asks: blue is like nothing, so all three of camera 2 tie, and the first of them, red, comes first.
    # Camera 2 asks: both green pictures find the green car.
    assert (cars.kind, cars.pairs, cars.forth, cars.back) == (
        "car",
        3,
        pytest.approx(200 / 3),
        pytest.approx(200 / 3),
    )
    assert (trucks.kind, trucks.pairs, trucks.rank1, trucks.low, trucks.high) == ("truck", 1, 100, 100, 100)
    (tmp_path / "car_0003_cam2.jpg").unlink()
    with pytest.raises(FormatError, match=r"expected car 0003 by cameras 1 and 2, got \[1\]"):
        score_pairs(HsvHistogram(), tmp_path)
    with pytest.raises(FormatError, match="car_0003_cam1"):
        score_pairs(HsvHistogram(), tmp_path / "empty")


def test_interval_is_that_of_vehicles_drawn_with_replacement() -> None:
    """Of n vehicles with an answer each, the mean of a draw is binomial; its quantiles are scipy's."""
    right = np.arange(40) < 30
    found = bootstrap_rank1("car", right, right)
    binomial = stats.binom(40, 0.75)
    assert found.rank1 == pytest.approx(75)
    assert (found.low, found.high) == pytest.approx((binomial.ppf(0.025) * 2.5, binomial.ppf(0.975) * 2.5), abs=2.5)
    # Answers that are right in one direction only count half.
    assert bootstrap_rank1("car", right, ~right).low == pytest.approx(50)


def test_histogram_counts_colors() -> None:
    """A picture half white, half red has the cosine √½ with a white one and √½ with a red one, and 0 with blue."""
    white, red, blue = (np.full((128, 128, 3), c, np.uint8) for c in ((255, 255, 255), (255, 0, 0), (0, 0, 255)))
    half = white.copy()
    half[:64] = red[:64]
    found = HsvHistogram()(np.stack([half, white, red, blue]))
    np.testing.assert_allclose(found @ found[0], [1, 0.5**0.5, 0.5**0.5, 0], atol=1e-6)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, scene = tmp_path / "pairs", tmp_path / "scene"
    pairs.mkdir()
    photograph(pairs, "car", 1, 1, (200, 30, 30))
    photograph(pairs, "car", 1, 2, (200, 30, 30))
    film(scene)
    assert main(["evaluate", str(pairs), "--weights", "hsv", "--weights", "color_histogram"]) == 0
    assert main(["evaluate", str(scene), "--weights", "color_histogram"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "pairs, hsv",
        "pairs, color_histogram",
        "scene, color_histogram",
    ]
    assert main(["curves", str(log(tmp_path / "run", [1.0])), "--out", str(tmp_path / "curves")]) == 0
    assert main(["curves", str(scene), "--out", str(tmp_path / "curves")]) == 2
    assert "log.jsonl" in capsys.readouterr().err
