"""Configurations that come with the repository, and the schedules they mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reid.cli import main
from reid.config import load_config
from reid.data import DATASETS
from reid.methods import METHODS
from reid.methods.ssbver import Config as Ssbver
from reid.methods.ssbver import teacher_temperature
from reid.training.schedule import Schedule, rate

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs/reid").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_is_valid_and_well_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(path)
    assert not caplog.messages  # every choice has an effect
    name = f"{config.method}_{config.data[0].name}"
    assert path.stem in (name, f"{name}_{config.backbone}", f"{name}_printed")
    assert config.output == Path("runs/reid") / path.stem
    assert config.data[0].name in DATASETS
    assert config.schedule.batch % max(1, config.schedule.images_per_identity) == 0


def test_every_method_has_a_configuration() -> None:
    assert {path.stem.split("_")[0] for path in CONFIGS} == set(METHODS)


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["config", "--help"])
    words = capsys.readouterr().out.replace(",", " ").split()
    assert set(METHODS) <= set(words)


@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_chooses_the_schedule(method: str) -> None:
    path = ROOT / f"configs/reid/{method}_synthcity.yaml"
    assert load_config(path, ["backbone=vit_base_patch16_224"]).schedule.optimizer == "adamw"
    assert load_config(path, ["backbone=resnet50"]).schedule.optimizer in ("adam", "sgd")


def test_rates_and_temperatures_of_self_distillation() -> None:
    expected = json.loads((ROOT / "tests/golden/g06_ssbver_ssl.json").read_text())["expected"]
    schedule = Ssbver.schedules["cnn"]
    for epoch, value in expected["lr_epoch"].items():
        assert schedule.learning_rate * rate(schedule, int(epoch)) == pytest.approx(value)
    config = Ssbver()
    found = [teacher_temperature(config, epoch) for epoch in range(12)]
    assert found == pytest.approx(expected["teacher_temp_first_12_epochs"])


def test_inverse_rate_follows_the_iteration() -> None:
    expected = json.loads((ROOT / "tests/golden/g09_slsr.json").read_text())["expected"]["lr"]
    schedule = Schedule(epochs=130, batch=32, learning_rate=0.01, decay="inverse")
    for iteration, value in expected.items():
        assert 0.01 * rate(schedule, 5, int(iteration)) == pytest.approx(value)


def test_cosine_in_two_parts() -> None:
    schedule = load_config(ROOT / "configs/reid/sgfd_vehicleid.yaml").schedule
    assert [rate(schedule, e) for e in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert rate(schedule, 100) == pytest.approx(1e-3)
    assert rate(schedule, 119) == pytest.approx(0, abs=1e-9)
    assert all(rate(schedule, e) >= rate(schedule, e + 1) for e in range(10, 119))


@pytest.mark.parametrize(
    ("name", "choices", "said"),
    [
        ("ssml_veri776", ["margin=0.5"], "options.margin has no effect with options.objective=dictionary"),
        ("ssml_veri776", ["objective=triplet", "weight=0.2"], "options.weight has no effect with"),
        ("ssbver_veri776", ["weight=0", "local_views=2"], "options.local_views has no effect with options.weight=0"),
        ("ssbver_veri776", ["objective=rmse", "student_temperature=1"], "has no effect with options.objective=rmse"),
        ("sgfd_veri776", ["branches=independent", "window=11"], "options.window has no effect with options.branches"),
        ("sgfd_veri776", ["branches=global", "encoder=resnet18_x0_25"], "options.encoder has no effect with"),
        ("val_veri776", ["reunion_weight=0", "reunion=literal"], "options.reunion has no effect with"),
        ("val_veri776", ["views=1", "reunion_weight=2"], "options.reunion_weight has no effect with options.views=1"),
        ("slsr_market1501", ["generated=0", "targets=all"], "options.targets has no effect with options.generated=0"),
    ],
)
def test_a_choice_of_a_method_without_effect_is_named(
    name: str, choices: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    load_config(ROOT / f"configs/reid/{name}.yaml", [f"options.{choice}" for choice in choices])
    assert said in caplog.messages[0]
    caplog.clear()
    load_config(ROOT / f"configs/reid/{name}.yaml")
    assert not caplog.messages
