"""The methods' table: cells, tables by hand, going on where it stopped, and one cell from crops to a score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from mtmc.errors import ConfigError
from reid.card import read_card
from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.networks import gan
from reid.settings import read_yaml
from reid.training.checkpoint import open_checkpoint
from tools.bench.reid_cell import adaptation_part, crops_for, measure_on
from tools.bench.reid_methods import _BENCHES, Cell, cells_in_order, claims, load_cell, report, run, table, training

PLANS = [read_yaml(Path(__file__).parents[3] / "tools" / "bench" / name).data for name in _BENCHES.values()]


def result(variant: str, seed: int, mean_ap: float, **facts: Any) -> dict[str, Any]:
    common = {"rank1": mean_ap / 2, "minutes": 2.0, "resumed": False}
    return {"variant": variant, "seed": seed, "map": mean_ap, **common, **facts}


@pytest.mark.parametrize("bench", PLANS)
def test_every_variant_is_a_training_on_the_same_network_and_length(bench: dict[str, Any]) -> None:
    cells = cells_in_order(bench, 3)
    assert len(cells) == 3 * len(bench["variants"]) == len({cell.name for cell in cells})
    made = [make_config({**c.content, "data": {"name": "synthcity", "root": "x"}, "output": "y"}) for c in cells]
    assert len({(c.backbone, c.options.size_hw, c.schedule.batch) for c in made}) == 1
    named = {entry["name"] for entry in bench["variants"]}
    claimed = {variant for pair in bench["claims"] for variant in pair}
    longer = {entry["name"] for entry in bench["variants"] if "epochs" in entry.get("schedule", {})}
    assert named >= claimed
    assert not longer & claimed
    of_plan = [cell.adapts is None and cell.variant not in longer for cell in cells]
    assert len({c.schedule.epochs for c, is_of_plan in zip(made, of_plan, strict=True) if is_of_plan}) == 1


def test_the_first_seed_of_all_comes_before_the_second_of_any() -> None:
    bench = {
        "shared": {"schedule": {"epochs": 7}},
        "methods": {"val": {"options": {"scale": 30.0}}},
        "variants": [
            {"name": "start", "method": "baseline", "untrained": True},
            {"name": "val, a + b", "method": "val", "options": {"views": 1}},
        ],
    }
    cells = cells_in_order(bench, 2)
    assert [(c.name, c.untrained) for c in cells] == [
        ("start_s0", True),
        ("val_a_b_s0", False),
        ("start_s1", True),
        ("val_a_b_s1", False),
    ]
    assert cells[1].content["options"] == {"size_hw": [96, 96], "scale": 30.0, "views": 1}
    assert cells[1].content["schedule"] == {"epochs": 7, "batch": 32, "warm_up_epochs": 3}
    assert [c.name for c in cells_in_order(bench, 2, "val")] == ["val_a_b_s0", "val_a_b_s1"]


def test_what_a_variant_says_stands_over_method_and_all() -> None:
    bench = {
        "shared": {"options": {"size_hw": [64, 64]}, "schedule": {"epochs": 40}},
        "methods": {"ssbver": {"options": {"hidden": 8, "local_views": 2}}},
    }
    choices = {"options": {"local_views": 0}, "schedule": {"freeze_statistics": True}}
    found = training("ssbver", choices, bench)
    assert found["options"]["local_views"] == 0
    assert (found["options"]["hidden"], found["options"]["size_hw"]) == (8, [64, 64])
    assert found["options"]["average_momentum"] == 0.99  # of the method's own file
    assert (found["schedule"]["epochs"], found["schedule"]["freeze_statistics"]) == (40, True)
    assert not {"data", "output", "seed"} & found.keys()
    assert "milestones" not in found["schedule"]


def test_a_key_follows_choices_seed_and_data() -> None:
    cell = Cell("a", "val", 0, {"options": {"x": 1, "y": 2}})
    keys = {
        cell.key({"pictures": 1}),
        cell.key({"pictures": 2}),
        Cell("a", "val", 1, cell.content).key({"pictures": 1}),
        Cell("a", "val", 0, {"options": {"x": 1, "y": 3}}).key({"pictures": 1}),
        Cell("a", "val", 0, cell.content, untrained=True).key({"pictures": 1}),
        Cell("a", "val", 0, cell.content, adapts=Cell("c", "val", 0, {})).key({"pictures": 1}),
        Cell("a", "val", 0, cell.content, adapts=Cell("c", "val", 1, {})).key({"pictures": 1}),
    }
    assert len(keys) == 7
    assert Cell("b", "val", 0, {"options": {"y": 2, "x": 1}}).key({"pictures": 1}) == cell.key({"pictures": 1})


def test_table_by_hand() -> None:
    """Of mAP 20, 24 and 28: deviation 4; of rank-1 10, 12, 14: deviation 2. Student's t of two degrees is 4.303."""
    results = [
        result("a", 0, 0.20),
        result("a", 1, 0.24, minutes=4.0),
        result("a", 2, 0.28, minutes=0.1, resumed=True),
        result("b", 0, 0.311, resumed=True),
    ]
    assert table(results, ["b", "a", "c"]).splitlines()[2:] == [
        "| b | 31.1 | 15.6 |  | 1 |",
        "| a | 24.0 ± 9.9 | 12.0 ± 5.0 | 3.0 | 3 |",
        "| c | not yet |  |  | 0 |",
    ]


