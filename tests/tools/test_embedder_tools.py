"""Retrieval with and without lookalikes by hand, and on pictures cut from a tiny scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from mtmc.errors import ConfigError, FormatError
from mtmc.video.write import VideoWriter
from reid.evaluate import Embeddings
from tools.embedder.evaluate import evaluate_scene, looks_of, open_embedder, score
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
    """Two cameras, six frames, three boxes of plain paint on grey that stand still."""
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


def test_a_scene_of_plain_colours(tmp_path: Path) -> None:
    film(tmp_path)
    found = evaluate_scene(Path("colour"), tmp_path, per_passage=2)
    assert (found.map, found.rank1) == (1.0, 1.0)
    assert (found.queries, found.gallery, found.identities, found.lookalikes) == (12, 12, 3, 0)


def test_hidden_vehicles_are_not_asked_for(tmp_path: Path) -> None:
    film(tmp_path, skipped=(2, 3))
    found = evaluate_scene(Path("colour"), tmp_path, per_passage=4)
    assert (found.queries, found.identities) == (8, 1)


def test_errors_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected rendered cameras"):
        evaluate_scene(Path("colour"), tmp_path)
    film(tmp_path, skipped=(1, 2, 3))
    with pytest.raises(FormatError, match="two cameras"):
        evaluate_scene(Path("colour"), tmp_path)
    with pytest.raises(ConfigError):
        open_embedder(Path("none"))
