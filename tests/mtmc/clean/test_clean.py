"""Each step on cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.clean import CleanConfig, clean, filter_tracklets, interpolate, join, split
from mtmc.clean.filter import TrackletFilterConfig
from mtmc.clean.interpolate import InterpolateConfig
from mtmc.clean.join import JoinConfig
from mtmc.clean.occlusion import OcclusionConfig, drop_occluded, occluded_fraction
from mtmc.clean.split import SplitConfig, _appearance_score, split_points
from mtmc.geometry.boxes import displacement
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera
from mtmc.settings import UsedWhen
from mtmc.types import Array, Tracklet

CLOCK = Clock(fps=10)


def drive(
    x: Array | list[float],
    *,
    y: float = 100,
    first: int = 0,
    frame: Array | None = None,
    track_id: int = 1,
    score: Array | float = 0.9,
    features: Array | None = None,
    size: float = 40,
    class_id: int = 1,
) -> Tracklet:
    """A tracklet of square boxes whose left edges are at x, frame after frame."""
    left = np.asarray(x, np.float32)
    n = len(left)
    frames = np.arange(first, first + n) if frame is None else np.asarray(frame, np.int64)
    xyxy = np.stack([left, np.full(n, y), left + size, np.full(n, y + size)], axis=1).astype(np.float32)
    scores = np.broadcast_to(np.asarray(score, np.float32), (n,)).copy()
    appearance = np.zeros((n, 0), np.float32) if features is None else np.asarray(features, np.float32)
    return Tracklet("c1", track_id, frames, CLOCK.time_s(frames), xyxy, scores, class_id, appearance)


class TestSplit:
    def test_leaves_a_drive_alone(self) -> None:
        rng = np.random.default_rng(0)
        straight = drive(5.0 * np.arange(60) + rng.normal(0, 1, 60))
        stopping = drive(np.concatenate([np.arange(0, 200, 8), np.full(80, 200), np.arange(200, 400, 8)]))
        assert split([straight, stopping], SplitConfig()) == [straight, stopping]

    def test_cuts_at_a_jump(self) -> None:
        x = np.concatenate([5.0 * np.arange(30), 300 + 5.0 * np.arange(30)])
        pieces = split([drive(x, track_id=4), drive([1, 2], track_id=9)], SplitConfig())
        assert [(t.track_id, len(t)) for t in pieces] == [(4, 30), (10, 30), (9, 2)]
        assert pieces[1].frame[0] == 30

    def test_every_part_has_an_id_of_its_own(self) -> None:
        x = np.concatenate([start + 5.0 * np.arange(30) for start in (0, 300, 600)])
        parts = split([drive(x, track_id=4), drive(x, track_id=2)], SplitConfig())
        assert [(t.track_id, len(t)) for t in parts] == [(4, 30), (5, 30), (6, 30), (2, 30), (7, 30), (8, 30)]

    def test_a_fast_vehicle_does_not_jump(self) -> None:
        assert split_points(drive(60.0 * np.arange(40)), SplitConfig()) == []

    def test_cuts_where_direction_reverses(self) -> None:
        x = np.concatenate([8.0 * np.arange(30), 8.0 * np.arange(28, -1, -1)])
        (cut,) = split_points(drive(x), SplitConfig())
        assert abs(cut - 30) <= 1
        assert split_points(drive(x), SplitConfig(max_turn_deg=180)) == []

    def test_jitter_of_a_parked_vehicle_is_no_reversal(self) -> None:
        x = 100 + np.random.default_rng(1).normal(0, 2, 100)
        assert split_points(drive(x), SplitConfig()) == []

    def test_cuts_where_looks_change(self) -> None:
        features = np.repeat(np.eye(2), 20, axis=0)
        assert split_points(drive(5.0 * np.arange(40), features=features), SplitConfig()) == [20]
        assert split_points(drive(5.0 * np.arange(40), features=features), SplitConfig(max_appearance_change=2)) == []

    def test_undescribed_boxes_say_nothing(self) -> None:
        features = np.repeat([[1.0, 0], [0, 0]], 20, axis=0)
        assert split_points(drive(5.0 * np.arange(40), features=features), SplitConfig()) == []


class TestJoin:
    def test_continues_the_path(self) -> None:
        a, b = (
            drive(8.0 * np.arange(20), track_id=3),
            drive(8.0 * np.arange(30, 50), first=30, track_id=7, class_id=4),
        )
        (joined,) = join([a, b], JoinConfig())
        assert joined.track_id == 3
        assert joined.frame.tolist() == [*range(20), *range(30, 50)]

    def test_the_class_is_that_of_most_observations(self) -> None:
        def joined_class(first_class: int, second_class: int) -> int:
            a = drive(8.0 * np.arange(20), class_id=first_class)
            b = drive(8.0 * np.arange(30, 60), first=30, track_id=2, class_id=second_class)
            (joined,) = join([a, b], JoinConfig())
            return joined.class_id

        assert (joined_class(1, 4), joined_class(4, 1)) == (4, 1)

    @pytest.mark.parametrize(
        "later",
        [
            drive(8.0 * np.arange(30, 50), first=70, track_id=2),  # too late
            drive(8.0 * np.arange(30, 50), first=10, track_id=2),  # at the same time
            drive(8.0 * np.arange(30, 50), first=30, y=300, track_id=2),  # elsewhere
            drive(8.0 * np.arange(30, 50), first=30, size=100, track_id=2),  # another size
            drive(240 - 8.0 * np.arange(20), first=30, track_id=2),  # the other way
            drive(160 + 20.0 * np.arange(20), first=21, track_id=2),  # much faster at once
            drive(np.full(20, 160.0), first=21, track_id=2),  # parked where it passed
        ],
    )
    def test_does_not_join_what_does_not_fit(self, later: Tracklet) -> None:
        assert len(join([drive(8.0 * np.arange(20)), later], JoinConfig())) == 2

    def test_looks_decide(self) -> None:
        a = drive(8.0 * np.arange(20), features=np.tile([1.0, 0], (20, 1)))
        same = drive(8.0 * np.arange(30, 50) + 6, first=30, track_id=2, features=np.tile([1.0, 0], (20, 1)))
        other = drive(8.0 * np.arange(30, 50), first=30, track_id=3, features=np.tile([0.0, 1], (20, 1)))
        assert [(t.track_id, len(t)) for t in join([a, same, other], JoinConfig())] == [(1, 40), (3, 20)]

    def test_one_to_one_at_the_least_total_cost(self) -> None:
        upper, lower = drive(8.0 * np.arange(20), track_id=1), drive(8.0 * np.arange(20), y=120, track_id=2)
        later = [drive(8.0 * np.arange(30, 50), y=y, first=30, track_id=i) for i, y in ((3, 122), (4, 102))]
        joined = {t.track_id: float(t.xyxy[-1, 1]) for t in join([upper, lower, *later], JoinConfig())}
        assert joined == {1: 102, 2: 122}

    def test_chains(self) -> None:
        pieces = [drive(8.0 * np.arange(a, a + 15), first=a, track_id=a + 1) for a in (0, 20, 40)]
        (joined,) = join(pieces[::-1], JoinConfig())
        assert (joined.track_id, len(joined)) == (1, 45)


class TestInterpolate:
    def test_fills_short_gaps_on_a_line(self) -> None:
        gappy = drive([0, 10, 40, 90], frame=np.array([0, 1, 4, 50]), features=np.ones((4, 2)))
        (filled,) = interpolate([gappy], CLOCK, InterpolateConfig(max_gap_s=1))
        assert filled.frame.tolist() == [0, 1, 2, 3, 4, 50]
        np.testing.assert_allclose(filled.xyxy[:, 0], [0, 10, 20, 30, 40, 90])
        np.testing.assert_allclose(filled.score, np.float32([0.9, 0.9, 0, 0, 0.9, 0.9]))
        np.testing.assert_allclose(filled.appearance[:, 0], [1, 1, 0, 0, 1, 1])

    def test_replaces_predictions(self) -> None:
        coasted = drive([-10, 0, 999, 20, 30], score=np.array([0.9, 0.9, 0, 0.9, 0.9]))
        (filled,) = interpolate([coasted], CLOCK, InterpolateConfig())
        np.testing.assert_allclose(filled.xyxy[:, 0], [-10, 0, 10, 20, 30])

    @pytest.mark.parametrize("x", [[-10, 0, 999, 20], [0, 999, 20, 30]])
    def test_a_single_observation_on_one_side_supports_no_motion(self, x: list[float]) -> None:
        score = np.where(np.array(x) == 999, 0, 0.9)
        (left,) = interpolate([drive(x, score=score)], CLOCK, InterpolateConfig())
        assert left.score.min() > 0
        standing = drive(np.full(4, 5.0), score=score)
        assert len(interpolate([standing], CLOCK, InterpolateConfig())[0]) == 4

    def test_motion_on_both_sides_must_support_the_step(self) -> None:
        """Twenty frames, a gap of four frames, twenty frames; the second half begins 100 px farther on."""
        frame = np.concatenate([np.arange(20), np.arange(24, 44)])

        def filled(speed_before: float, speed_after: float, step: float) -> int:
            before = speed_before * np.arange(20)
            x = np.concatenate([before, before[-1] + step + speed_after * np.arange(20)])
            return len(interpolate([drive(x, frame=frame)], CLOCK, InterpolateConfig())[0]) - len(frame)

        assert filled(5, 5, 25) == 4
        assert filled(0, 0, 0) == 4
        assert filled(5, 5, 120) == 0  # a jump
        assert filled(0, 20, 100) == 0  # it stood, and another one drove on
        assert filled(20, 0, 100) == 0
        assert filled(20, -20, 0) == 4  # it has not moved over the gap

    def test_what_is_mostly_missing_is_not_filled(self) -> None:
        """A detection in every third frame, while others are detected in all, and where no frame lies between."""
        sparse, other = drive(np.zeros(20), frame=3 * np.arange(20)), drive(np.zeros(60), y=20, track_id=2)
        assert interpolate([sparse, other], CLOCK, InterpolateConfig())[0] is sparse
        assert len(interpolate([sparse], CLOCK, InterpolateConfig())[0]) == 58
        denser = drive(np.zeros(40), frame=np.flatnonzero(np.arange(60) % 3))
        assert len(interpolate([denser, other], CLOCK, InterpolateConfig())[0]) == 59

    def test_no_boxes_on_a_road_that_was_seen_empty(self) -> None:
        """A vehicle is not detected for two seconds: behind a lorry, or for no reason."""
        frame = np.concatenate([np.arange(20), np.arange(40, 60)])
        moving, standing = drive(5.0 * frame, frame=frame), drive(0.0 * frame, frame=frame)
        lorry = drive(np.full(60, 80.0), y=60, size=100, track_id=2)
        assert len(interpolate([moving], CLOCK, InterpolateConfig())[0]) == 40
        assert len(interpolate([moving, lorry], CLOCK, InterpolateConfig())[0]) == 60
        assert len(interpolate([standing], CLOCK, InterpolateConfig())[0]) == 60
        assert len(interpolate([moving], CLOCK, InterpolateConfig(max_visible_gap_s=2.1))[0]) == 60
        assert len(interpolate([moving, lorry], CLOCK, InterpolateConfig(max_gap_s=1.5))[0]) == 40

    def test_times_are_the_clock_s(self) -> None:
        clock = Clock(fps=10, time_map=((0, 0.0), (2, 0.2), (3, 5.0)))
        frames = np.array([0, 2, 4])
        gappy = drive([0, 2, 4], frame=frames)
        gappy = Tracklet("c", 1, frames, clock.time_s(frames), gappy.xyxy, gappy.score, 0, gappy.appearance)
        (filled,) = interpolate([gappy], clock, InterpolateConfig(max_gap_s=1))
        np.testing.assert_allclose(filled.time_s, [0, 0.1, 0.2, 5.1])


class TestOcclusion:
    def test_filled_boxes_behind_a_nearer_vehicle_go_and_detected_ones_stay(self) -> None:
        behind = drive(np.full(6, 100.0), y=90, track_id=1, score=np.array([0.9, 0, 0, 0, 0.9, 0.9]))
        passing = drive([20.0, 60.0, 100.0, 140.0, 100.0, 100.0], y=95, track_id=2)
        left, right = drop_occluded([behind, passing], OcclusionConfig(max_occluded=0.5))
        assert left.frame.tolist() == [0, 1, 3, 4, 5]  # in frame 2 all but the top is hidden; 4 and 5 were detected
        assert right is passing

    def test_what_is_farther_hides_nothing(self) -> None:
        near = drive(np.full(3, 100.0), y=100, track_id=1, score=np.array([0.9, 0, 0.9]))
        far = drive(np.full(3, 100.0), y=90, track_id=2)
        assert drop_occluded([near, far], OcclusionConfig(max_occluded=0.1))[0] is near

    def test_share_agrees_with_painting_every_pixel(self) -> None:
        # A box of 32 px has a sample for every 4 × 4 pixels: exact where all corners are multiples of 4.
        rng = np.random.default_rng(3)
        others = np.sort(4 * rng.integers(0, 20, (200, 2, 2)), axis=1).reshape(-1, 4).astype(float)
        for x1, y1 in (4 * rng.integers(0, 12, (20, 2))).tolist():
            near = others[rng.integers(0, 200, 3)]
            sheet = np.zeros((80, 80), bool)
            for left, top, right, bottom in near[near[:, 3] > y1 + 32].astype(int):
                sheet[top:bottom, left:right] = True
            box = np.array([[x1, y1, x1 + 32, y1 + 32]], float)
            assert occluded_fraction(box, near)[0] == sheet[y1 : y1 + 32, x1 : x1 + 32].mean()


class TestFilter:
    def test_parked_goes_and_waiting_stays(self) -> None:
        rng = np.random.default_rng(2)
        parked = drive(100 + rng.normal(0, 2, 300), track_id=1)
        glitch = 100 + rng.normal(0, 2, 300)
        glitch[150] = 400
        parked_with_one_bad_box = drive(glitch, track_id=2)
        waiting = drive(np.concatenate([np.arange(0, 100, 8), np.full(600, 100), np.arange(100, 200, 8)]), track_id=3)
        kept = filter_tracklets(
            [parked, parked_with_one_bad_box, waiting], TrackletFilterConfig(min_displacement=0.5)
        )
        assert [t.track_id for t in kept] == [3]

    def test_travel_by_hand(self) -> None:
        assert displacement(drive([0, 40, 80], size=40).xyxy) == pytest.approx(80 / np.hypot(40, 40))

    @pytest.mark.parametrize(
        ("config", "kept"),
        [
            (TrackletFilterConfig(min_duration_s=1.9), True),
            (TrackletFilterConfig(min_duration_s=2.0), False),
            (TrackletFilterConfig(min_boxes=20), True),
            (TrackletFilterConfig(min_boxes=21), False),
            (TrackletFilterConfig(min_area_px=1601), False),
            (TrackletFilterConfig(min_mean_score=0.91), False),
        ],
    )
    def test_minima(self, config: TrackletFilterConfig, kept: bool) -> None:
        assert bool(filter_tracklets([drive(8.0 * np.arange(20))], config)) is kept

    def test_interpolated_boxes_are_no_evidence(self) -> None:
        score = np.array([0.5] + [0] * 18 + [0.5])
        assert filter_tracklets([drive(8.0 * np.arange(20), score=score)], TrackletFilterConfig(min_boxes=3)) == []
        assert filter_tracklets(
            [drive(8.0 * np.arange(20), score=score)], TrackletFilterConfig(min_boxes=2, min_mean_score=0.4)
        )

    def test_limits_are_satisfied_by_equal_values(self) -> None:
        path = drive([0, 40, 80])
        extent = displacement(path.xyxy)
        assert filter_tracklets([path], TrackletFilterConfig(min_displacement=extent, min_duration_s=0.2))
        assert not filter_tracklets([path], TrackletFilterConfig(min_displacement=extent + 0.01))
        assert filter_tracklets([path], TrackletFilterConfig(min_area_px=1600, min_duration_s=0))

    def test_the_largest_box_has_the_least_area(self) -> None:
        growing = [drive([0], size=size) for size in (10, 20, 40)]
        xyxy = np.concatenate([t.xyxy for t in growing])
        path = drive([0, 40, 80])
        path = Tracklet("c1", 1, path.frame, path.time_s, xyxy, path.score, 1, path.appearance)
        assert filter_tracklets([path], TrackletFilterConfig(min_area_px=1500, min_duration_s=0))

    def test_a_tracklet_without_detected_boxes_has_a_mean_score_of_zero(self) -> None:
        filled = drive([0, 40, 80], score=0)
        nothing = {"min_boxes": 0, "min_duration_s": 0}
        assert filter_tracklets([filled], TrackletFilterConfig.model_validate(nothing))
        assert not filter_tracklets([filled], TrackletFilterConfig.model_validate({**nothing, "min_mean_score": 0.1}))

    def test_region_of_interest(self) -> None:
        roi = np.zeros((200, 400), bool)
        roi[:, :100] = True
        config = TrackletFilterConfig(min_roi_share=0.5)
        assert filter_tracklets([drive(np.linspace(0, 110, 20))], config, roi)
        assert filter_tracklets([drive(np.linspace(60, 300, 20))], config, roi) == []
        assert filter_tracklets([drive(np.linspace(60, 300, 20))], config)


def test_steps_in_order_and_each_by_itself() -> None:
    camera = Camera("c1", 1, CLOCK)
    torn = [drive(8.0 * np.arange(20), track_id=1), drive(8.0 * np.arange(26, 50), first=26, track_id=2)]
    brief = drive([300.0] * 4, track_id=3)
    (whole,) = clean([*torn, brief], camera, CleanConfig())
    assert whole.frame.tolist() == list(range(50))
    off = {"enabled": False}
    everything_off = CleanConfig.model_validate({"split": off, "join": off, "interpolate": off, "filter": off})
    assert clean([*torn, brief], camera, everything_off) == [*torn, brief]
    assert clean([], camera, CleanConfig()) == []


STEPS = {
    "split": "split",
    "join": "join",
    "interpolate": "interpolate",
    "occlusion": "drop_occluded",
    "filter": "filter_tracklets",
}


@pytest.mark.parametrize("disabled", [None, *STEPS])
def test_each_step_is_done_where_it_is_enabled(disabled: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for step, function in STEPS.items():
        monkeypatch.setattr(f"mtmc.clean.{function}", lambda tracklets, *_, step=step: done.append(step) or tracklets)
    given = [drive([0, 8, 16])]
    config = CleanConfig.model_validate({disabled: {"enabled": False}} if disabled else {})
    assert clean(given, Camera("c1", 1, CLOCK), config) == given
    assert done == [step for step in STEPS if step != disabled]


def test_values_of_the_steps() -> None:
    assert CleanConfig().model_dump() == {
        "split": {
            "enabled": True,
            "window_s": 1.0,
            "max_turn_deg": 150.0,
            "min_turn_speed": 0.5,
            "max_position_jump": 1.0,
            "max_appearance_change": 0.6,
            "min_boxes": 5,
        },
        "join": {
            "enabled": True,
            "max_gap_s": 2.0,
            "window_s": 1.0,
            "max_extrapolation_error": 0.5,
            "max_acceleration": 1.0,
            "max_size_ratio": 1.6,
            "max_appearance_distance": 0.4,
        },
        "interpolate": {
            "enabled": True,
            "max_gap_s": 3.0,
            "max_visible_gap_s": 1.0,
            "window_s": 1.0,
            "max_deviation": 0.5,
        },
        "occlusion": {"enabled": True, "max_occluded": 0.5},
        "filter": {
            "enabled": True,
            "min_duration_s": 0.5,
            "min_boxes": 3,
            "min_displacement": 0.0,
            "min_roi_share": 0.5,
            "min_area_px": 0.0,
            "min_mean_score": 0.0,
        },
    }


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("split.window_s", [0.01], [0]),
        ("split.max_turn_deg", [0.01], [0]),
        ("split.min_turn_speed", [0.01], [0]),
        ("split.max_position_jump", [0.01], [0]),
        ("split.max_appearance_change", [0.01], [0]),
        ("split.min_boxes", [1], [0]),
        ("join.max_gap_s", [0.01], [0]),
        ("join.window_s", [0.01], [0]),
        ("join.max_extrapolation_error", [0.01], [0]),
        ("join.max_size_ratio", [1.01], [1]),
        ("join.max_appearance_distance", [0.01, 2], [0, 2.01]),
        ("join.max_acceleration", [0.01], [0]),
        ("interpolate.max_gap_s", [0], [-0.01]),
        ("interpolate.max_visible_gap_s", [0], [-0.01]),
        ("interpolate.window_s", [0.01], [0]),
        ("interpolate.max_deviation", [0.01], [0]),
        ("occlusion.max_occluded", [0, 1], [-0.01, 1.01]),
        ("filter.min_duration_s", [0], [-0.01]),
        ("filter.min_boxes", [0], [-1]),
        ("filter.min_displacement", [0], [-0.01]),
        ("filter.min_roi_share", [0, 1], [-0.01, 1.01]),
        ("filter.min_area_px", [0], [-0.01]),
        ("filter.min_mean_score", [0, 1], [-0.01, 1.01]),
    ],
)
def test_ranges(key: str, accepted: list[float], refused: list[float]) -> None:
    step, name = key.split(".")
    for value in accepted:
        assert getattr(getattr(CleanConfig.model_validate({step: {name: value}}), step), name) == value
    for value in refused:
        with pytest.raises(ValueError, match=name):
            CleanConfig.model_validate({step: {name: value}})


@pytest.mark.parametrize("step", STEPS)
def test_settings_of_a_step_are_used_where_it_is_enabled(step: str) -> None:
    config = type(getattr(CleanConfig(), step))
    enabled = UsedWhen(f"clean.{step}.enabled", "=", True)
    assert dict(config.used_when) == {key: enabled for key in config.model_fields if key != "enabled"}


def test_without_features_there_is_no_change_of_appearance() -> None:
    score = _appearance_score(drive(5.0 * np.arange(20)), SplitConfig())
    assert (score.shape, score.any()) == ((19,), False)


def test_jumps_within_the_window_are_one_split() -> None:
    """Two position jumps six frames apart: split at both unless they are within the window."""
    x = 5.0 * np.arange(60) + 150 * (np.arange(60) >= 27) + 300 * (np.arange(60) >= 33)
    assert split_points(drive(x), SplitConfig(window_s=0.5, min_boxes=2)) == [27, 33]
    assert split_points(drive(x), SplitConfig(window_s=0.8, min_boxes=2)) == [33]


def test_a_foot_between_two_pixels_is_in_the_left_one() -> None:
    roi = np.zeros((200, 400), bool)
    roi[:, :101] = True
    path = drive([80.5, 80.5, 80.5])
    assert filter_tracklets([path], TrackletFilterConfig(min_duration_s=0), roi)