def test_claims_compare_the_same_seeds() -> None:
    """Gains of +3 and +5 at seeds 0 and 2; seed 1 of the worse one is missing.

    With one degree of freedom, Student's t is Cauchy's distribution: 12.706 at 97.5 %, and p = 1 − 2 atan(4) / π.
    """
    results = [result("a", s, m) for s, m in enumerate([0.20, 0.90, 0.30])]
    results += [result("b", 0, 0.17), result("b", 2, 0.25), result("c", 7, 0.5)]
    assert claims(results, [["a", "b"], ["b", "a"], ["a", "c"]]).splitlines()[2:] == [
        "| a over b | +4.0 ± 12.7 | 0.156 | 2 |",
        "| b over a | -4.0 ± 12.7 | 0.156 | 2 |",
        "| a over c | not yet |  | 0 |",
    ]


def test_a_very_small_p_is_a_bound() -> None:
    """Gains of 10, 11 and 10: t = 31, just below 31.6, at which p is 0.001 with two degrees of freedom."""
    results = [
        result(v, s, m) for v, ms in {"a": (0.3, 0.31, 0.3), "b": (0.2,) * 3}.items() for s, m in enumerate(ms)
    ]
    assert claims(results, [["a", "b"]]).splitlines()[2] == "| a over b | +10.3 ± 1.4 | 0.001 | 3 |"
    results[1] = result("a", 1, 0.3001)
    assert claims(results, [["a", "b"]]).splitlines()[2] == "| a over b | +10.0 ± 0.0 | < 0.001 | 3 |"


def test_a_report_is_replaced_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    report(path, "one")
    assert path.read_text() == "# Methods side by side\n\n<!-- bench-reid -->\none\n<!-- /bench-reid -->\n"
    path.write_text(path.read_text() + "\nwords after it\n")
    report(path, "two\nthree")
    assert path.read_text().splitlines() == [
        "# Methods side by side",
        "",
        "<!-- bench-reid -->",
        "two",
        "three",
        "<!-- /bench-reid -->",
        "",
        "words after it",
    ]
    before = path.read_text()
    report(path, "two\nthree")
    assert path.read_text() == before
    report(path, "four", "other")
    assert path.read_text() == before + "\n<!-- other -->\nfour\n<!-- /other -->\n"


def test_finished_cells_are_kept(tmp_path: Path) -> None:
    cells = [Cell(name, "val", seed, {}) for seed in (0, 1) for name in ("a", "b")]
    asked: list[str] = []

    def measure(cell: Cell) -> dict[str, Any]:
        asked.append(cell.name)
        return {"map": 0.1, "rank1": 0.2, "minutes": 1.0, "resumed": False}

    def key(cell: Cell) -> str:
        return f"{cell.name} with {choices}"

    choices = "these"
    run(cells[:2], tmp_path, measure, key)
    run(cells, tmp_path, measure, key)
    assert asked == ["a_s0", "b_s0", "a_s1", "b_s1"]
    assert load_cell(cells[0], tmp_path) == {
        "variant": "a",
        "method": "val",
        "seed": 0,
        "key": "a_s0 with these",
        "map": 0.1,
        "rank1": 0.2,
        "minutes": 1.0,
        "resumed": False,
    }
    choices = "others"
    assert load_cell(cells[0], tmp_path, key(cells[0])) is None
    assert run(cells, tmp_path, measure, key) == cells


