"""Where settings come from, and what is said about mistakes in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mtmc.associate import AssociateConfig
from mtmc.commands import config_command
from mtmc.config import RunConfig, load_config
from mtmc.errors import ConfigError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.settings import Settings, value_at

ROOT = Path(__file__).resolve().parents[2]


def scene_with(overrides: dict[str, object], root: Path) -> Scene:
    return Scene("town", root, (Camera(id="c1", number=1, clock=Clock(fps=10)),), overrides=overrides)


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("detect: {batch: 4}\ntrack: {n_init: 5}\n")
    scene = scene_with({"detect": {"image_size": 64, "batch": 2}, "track": {"n_init": 1}}, tmp_path)
    config = load_config([file], ["track.n_init=7"], scene)
    assert (config.detect.image_size, config.detect.batch, config.track.n_init) == (64, 4, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detect: {bacth: 4}", r"run\.yaml:1: unknown key detect\.bacth; did you mean batch\?"),
        (
            "threads: 1\ntrack:\n  n_init: 0",
            r"run\.yaml:3: track\.n_init: input should be greater than or equal to 1, got 0",
        ),
        ("detekt: {}", r"run\.yaml:1: unknown key detekt; did you mean detect\?"),
        ("threads: [", r"run\.yaml:\d: expected YAML"),
    ],
)
def test_a_mistake_in_a_file_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config([file])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "detect.bacth=4",
            r"-o detect\.bacth=4: unknown key detect\.bacth; did you mean batch\?",
        ),
        ("detect", "expected dotted.key=value"),
        ("threads=-1", "threads: input should be greater than or equal to 0, got -1"),
    ],
)
def test_a_mistake_in_an_override_is_quoted(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[override])


def test_the_error_of_an_old_key_names_the_new_one() -> None:
    with pytest.raises(ConfigError, match="unknown key polish; it is now called postprocess"):
        load_config(overrides=["polish.clip=false"])
    with pytest.raises(ConfigError, match=r"it is now called postprocess\.max_truncation"):
        load_config(overrides=["postprocess.max_cut_off=1"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clean.drop.min_travel", "clean.filter"),
        ("clean.filter.min_travel", "clean.filter.min_displacement"),
        ("clean.hidden.max_hidden", "clean.occlusion"),
        ("clean.occlusion.max_hidden", "clean.occlusion.max_occluded"),
        ("clean.join.max_miss", "clean.join.max_extrapolation_error"),
        ("clean.split.max_jump", "clean.split.max_position_jump"),
        ("track.appearance_memory", "track.feature_memory"),
        ("track.newborn_scale", "track.buffer_scale"),
        ("track.stopped_memory_s", "track.stationary_max_age_s"),
        ("learn.least_count", "learn.min_support"),
        ("learn.max_chance", "learn.max_false_link_probability"),
    ],
)
def test_old_keys_of_the_stages(old: str, new: str) -> None:
    with pytest.raises(ConfigError, match=f"; it is now called {re.escape(new)}$"):
        load_config(overrides=[f"{old}=1"])


def groups(settings: Settings) -> Iterator[Settings]:
    yield settings
    for name in type(settings).model_fields:
        if isinstance(value := getattr(settings, name), Settings):
            yield from groups(value)


def test_every_new_name_exists_and_no_old_one_does() -> None:
    for group in groups(RunConfig()):
        assert not set(group.renamed) & set(type(group).model_fields)
        for new in group.renamed.values():
            if " " not in new:
                value_at(group, new)  # raises where there is none


def test_overrides_of_a_scene_are_checked_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text("name: x\noverrides:\n  embed:\n    wheights: a.onnx\n")
    with pytest.raises(ConfigError, match=r"scene\.yaml:4: unknown key embed\.wheights; did you mean weights\?"):
        load_config(scene=scene_with({"embed": {"wheights": "a.onnx"}}, tmp_path))


def test_the_printed_configuration_reads_back() -> None:
    assert RunConfig.model_validate(yaml.safe_load(config_command(None, [], ["threads=3"]))) == load_config(
        overrides=["threads=3"]
    )


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "run").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    load_config([path])


def test_electricity_is_configured_as_its_released_code() -> None:
    config = load_config([ROOT / "configs" / "run" / "electricity.yaml"])
    track, drop = config.track, config.clean.filter
    assert (track.association, track.feature_memory, track.gallery_size) == ("deepsort", "gallery", 5)
    assert (track.appearance_max_distance, track.iou_max_distance, track.mahalanobis_gate) == (0.5, 0.9, 9.4877)
    assert (track.n_init, track.max_age_s, track.stationary_max_age_s, track.same_class) == (3, 2.0, 0.0, True)
    assert (track.position_noise, track.velocity_noise, track.initial_velocity_std) == (1 / 20, 0.2, 10 / 16)
    assert (config.detect.filter.nms_iou, config.detect.filter.roi, drop.min_boxes) == (None, "off", 20)
    rules = config.associate.electricity
    assert (config.associate.method, rules.mode) == ("electricity", "strict")
    assert (rules.match_distance, rules.isolation_distance, rules.min_boxes, rules.scale) == (12, 100, 20, 1)


def test_configurations_that_come_with_the_package_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = load_config([Path("electricity")])
    assert named == load_config([ROOT / "configs" / "run" / "electricity.yaml"])
    assert named.associate.method == "electricity"

    (tmp_path / "electricity").write_text("track: {n_init: 9}\n")
    assert load_config([Path("electricity")]).track.n_init == 9
    for missing in ("nowhere", "configs/nowhere", "nowhere.yaml"):
        with pytest.raises(ConfigError, match=missing):
            load_config([Path(missing)])


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("graph.max_distance_m", [0.01], [0]),
        ("graph.min_position_sigma_m", [0.01], [0]),
        ("graph.extrapolation_sigma_mps", [0.01], [0]),
        ("graph.max_extrapolation_s", [0], [-0.01]),
        ("graph.max_reentry_gap_s", [0], [-0.01]),
        ("graph.max_unlinked_gap_s", [0], [-0.01]),
        ("graph.travel_time_slack_s", [0], [-0.01]),
        ("graph.default_speed_mps", [0.01], [0]),
        ("graph.heading_kappa", [0.01], [0]),
        ("graph.appearance_weight", [0], [-0.01]),
        ("graph.max_appearance_log_odds", [0.01], [0]),
        ("graph.appearance_outlier_rate", [0, 0.99], [-0.01, 1]),
        ("electricity.scale", [0.01], [0]),
        ("electricity.match_distance", [0], [-0.01]),
        ("electricity.isolation_distance", [0], [-0.01]),
        ("electricity.negative_quantile", [0, 1], [-0.01, 1.01]),
        ("electricity.calibrated_distance", [0], [-0.01]),
        ("electricity.min_boxes", [1], [0]),
        ("hierarchical.max_ground_m", [0.01], [0]),
        ("hierarchical.ground_weight", [0, 1], [-0.01, 1.01]),
        ("hierarchical.min_overlap_s", [0], [-0.01]),
        ("crossroad_zones.whitening", [0.01], [0]),
        ("crossroad_zones.k1", [1], [0]),
        ("crossroad_zones.k2", [1], [0]),
        ("crossroad_zones.rerank_weight", [0, 1], [-0.01, 1.01]),
        ("crossroad_zones.pair_similarity", [-1, 1], [-1.01, 1.01]),
        ("crossroad_zones.merge_similarity", [-1, 1], [-1.01, 1.01]),
        ("crossroad_zones.time_decay_s", [0], [-0.01]),
        ("crossroad_zones.votes_per_tracklet", [1], [0]),
        ("crossroad_zones.top_k", [1], [0]),
        ("crossroad_zones.min_votes", [1], [0]),
        ("crossroad_zones.vote_ratio", [0, 1], [-0.01, 1.01]),
    ],
)
def test_ranges_of_association(key: str, accepted: list[float], refused: list[float]) -> None:
    method, name = key.split(".")
    for value in accepted:
        config = AssociateConfig.model_validate({method: {name: value}})
        assert getattr(getattr(config, method), name) == value
    for value in refused:
        with pytest.raises(ValueError, match=name):
            AssociateConfig.model_validate({method: {name: value}})
