"""Values of the published methods, and values that are refused."""

from __future__ import annotations

import pytest

from mtmc.errors import MtmcError
from mtmc.settings import AnyOf, UsedWhen
from mtmc.track import TrackConfig

STAGED = {
    "association": "staged",
    "appearance_max_distance": 0.5,
    "feature_memory": "ema",
    "ema_momentum": 0.9,
    "gallery_size": 5,
    "mahalanobis_gate": 9.4877,
    "motion_only_gate": 7.7794,
    "motion_weight": 0.02,
    "iou_max_distance": 0.8,
    "tentative_iou_max_distance": 0.7,
    "high_score_threshold": None,
    "low_iou_max_distance": 0.5,
    "new_track_threshold": 0.0,
    "n_init": 3,
    "n_high": 2,
    "max_age_s": 1.0,
    "stationary_max_age_s": 0.0,
    "stationary_speed": 0.1,
    "position_noise": 0.05,
    "velocity_noise": 0.3,
    "initial_velocity_std": 3.0,
    "buffer_scale": 1.5,
    "score_adaptive_noise": False,
    "duplicate_iou": 1.0,
    "same_class": False,
    "coast_s": 0.1,
    "output": "detected",
}
DEEPSORT_CHANGES = {"association": "deepsort", "high_score_threshold": 0.0, "iou_max_distance": 0.7}
JDE_CHANGES = {
    "association": "jde",
    "appearance_max_distance": 0.7,
    "iou_max_distance": 0.5,
    "tentative_iou_max_distance": 0.7,
    "new_track_threshold": 0.5,
    "n_init": 2,
    "max_age_s": 1.0,
    "high_score_threshold": 0.0,
    "velocity_noise": 1.0,
    "initial_velocity_std": 2.0,
    "buffer_scale": 1.0,
    "duplicate_iou": 0.85,
    "output": "posterior",
}


def test_values_of_the_methods() -> None:
    assert TrackConfig().model_dump() == STAGED
    assert TrackConfig(association="deepsort").model_dump() == {**STAGED, **DEEPSORT_CHANGES}
    assert TrackConfig(association="jde").model_dump() == {**STAGED, **JDE_CHANGES}


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("appearance_max_distance", [0.01, 2], [0, 2.01]),
        ("ema_momentum", [0, 0.99], [-0.01, 1]),
        ("gallery_size", [1], [0]),
        ("mahalanobis_gate", [0.01], [0]),
        ("motion_only_gate", [0.01], [0]),
        ("motion_weight", [0, 1], [-0.01, 1.01]),
        ("iou_max_distance", [0.01, 1], [0, 1.01]),
        ("tentative_iou_max_distance", [0.01, 1], [0, 1.01]),
        ("high_score_threshold", [0, 1], [-0.01, 1.01]),
        ("low_iou_max_distance", [0.01, 1], [0, 1.01]),
        ("new_track_threshold", [0, 1], [-0.01, 1.01]),
        ("n_init", [1], [0]),
        ("n_high", [0], [-1]),
        ("max_age_s", [0], [-0.01]),
        ("stationary_max_age_s", [0], [-0.01]),
        ("stationary_speed", [0], [-0.01]),
        ("position_noise", [0.01], [0]),
        ("velocity_noise", [0.01], [0]),
        ("initial_velocity_std", [0.01], [0]),
        ("buffer_scale", [1], [0.99]),
        ("duplicate_iou", [0.01, 1], [0, 1.01]),
        ("coast_s", [0], [-0.01]),
    ],
)
def test_ranges(key: str, accepted: list[float], refused: list[float]) -> None:
    for value in accepted:
        assert getattr(TrackConfig.model_validate({key: value}), key) == value
    for value in refused:
        with pytest.raises((MtmcError, ValueError), match=key):
            TrackConfig.model_validate({key: value})


def test_when_appearance_settings_are_used() -> None:
    features = AnyOf((UsedWhen("embed.per_detection", "=", True), UsedWhen("detect.weights", "≠", "motion")))
    used_when = TrackConfig.used_when
    for key in ("appearance_max_distance", "feature_memory", "mahalanobis_gate"):
        assert used_when[key] == features
    assert used_when["ema_momentum"] == (features, UsedWhen("track.feature_memory", "=", "ema"))
    assert used_when["gallery_size"] == (features, UsedWhen("track.feature_memory", "=", "gallery"))