def test_no_cell_is_begun_that_would_end_too_late(tmp_path: Path) -> None:
    """Twelve minutes: a (4), b (6, begun as 4 + 4 ≤ 12); b's second seed would end at 4 + 6 + 6."""
    cells = [Cell("a", "val", 0, {}), Cell("b", "val", 0, {}), Cell("b", "val", 1, {})]
    (tmp_path / "a_s9.json").write_text(json.dumps({"key": "", "minutes": 4.0}))
    now = 0.0

    def measure(cell: Cell) -> dict[str, Any]:
        nonlocal now
        minutes = {"a": 4.0, "b": 6.0}[cell.variant]
        now += 60 * minutes
        return {"map": 0.0, "rank1": 0.0, "minutes": minutes, "resumed": False}

    earlier = Cell("a", "val", 9, {})
    made = run(
        [*cells, earlier],
        tmp_path,
        measure,
        lambda c: "" if c is earlier else c.name,
        limit_min=12,
        clock=lambda: now,
    )
    assert [cell.name for cell in made] == ["a_s0", "b_s0"]


DATA = {"identities": 4, "test_identities": 2, "pictures": 1}


def make_crops(root: Path, plan: dict[str, Any], vehicles: int = 6) -> None:
    """Plain colors, a vehicle each: pictures 0, 1 and 2 by cameras 1 and 2, and one query of each test vehicle."""
    import cv2

    rng = np.random.default_rng(5)
    for vehicle in range(vehicles):
        paint = rng.integers(0, 256, 3)
        for camera in (1, 2):
            for number in range(3):
                test = "query" if camera == 1 and number == 0 else "gallery"
                path = (
                    root
                    / "crops"
                    / (test if vehicle > 3 else "train")
                    / f"{vehicle:05d}"
                    / f"c{camera:03d}_{number}.jpg"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = rng.normal(0, 6, (40, 56, 3))
                cv2.imwrite(str(path), np.clip(paint + noise, 0, 255).astype(np.uint8))
    (root / "crops" / "index.csv").write_text("path,view\n")
    (root / "plan.json").write_text(json.dumps(plan))


def test_a_cell_from_crops_to_its_score(tmp_path: Path) -> None:
    make_crops(tmp_path, {"identities": 4, "test_identities": 2})
    content = {
        "method": "baseline",
        "backbone": "resnet18_x0_25",
        "pretrained": False,
        "options": {"size_hw": [32, 32]},
        "schedule": {"epochs": 2, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0},
        "device": "cpu",
        "workers": 0,
    }
    measure = measure_on(tmp_path, DATA, threads=1)
    found = measure(Cell("a", "baseline", 0, content))
    # Picture 0 of four vehicles by two cameras; two colors are told apart by anything.
    assert (found["images"], found["map"], found["rank1"]) == (8, 1.0, 1.0)
    assert len(found["loss"]) == 2
    assert not found["resumed"]
    # Between the similarities of one color and of two.
    assert -1 < read_card(tmp_path / "a_s0.json").match_similarity < 1
    again = measure(Cell("a", "baseline", 0, content))
    assert again["resumed"]
    assert (again["map"], again["loss"]) == (found["map"], found["loss"])
    start = measure(Cell("start", "baseline", 0, content, untrained=True))
    assert start["loss"] == []
    assert not (tmp_path / "start_s0.onnx").exists()


def test_a_variant_uses_the_earlier_stages_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second variant draws nothing itself and learns from the same images; with other choices it would draw."""
    make_crops(tmp_path, {"identities": 4, "test_identities": 2})
    options = {"size_hw": [32, 32], "generated": 4, "clusters": 2, "feature_epochs": 1}
    options |= {"gan_epochs": 1, "gan_width": 2, "gan_side": 32}
    shared = {
        "backbone": "resnet18_x0_25",
        "pretrained": False,
        "options": options,
        "schedule": {"epochs": 1, "batch": 4},
        "device": "cpu",
        "workers": 0,
    }
    bench = {
        "shared": shared,
        "methods": {},
        "variants": [
            {"name": "a", "method": "slsr"},
            {"name": "b", "method": "slsr", "options": {"targets": "all"}, "stages_of": "a"},
            {"name": "c", "method": "slsr", "options": {"gan_width": 3}, "stages_of": "a"},
        ],
    }
    first, second, third = cells_in_order(bench, 1)
    trained: list[int] = []
    original = gan.train_gan
    monkeypatch.setattr(gan, "train_gan", lambda *a, **k: (trained.append(1), original(*a, **k)))
    measure = measure_on(tmp_path, DATA, threads=1)

    def drawn(cell: Cell) -> list[bytes]:
        measure(cell)
        folder = tmp_path / f"{cell.name}_{cell.key(DATA)}" / "stages" / "generated"
        return [path.read_bytes() for path in sorted(folder.glob("*.png"))]

    pictures = drawn(first)
    assert (len(pictures), len(trained)) == (4, 3)  # on all images, then per cluster
    assert drawn(second) == pictures
    assert len(trained) == 3
    assert drawn(third) != pictures
    assert len(trained) == 6


def test_the_adaptation_part_is_of_other_vehicles_by_the_cameras_of_the_test() -> None:
    def records(vehicles: range, cameras: range) -> tuple[Record, ...]:
        return tuple(Record(Path(f"{v}_{c}.jpg"), v, c) for v in vehicles for c in cameras)

    split = DatasetSplit(
        "s",
        "synthcity",
        records(range(4), range(3)),
        records(range(10, 15), range(5, 6)),
        records(range(10, 15), range(6, 8)),
    )
    labeled, adaptation = adaptation_part(split, 2)
    assert labeled.train == split.train
    assert {(r.vehicle_id, r.camera_id) for r in adaptation.train} == {(v, c) for v in (10, 11) for c in (5, 6, 7)}
    for part in (labeled, adaptation):
        assert {r.vehicle_id for r in part.query} == {r.vehicle_id for r in part.gallery} == {12, 13, 14}
        assert (len(part.query), len(part.gallery)) == (3, 6)
    assert adaptation_part(split, 0)[0] == split


def test_an_adaptation_starts_from_the_trained_network(tmp_path: Path) -> None:
    """With a vanishing learning rate its weights stay those of the network that it starts from."""
    data = {"identities": 4, "test_identities": 3, "pictures": 1, "adaptation_identities": 1}
    make_crops(tmp_path, {"identities": 4, "test_identities": 3}, vehicles=7)
    shared = {
        "backbone": "resnet18_x0_25",
        "pretrained": False,
        "options": {"size_hw": [32, 32]},
        "schedule": {"epochs": 1, "batch": 4, "warm_up_epochs": 0},
        "device": "cpu",
        "workers": 0,
    }
    bench = {
        "shared": shared,
        "methods": {"ssml": {"schedule": {"learning_rate": 1e-12, "weight_decay": 0.0}}},
        "variants": [{"name": "a", "method": "baseline"}, {"name": "b", "method": "ssml", "adapts": "a"}],
    }
    first, second = cells_in_order(bench, 1)
    assert second.adapts == first
    measure = measure_on(tmp_path, data, threads=1)
    measure(first)
    assert measure(second)["images"] == 6  # three pictures of one vehicle by two cameras
    start, adapted = (
        open_checkpoint(tmp_path / f"{cell.name}_{cell.key(data)}").embedder.state_dict() for cell in (first, second)
    )
    weights = [name for name in start if name.endswith("conv1.weight")]
    assert weights
    for name in weights:
        assert torch.allclose(start[name], adapted[name], atol=1e-6)


def test_crops_of_another_plan_are_refused(tmp_path: Path) -> None:
    make_crops(tmp_path, {"identities": 5, "test_identities": 2})
    with pytest.raises(ConfigError, match=r"'identities': 4.*'identities': 5"):
        crops_for(DATA, tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(ConfigError, match="found None"):
        crops_for(DATA, tmp_path)
