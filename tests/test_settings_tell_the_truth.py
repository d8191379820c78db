"""Every key of a run's configuration changes something, or its warning is shown.

The keys are listed from the model itself, so that a new key fails until it has a case here: another value that
changes the result of its stage on small data, or the file of tests elsewhere that turns it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from mtmc.associate import associate
from mtmc.clean import clean
from mtmc.config import RunConfig, load_config, warnings_of
from mtmc.embed.crops import select_crops
from mtmc.embed.pooling import pool
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import choose_source
from mtmc.postprocess import postprocess
from mtmc.scene import Camera, Link, Scene
from mtmc.settings import AnyOf, Settings, UsedWhen, value_at
from mtmc.site.config import SiteConfig
from mtmc.track import track
from mtmc.types import Array, Detections, GlobalTrack, Passage, Tracklet
from tests.mtmc.associate.frozen import Frozen, load

ROOT = Path(__file__).resolve().parents[1]
CLOCK = Clock(10.0)
SIZE = (640, 480)
CAMERAS = tuple(Camera(f"c{k}", k + 1, CLOCK, size_wh=SIZE) for k in range(3))
LINKS = tuple(Link(f"c{a}", "", f"c{b}", "", 0.0, 9.0) for a in range(3) for b in range(3) if a != b)


def noisy_unit(rng: np.random.Generator, vector: Array, spread: float) -> Array:
    moved = vector + spread * rng.normal(size=vector.shape)
    return np.asarray(moved / np.linalg.norm(moved), np.float32)


# --- association: vehicles that cross a square which three cameras see, some of them twice


@cache
def passages() -> tuple[Passage, ...]:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(14, 8))
    found = []
    for vehicle, look in enumerate(features):
        begin, heading = rng.uniform(0, 60), rng.uniform(0, 2 * np.pi)
        origin, velocity = rng.uniform(-30, 30, 2), rng.uniform(4, 14) * np.array([np.cos(heading), np.sin(heading)])
        for camera in range(3):
            for visit in range(1 if rng.random() < 0.7 else 2):
                since = begin + 3.0 * camera + visit * rng.uniform(3, 11) + rng.uniform(-1, 1)
                length = int(rng.integers(15, 40))
                time_s = since + 0.1 * np.arange(length)
                ground = origin + velocity * (time_s - begin)[:, None] + rng.normal(0, 0.7, (length, 2))
                appearance = np.stack([noisy_unit(rng, look, 0.5) for _ in range(length)])
                tracklet = Tracklet(
                    f"c{camera}", 10 * vehicle + visit, np.arange(length), time_s, np.zeros((length, 4), np.float32),
                    np.ones(length, np.float32), 1, appearance,
                )  # fmt: skip
                found.append(Passage(tracklet, noisy_unit(rng, look, 0.45), "", "", ground))
    return tuple(found)


def associated(config: RunConfig) -> Any:
    links = LINKS if config.associate.method == "crossroad_zones" else ()
    tracks = associate(passages(), Scene("square", Path(), CAMERAS, links), config.associate)
    return [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages] for t in tracks]


@cache
def frozen_scene(name: str) -> Frozen:
    return load(ROOT / "tests" / "mtmc" / "associate" / "frozen" / f"{name}.npz")


def associated_in(name: str, config: RunConfig) -> Any:
    scene = frozen_scene(name)
    tracks = associate(scene.passages, scene.scene, config.associate)
    return [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages] for t in tracks]


# --- tracking: vehicles that drive, stop and hide each other, boxes of all scores


@cache
def detections() -> tuple[Detections, ...]:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(9, 6))
    start = rng.uniform(0, 500, (9, 2))
    velocity = rng.uniform(-14, 14, (9, 2))
    frames = []
    for frame in range(150):
        moving = np.minimum(frame, 60) + np.maximum(frame - 115, 0)  # everything stands from frame 60 to 115
        corner = start + velocity * moving + rng.normal(0, 1.5, (9, 2))
        seen = rng.random(9) < (0.15 if 80 <= frame < 105 else 0.85)
        size = np.array([50.0, 40.0]) * rng.uniform(0.9, 1.1, (9, 2))
        order = np.flatnonzero(seen)
        frames.append(
            Detections(
                np.concatenate([corner, corner + size], axis=1).astype(np.float32)[order],
                rng.uniform(0.2, 1.0, len(order)).astype(np.float32),
                rng.integers(1, 3, len(order)),
                np.array([noisy_unit(rng, features[k], 0.7) for k in order], np.float32).reshape(-1, 6),
            )
        )  # fmt: skip
    return tuple(frames)


def tracked(config: RunConfig) -> Any:
    has_features = config.embed != RunConfig().embed
    frames = [
        d if has_features else Detections(d.xyxy, d.score, d.class_id, d.appearance[:, :0]) for d in detections()
    ]
    return contents(track(enumerate(frames), "c0", CLOCK, config.track))


def contents(tracklets: list[Tracklet]) -> Any:
    return [(t.track_id, t.frame.tolist(), t.xyxy.round(3).tolist(), t.score.tolist()) for t in tracklets]


def mixed_tracklets() -> list[Tracklet]:
    """One that jumps, one that turns back slowly, one that goes on as another vehicle, one that is torn in two.

    And a vehicle that stands, hidden for a while behind one that stands before it.
    """
    rng = np.random.default_rng(1)
    x = np.arange(60.0)
    paths = [
        np.where(x < 30, 4 * x, 4 * x + 45),
        3.0 * np.minimum(x, 60 - x),
        4 * x,
        np.where(x < 30, 4 * x, 4 * x + 9 + 0.02 * (x - 30) ** 2),
    ]
    found = []
    for k, path in enumerate(paths):
        left = 60 + path + rng.normal(0, 0.4, 60)
        top = np.full(60, 20.0 + 90 * k)
        xyxy = np.stack([left, top, left + 40, top + 40], axis=1).astype(np.float32)
        features = np.eye(6, dtype=np.float32)[np.where((x >= 30) & (k == 2), 1, 0)]
        frame = np.arange(60) + np.where((x >= 30) & (k == 3), 8, 0)
        score = np.full(60, 0.8, np.float32)
        found.append(Tracklet("c0", 900 + k, frame, CLOCK.time_s(frame), xyxy, score, 1, features))
    first, second = found[3][:30], found[3][30:]
    standing = np.tile(np.float32([200, 150, 240, 190]), (60, 1))
    nearer = replace(found[0], track_id=960, xyxy=standing + np.float32([5, 20, 5, 20]))
    hidden = replace(found[0], track_id=961, xyxy=standing)[np.abs(np.arange(60) - 30) > 5]
    return [
        *found[:3],
        nearer,
        hidden,
        first,
        Tracklet("c0", 950, *(getattr(second, f) for f in TRACKLET_ROWS), 1, second.appearance),
    ]


TRACKLET_ROWS = ("frame", "time_s", "xyxy", "score")


def cleaned(config: RunConfig) -> Any:
    base = [*track(enumerate(detections()), "c0", CLOCK, RunConfig().track), *mixed_tracklets()]
    roi = np.ones(SIZE[::-1], bool)
    roi[:, 300:] = False
    return contents(clean(base, CAMERAS[0], config.clean, roi))


def postprocessed(config: RunConfig) -> Any:
    base = clean(track(enumerate(detections()), "c0", CLOCK, RunConfig().track), CAMERAS[0], RunConfig().clean)
    tracks = [
        GlobalTrack(k + 1, (Passage(t, np.zeros(0, np.float32), "", "", np.zeros((len(t), 2))),))
        for k, t in enumerate(base)
    ]
    found = postprocess(tracks, Scene("square", Path(), CAMERAS), config.postprocess)
    return contents([p.tracklet for t in found for p in t.passages])


def source_of(config: RunConfig) -> Any:
    """The file that a camera with several of each kind is read from."""
    files = {"detections": (Path("a.txt"), Path("b.txt")), "tracklets": (Path("b_tracks.txt"),)}
    return choose_source(Camera("c0", 1, CLOCK, **files), config.input)


def embedded(config: RunConfig) -> Any:
    """The crops of a vehicle that comes nearer, and their mean by quality."""
    size = np.linspace(10, 40, 20)
    xyxy = np.stack([0 * size, 0 * size, size, size], axis=1).astype(np.float32)
    frame = np.arange(20)
    nearer = Tracklet(
        "c0", 1, frame, CLOCK.time_s(frame), xyxy, np.ones(20, np.float32), 1, np.zeros((20, 0), np.float32)
    )
    crops = select_crops(nearer, np.linspace(0, 1, 20), config.embed)
    mean = pool(np.eye(2), np.array([0.2, 0.9]), config.embed.pooling_sharpness, "two")
    return [rows.tolist() for rows in crops], mean.tolist()


STAGES: dict[str, Callable[[RunConfig], Any]] = {
    "associate": associated,
    "track": tracked,
    "clean": cleaned,
    "postprocess": postprocessed,
    "input": source_of,
    "embed": embedded,
}

HIERARCHICAL = ("associate.method=hierarchical",)
ELECTRICITY = ("associate.method=electricity",)
ZONES = ("associate.method=crossroad_zones",)
BOXES = (*ZONES, "associate.crossroad_zones.matching=boxes")
FEATURES = ("embed.per_detection=true",)

#: Lets the clean-up join tracklets of the noisy detections, so that its other limits decide.
JOINED: tuple[str, ...] = ("clean.join.max_extrapolation_error=5", "clean.join.max_acceleration=99")

#: Key → another value of it, and what else must be set for it to count.
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "input.source": ("tracklets", ()),
    "input.file": ("b", ()),
    "embed.min_side_px": ("30", ()),
    "embed.pooling_sharpness": ("0", ()),
    "associate.method": ("electricity", ()),
    "associate.graph.estimate_clock_offsets": ("false", ()),
    "associate.graph.refine_calibration": ("false", ()),
    "associate.graph.max_distance_m": ("0.5", ()),
    "associate.graph.min_position_sigma_m": ("9", ()),
    "associate.graph.extrapolation_sigma_mps": ("30", ()),
    "associate.graph.max_extrapolation_s": ("0", ()),
    "associate.graph.max_reentry_gap_s": ("0.5", ()),
    "associate.graph.max_unlinked_gap_s": ("0", ()),
    "associate.graph.travel_time_slack_s": ("0", ()),
    "associate.graph.default_speed_mps": ("40", ()),
    "associate.graph.learn_travel_times": ("false", ()),
    "associate.graph.heading_kappa": ("50", ()),
    "associate.graph.appearance_weight": ("0", ()),
    "associate.graph.max_appearance_log_odds": ("0.2", ()),
    "associate.graph.appearance_outlier_rate": ("0.9", ()),
    "associate.graph.objective": ("idf1", ()),
    "associate.hierarchical.all_pairs": ("true", HIERARCHICAL),
    "associate.hierarchical.linkage": ("single", HIERARCHICAL),
    "associate.hierarchical.once_per_camera": ("false", HIERARCHICAL),
    "associate.hierarchical.max_ground_m": ("0.5", HIERARCHICAL),
    "associate.hierarchical.ground_weight": ("0", HIERARCHICAL),
    "associate.hierarchical.min_overlap_s": ("60", HIERARCHICAL),
    "associate.electricity.mode": ("strict", ELECTRICITY),
    "associate.electricity.scale": ("9", (*ELECTRICITY, "associate.electricity.mode=fixed")),
    "associate.electricity.match_distance": ("0.2", (*ELECTRICITY, "associate.electricity.mode=fixed")),
    "associate.electricity.isolation_distance": ("0.1", (*ELECTRICITY, "associate.electricity.mode=fixed")),
    "associate.electricity.negative_quantile": ("0.9", ELECTRICITY),
    "associate.electricity.calibrated_distance": ("3", ELECTRICITY),
    "associate.electricity.per_box": ("true", ELECTRICITY),
    "associate.electricity.min_boxes": ("30", ELECTRICITY),
    "associate.crossroad_zones.matching": ("boxes", ZONES),
    "associate.crossroad_zones.camera_bias": ("none", ZONES),
    "associate.crossroad_zones.whitening": ("0.001", ZONES),
    "associate.crossroad_zones.rerank": ("false", ZONES),
    "associate.crossroad_zones.k1": ("1", ZONES),
    "associate.crossroad_zones.k2": ("1", ZONES),
    "associate.crossroad_zones.rerank_weight": ("1", ZONES),
    "associate.crossroad_zones.pair_similarity": ("0.9", ZONES),
    "associate.crossroad_zones.merge_similarity": ("0.6", ZONES),
    "associate.crossroad_zones.drop_repeated_cameras": ("false", ZONES),
    "associate.crossroad_zones.time_decay_s": ("5", ZONES),
    "associate.crossroad_zones.votes_per_tracklet": ("1", BOXES),
    "associate.crossroad_zones.top_k": ("1", BOXES),
    "associate.crossroad_zones.min_votes": ("16", BOXES),
    "associate.crossroad_zones.vote_ratio": ("1", BOXES),
    "associate.min_similarity": ("0.95", HIERARCHICAL),
    "associate.max_gap_s": ("0", ()),
    "associate.use_ground": ("false", ()),
    "associate.max_speed_mps": ("0.5", HIERARCHICAL),
    "associate.keep_single_camera": ("false", HIERARCHICAL),
    "track.association": ("jde", FEATURES),
    "track.appearance_max_distance": ("0.05", FEATURES),
    "track.feature_memory": ("gallery", FEATURES),
    "track.ema_momentum": ("0", FEATURES),
    "track.gallery_size": ("50", (*FEATURES, "track.feature_memory=gallery")),
    "track.mahalanobis_gate": ("0.1", FEATURES),
    "track.motion_only_gate": ("0.1", ("track.iou_max_distance=0.3",)),
    "track.motion_weight": ("0.9", (*FEATURES, "track.association=jde")),
    "track.iou_max_distance": ("0.1", ()),
    "track.tentative_iou_max_distance": ("0.05", ("track.association=jde",)),
    "track.high_score_threshold": ("0.7", ()),
    "track.low_iou_max_distance": ("0.05", ("track.high_score_threshold=0.7",)),
    "track.new_track_threshold": ("0.9", ()),
    "track.n_init": ("8", ()),
    "track.n_high": ("3", ()),
    "track.max_age_s": ("0.2", ()),
    "track.stationary_max_age_s": ("5", ("track.max_age_s=0.3",)),
    "track.stationary_speed": ("50", ("track.stationary_max_age_s=5", "track.max_age_s=0.3")),
    "track.position_noise": ("1", ()),
    "track.velocity_noise": ("10", ()),
    "track.initial_velocity_std": ("0.1", ()),
    "track.buffer_scale": ("4", ("track.initial_velocity_std=0.001", "track.iou_max_distance=0.3")),
    "track.score_adaptive_noise": ("true", ("track.output=posterior",)),
    "track.duplicate_iou": ("0.05", ()),
    "track.same_class": ("true", ()),
    "track.coast_s": ("1", ()),
    "track.output": ("posterior", ()),
    "clean.split.enabled": ("false", ()),
    "clean.split.window_s": ("0.2", ()),
    "clean.split.max_turn_deg": ("180", ()),
    "clean.split.min_turn_speed": ("9", ()),
    "clean.split.max_position_jump": ("0.05", ()),
    "clean.split.max_appearance_change": ("2", ()),
    "clean.split.min_boxes": ("40", ()),
    "clean.join.enabled": ("false", ()),
    "clean.join.max_gap_s": ("0.1", ()),
    "clean.join.window_s": ("0.3", ()),
    "clean.join.max_extrapolation_error": ("9", ("clean.join.max_acceleration=99",)),
    "clean.join.max_acceleration": ("0.01", ()),
    "clean.join.max_size_ratio": ("1.001", JOINED),
    "clean.join.max_appearance_distance": ("0.01", JOINED),
    "clean.interpolate.enabled": ("false", ()),
    "clean.interpolate.max_gap_s": ("0.1", ()),
    "clean.interpolate.max_visible_gap_s": ("0.1", ()),
    "clean.interpolate.window_s": ("0.1", ("clean.interpolate.max_deviation=0.05",)),
    "clean.interpolate.max_deviation": ("0.001", ()),
    "clean.occlusion.enabled": ("false", ("clean.occlusion.max_occluded=0",)),
    "clean.occlusion.max_occluded": ("0", ()),
    "clean.filter.enabled": ("false", ()),
    "clean.filter.min_duration_s": ("12", ()),
    "clean.filter.min_boxes": ("80", ()),
    "clean.filter.min_displacement": ("8", ()),
    "clean.filter.min_roi_share": ("0", ()),
    "clean.filter.min_area_px": ("2300", ()),
    "clean.filter.min_mean_score": ("0.6", ()),
    "postprocess.min_displacement": ("8", ()),
    "postprocess.box_scale": ("1.5", ()),
    "postprocess.max_expansion_px": ("2", ("postprocess.box_scale=1.5",)),
    "postprocess.clip": ("false", ()),
    "postprocess.min_area_px": ("2000", ()),
    "postprocess.min_area_share": ("0.0065", ()),
    "postprocess.max_truncation": ("0.05", ()),
    "postprocess.duplicate_iou": ("0.1", ()),
}

#: Keys that need what the square lacks (links, far views, clocks that are off), and a frozen scene that has it.
FROZEN = {
    "associate.graph.default_speed_mps": "aligned_planes",
    "associate.graph.estimate_clock_offsets": "crossroads",
    "associate.graph.extrapolation_sigma_mps": "crossroads",
    "associate.graph.heading_kappa": "crossroads",
    "associate.graph.learn_travel_times": "nothing_known",
    "associate.graph.max_unlinked_gap_s": "links_only",
    "associate.graph.min_position_sigma_m": "sample",
    "associate.graph.objective": "sample",
    "associate.graph.refine_calibration": "sample",
    "associate.graph.travel_time_slack_s": "links_only",
    "associate.max_gap_s": "nothing_known",
    "associate.hierarchical.all_pairs": "links_only",
    "associate.crossroad_zones.merge_similarity": "links_only",
}


def leaves(model: type[Settings], group: str = "") -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """(dotted key, its field, the conditions under which it is used) of every setting."""
    yield from _leaves(model, group, ())


def _leaves(model: type[Settings], group: str, outer: tuple[Any, ...]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    for name, field in model.model_fields.items():
        condition = model.used_when.get(name, ())
        conditions = (*outer, *(condition if isinstance(condition, tuple) else (condition,)))
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from _leaves(field.annotation, f"{group}{name}.", conditions)
        else:
            yield f"{group}{name}", field, conditions


KEYS = {key: (field, conditions) for key, field, conditions in leaves(RunConfig)}


@cache
def result(key: str, overrides: tuple[str, ...]) -> Any:
    config = load_config(overrides=overrides)
    return associated_in(FROZEN[key], config) if key in FROZEN else STAGES[key.split(".")[0]](config)


@pytest.mark.parametrize("key", sorted(CASES))
def test_a_key_changes_the_result_of_its_stage(key: str) -> None:
    value, needed = CASES[key]
    assert value_at(load_config(overrides=needed), key) != value_at(
        load_config(overrides=(*needed, f"{key}={value}")), key
    )
    assert result(key, needed) != result(key, (*needed, f"{key}={value}"))


#: Keys of stages that read videos or run models, and the tests that turn them.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("models.folder", "models.offline"), "tests/mtmc/zoo/test_download.py"),
    "input.frame_offset": "tests/mtmc/detect/test_precomputed.py",
    "detect.weights": "tests/mtmc/detect/test_load_detector.py",
    "detect.appearance": "tests/mtmc/detect/test_torchvision.py",
    **dict.fromkeys(("detect.classes", "detect.image_size"), "tests/mtmc/detect/test_onnx.py"),
    "detect.tiles": "tests/mtmc/detect/test_tiles.py",
    **dict.fromkeys(
        (
            f"detect.filter.{name}"
            for name in ("min_confidence", "nms_iou", "min_area_px", "border_px", "roi", "roi_share")
        ),
        "tests/mtmc/detect/test_filters.py",
    ),
    "embed.weights": "tests/mtmc/detect/test_load_detector.py",
    "embed.attributes": "tests/mtmc/embed/test_attributes.py",
    "embed.card": "tests/reid/test_card.py",
    "embed.pad": "tests/mtmc/video/test_crop.py",
    **dict.fromkeys(
        ("embed.per_detection", "embed.flip", "embed.crops_per_tracklet"), "tests/mtmc/embed/test_passages.py"
    ),
    **dict.fromkeys(("render.mosaic_width_px", "render.mosaic_max_fps"), "tests/mtmc/render/test_mosaic.py"),
    **dict.fromkeys(
        ("render.min_width_px", "render.max_width_px", "render.trail_s", "render.crf"),
        "tests/mtmc/render/test_annotate.py",
    ),
    **dict.fromkeys(("render.videos", "render.mosaic", "render.report"), "tests/mtmc/pipeline/test_resume.py"),
    "render.report_vehicles": "tests/mtmc/render/test_report.py",
    "render.blur": "tests/mtmc/pipeline/test_blurred_outputs.py",
    **dict.fromkeys((f"learn.{name}" for name in SiteConfig.model_fields), "tests/mtmc/site/test_learn_settings.py"),
    "learn.enabled": "tests/mtmc/site/test_learn_settings.py",
}

#: Keys that say where and how fast something is computed, never what.
HOW = {"threads", "detect.batch", "detect.runtime", "detect.precision", "detect.device", "detect.backend"}
HOW |= {"embed.batch", "embed.runtime", "embed.precision", "embed.device"}


def conditional() -> list[str]:
    return sorted(key for key, (_, conditions) in KEYS.items() if conditions)


def broken(condition: UsedWhen | AnyOf) -> list[str]:
    """Overrides under which a condition does not hold."""
    if isinstance(condition, AnyOf):
        return [text for inner in condition.conditions for text in broken(inner)]
    field = KEYS[condition.key][0]
    if condition.relation == ">":
        return [f"{condition.key}=0"]
    if condition.relation == "≠":
        return [f"{condition.key}={condition.values[0]}"]
    if field.annotation is bool:
        return [f"{condition.key}={str(not condition.values[0]).lower()}"]
    choices = [choice for choice in get_args(field.annotation) if choice not in condition.values]
    return [f"{condition.key}={choices[0] if choices and isinstance(choices[0], str) else 1}"]


#: Stages whose result here depends on the conditions, too (the others leave that to the pipeline).
COMPUTED = {"associate", "track", "clean", "postprocess"}


@pytest.mark.parametrize("key", conditional())
def test_conditions_name_keys_that_exist(key: str) -> None:
    for condition in KEYS[key][1]:
        for one in condition.conditions if isinstance(condition, AnyOf) else (condition,):
            assert one.key in KEYS
            assert one.relation != ">" or not isinstance(one.values[0], str) or one.values[0] in KEYS


@pytest.mark.parametrize("key", [key for key in conditional() if key in CASES and key.split(".")[0] in COMPUTED])
def test_without_its_condition_a_key_changes_nothing_and_a_warning_says_so(key: str) -> None:
    value, needed = CASES[key]
    for condition in KEYS[key][1]:
        off = tuple(text for text in broken(condition) if text.split("=")[0] != key)
        if not off:
            continue
        others = tuple(text for text in needed if text.split("=")[0] not in {t.split("=")[0] for t in off})
        overrides = (*others, *off, f"{key}={value}")
        assert result(key, (*others, *off)) == result(key, overrides)
        assert any(
            w.startswith(f"{key} has no effect with ")
            for w in warnings_of(load_config(overrides=overrides), (), overrides)
        )


@pytest.mark.parametrize("key", sorted(CASES))
def test_a_key_that_counts_is_not_warned_of(key: str) -> None:
    value, needed = CASES[key]
    overrides = (*needed, f"{key}={value}")
    assert not [w for w in warnings_of(load_config(overrides=overrides), (), overrides) if w.startswith(f"{key} ")]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "associate.hierarchical.linkage=complete",
            "associate.hierarchical.linkage has no effect with associate.method=graph; it is used where "
            "associate.method is hierarchical",
        ),
        (
            "track.motion_weight=0.3",
            "track.motion_weight has no effect with track.association=staged; it is used where track.association is "
            "jde",
        ),
    ],
)
def test_the_sentence_says_what_it_is_used_with(override: str, sentence: str) -> None:
    assert warnings_of(load_config(overrides=[override]), (), [override]) == [sentence]


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "run").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configurations_hold_no_key_without_effect(path: Path) -> None:
    assert warnings_of(load_config([path]), [path]) == []


def test_every_key_has_a_case() -> None:
    missing = set(KEYS) - set(CASES) - set(ELSEWHERE) - HOW
    assert not missing, f"keys without a case: {sorted(missing)}"
    assert not (set(CASES) | set(ELSEWHERE) | HOW) - set(KEYS)


def test_the_tests_elsewhere_name_the_key() -> None:
    for key, path in ELSEWHERE.items():
        assert key.split(".")[-1] in (ROOT / path).read_text(encoding="utf-8"), f"{path}: {key}"
