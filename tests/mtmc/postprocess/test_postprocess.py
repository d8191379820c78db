"""Boxes of a result: expanded, clipped, suppressed; and the factors found from ground truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.formats.mot import read_mot, write_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.geometry.clock import Clock
from mtmc.postprocess import PostprocessConfig, calibrate, fit_box_scales, image_sizes, postprocess
from mtmc.postprocess.expand import clip_to_image, expand_boxes
from mtmc.postprocess.suppress import duplicate_boxes, min_size, repeated_boxes, truncation
from mtmc.scene import Camera, Scene
from mtmc.types import Array, GlobalTrack, Passage, Tracklet
from tests.builders import tracklet

SIZE = (200, 100)


def passage(one: Tracklet) -> Passage:
    return Passage(one, np.zeros(0, np.float32), "", "", np.arange(2.0 * len(one)).reshape(-1, 2))


def scene(**more: object) -> Scene:
    cameras = (
        Camera("c001", 1, Clock(10.0), size_wh=SIZE, **more),  # type: ignore[arg-type]
        Camera("c002", 2, Clock(10.0)),
    )
    return Scene("test", Path(), cameras)


def boxes(*rows: tuple[float, float, float, float]) -> Array:
    return np.array(rows, float)


def everything(tracks: list[GlobalTrack]) -> list[tuple[int, str, int, list[int], list[list[float]]]]:
    return [
        (t.global_id, p.tracklet.camera_id, p.tracklet.track_id, p.tracklet.frame.tolist(), p.tracklet.xyxy.tolist())
        for t in tracks
        for p in t.passages
    ]


def test_the_defaults_leave_boxes_inside_the_image_as_they_are() -> None:
    tracks = [
        GlobalTrack(4, (passage(tracklet("c001", 7, start=(5, 5))), passage(tracklet("c002", 7)))),
        GlobalTrack(9, (passage(tracklet("c001", 1, start=(5, 5))),)),  # on the very same spot
    ]
    assert everything(postprocess(tracks, scene(), PostprocessConfig())) == everything(tracks)
    assert postprocess([], scene(), PostprocessConfig()) == []


def test_growing_by_a_factor_with_a_limit() -> None:
    one = boxes((10, 20, 30, 30), (0, 0, 100, 100))
    # by hand: 20 × 10 becomes 24 × 15, and 100 × 100 would gain 20 × 50 but may gain 20 × 20
    grown = expand_boxes(one, np.array([[1.2, 1.5], [1.2, 1.5]]), max_expansion_px=20)
    assert np.allclose(grown, [[8, 17.5, 32, 32.5], [-10, -10, 110, 110]])


def test_cutting_at_the_image_where_its_size_is_known() -> None:
    one = boxes((-5, 10, 30, 120), (-5, 10, 30, 120), (-50, 10, -5, 20))
    size = np.array([[200.0, 100], [np.nan, np.nan], [200, 100]])
    # the third has nothing in the image: nothing sensible could be left of it
    assert clip_to_image(one, size).tolist() == [[0, 10, 30, 100], [-5, 10, 30, 120], [-50, 10, -5, 20]]


def test_a_camera_s_own_scale_comes_before_the_run_s() -> None:
    tracks = [GlobalTrack(1, tuple(passage(tracklet(c, start=(90, 40), length=1)) for c in ("c001", "c002")))]
    first, second = postprocess(
        tracks, scene(box_scale=(2.0, 1.0)), PostprocessConfig(min_displacement=0, box_scale=1.5)
    )[0].passages
    assert first.tracklet.xyxy.tolist() == [[70, 40, 150, 70]]  # 40 × 30 at (90, 40), twice as wide
    assert second.tracklet.xyxy.tolist() == [[80, 32.5, 140, 77.5]]
    assert first.ground_m.tolist() == [[0, 1]]


def test_parked_vehicles_are_left_out_and_waiting_ones_stay() -> None:
    standing = {"step": (0, 0), "length": 9}
    waits, drives = tracklet("c001", 1, **standing), tracklet("c002", 1, start=(20, 20), step=(9, 0), length=9)
    parked = [tracklet("c001", 2, **standing), tracklet("c002", 2, **standing)]
    tracks = [GlobalTrack(1, (passage(waits), passage(drives))), GlobalTrack(2, tuple(map(passage, parked)))]
    assert [(t.global_id, len(t.passages)) for t in postprocess(tracks, scene(), PostprocessConfig())] == [(1, 2)]
    # 72 px to the right are 1.44 diagonals of 50 px
    assert not postprocess(tracks, scene(), PostprocessConfig(min_displacement=1.5))
    assert len(postprocess(tracks, scene(), PostprocessConfig(min_displacement=0))) == 2


def test_small_boxes_are_dropped_by_pixels_or_by_share() -> None:
    one, size = (
        boxes((0, 0, 10, 10), (0, 0, 20, 20), (0, 0, 10, 10)),
        np.array([[200.0, 100], [200, 100], [np.nan] * 2]),
    )
    assert min_size(one, size, 100, 0.01).tolist() == [False, True, True]  # 1 % of 200 × 100 is 200
    assert min_size(one, size, 101, 0.0).tolist() == [False, True, False]


def test_a_passage_without_boxes_goes_and_its_vehicle_with_it() -> None:
    tracks = [
        GlobalTrack(3, (passage(tracklet("c001", 1, size=(5, 5))), passage(tracklet("c002", 2)))),
        GlobalTrack(8, (passage(tracklet("c001", 5, size=(5, 5))),)),
    ]
    left = postprocess(tracks, scene(), PostprocessConfig(min_area_px=100))
    assert [(t.global_id, [p.tracklet.track_id for p in t.passages]) for t in left] == [(3, [2])]


def test_how_much_of_a_vehicle_the_border_cuts_off() -> None:
    # leaving to the right at 20 px per frame: 40 × 20 boxes of which 40, 40, 30 and 10 px are in the image
    one = boxes((130, 40, 170, 60), (150, 40, 190, 60), (170, 40, 200, 60), (190, 40, 200, 60))
    size = np.broadcast_to(np.array([200.0, 100]), (4, 2))
    frame, same = np.arange(4), np.zeros(4, int)
    assert truncation(one, same, frame, size).tolist() == [0, 0, 0.25, 0.75]
    assert truncation(one[2:], same[2:], frame[2:], size[2:]).tolist() == [0, 0]  # never seen whole: nobody knows
    assert truncation(one, same, frame, np.full((4, 2), np.nan)).tolist() == [0, 0, 0, 0]
    assert truncation(np.zeros((0, 4)), same[:0], frame[:0], size[:0]).tolist() == []


def test_boxes_mostly_out_of_view_are_dropped() -> None:
    leaving = tracklet("c001", 1, start=(130, 40), step=(20, 0), size=(40, 20), length=4)
    [left] = postprocess([GlobalTrack(1, (passage(leaving),))], scene(), PostprocessConfig(max_truncation=0.5))
    assert left.passages[0].tracklet.frame.tolist() == [0, 1, 2]
    assert left.passages[0].tracklet.xyxy[-1].tolist() == [170, 40, 200, 60]  # 170 … 210, cut at 200
    assert left.passages[0].ground_m.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_of_two_vehicles_on_one_spot_the_better_supported_stays() -> None:
    spot, beside = (0.0, 0.0, 100.0, 100.0), (0.0, 0.0, 100.0, 95.0)  # IoU 0.95
    one = boxes(spot, beside, (50, 0, 150, 100), spot)
    picture, vehicle = np.array([0, 0, 0, 1]), np.array([5, 2, 3, 5])
    support = np.array([[3.0], [4], [9], [3]])
    assert duplicate_boxes(one, picture, vehicle, support, 0.9).tolist() == [True, False, False, False]
    assert duplicate_boxes(one, picture, vehicle, support, 0.96).tolist() == [False] * 4
    assert duplicate_boxes(one, picture, vehicle, np.ones((4, 1)), 0.9).tolist() == [
        True,
        False,
        False,
        False,
    ]  # 2 < 5
    assert duplicate_boxes(one, picture, np.full(4, 5), support, 0.9).tolist() == [False] * 4  # one vehicle, twice


def test_duplicates_against_a_naive_twin() -> None:
    rng = np.random.default_rng(3)
    corner = rng.integers(0, 30, (300, 2))
    one = np.concatenate([corner, corner + rng.integers(20, 60, (300, 2))], axis=1).astype(float)
    picture, vehicle = rng.integers(0, 25, 300), rng.integers(0, 12, 300)
    support = np.stack([rng.integers(0, 2, 300), rng.random(300)], axis=1)

    def iou(a: Array, b: Array) -> float:
        wide, tall = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
        inter = max(wide, 0) * max(tall, 0)
        sizes = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return float(inter / (sum(sizes) - inter))

    gone = np.zeros(300, bool)
    for k in sorted(range(300), key=lambda k: (-support[k, 0], -support[k, 1], vehicle[k])):
        for m in range(300):
            weaker = (-support[m, 0], -support[m, 1], vehicle[m]) > (-support[k, 0], -support[k, 1], vehicle[k])
            if not gone[k] and picture[m] == picture[k] and vehicle[m] != vehicle[k] and weaker:
                gone[m] |= iou(one[k], one[m]) > 0.6
    assert duplicate_boxes(one, picture, vehicle, support, 0.6).tolist() == gone.tolist()
    assert gone.any()
    assert not gone.all()


def test_detected_boxes_win_over_interpolated_ones() -> None:
    long = tracklet("c001", 1, start=(20, 20), step=(0, 0), length=10)
    long = Tracklet(*(getattr(long, f) for f in ("camera_id", "track_id", "frame", "time_s", "xyxy")),
                    np.where(np.arange(10) < 5, 0.9, 0).astype(np.float32), 1, long.appearance)  # fmt: skip
    short = tracklet("c001", 2, first=4, start=(20, 20), step=(0, 0), length=4)  # frames 4 … 7
    tracks = [GlobalTrack(1, (passage(long),)), GlobalTrack(2, (passage(short),))]
    first, second = postprocess(tracks, scene(), PostprocessConfig(min_displacement=0, duplicate_iou=0.9))
    assert first.passages[0].tracklet.frame.tolist() == [
        0,
        1,
        2,
        3,
        4,
        8,
        9,
    ]  # in frame 4 both were seen: 5 > 4 boxes
    assert second.passages[0].tracklet.frame.tolist() == [5, 6, 7]


def a_scene_of(scale: tuple[float, float], camera: int, n: int = 80) -> tuple[Table, Table]:
    """Annotation, and the same boxes made smaller by known factors, with a little noise."""
    rng = np.random.default_rng(camera)
    corner, wide = rng.uniform(300, 900, (n, 2)), rng.uniform(60, 120, (n, 2))
    gt = np.concatenate([corner - wide / 2, corner + wide / 2], axis=1)
    small = wide / np.array(scale)
    found = np.concatenate([corner - small / 2, corner + small / 2], axis=1) + rng.normal(0, 1, (n, 4))
    ids = np.zeros(n, int)
    return Table.of(camera, ids + 1, np.arange(n), gt), Table.of(camera, ids + 7, np.arange(n), found)


def test_calibration_finds_the_factors_that_made_the_boxes_small() -> None:
    parts = [a_scene_of((1.5, 1.3), 1), a_scene_of((1.0, 1.0), 2), a_scene_of((1.6, 1.6), 3, n=20)]
    gt, tracks = (Table.concatenate(column) for column in zip(*parts, strict=True))
    found = calibrate(gt, tracks)
    assert found[1] == pytest.approx((1.5, 1.3), rel=0.05)
    assert found[2] == (1.0, 1.0)  # already fits
    assert found[3] == (1.0, 1.0)  # 20 boxes say nothing
    assert calibrate(gt, tracks, min_pairs=10)[3] == pytest.approx((1.6, 1.6), rel=0.05)


def test_calibration_does_not_depend_on_order_and_needs_no_partner() -> None:
    gt, tracks = a_scene_of((1.4, 1.4), 1)
    shuffled = np.random.default_rng(0).permutation(len(gt))
    assert calibrate(gt[shuffled], tracks[shuffled[::-1]]) == calibrate(gt, tracks)
    assert calibrate(Table.empty(), tracks) == {1: (1.0, 1.0)}
    assert calibrate(gt, Table.empty()) == {}


def test_scales_are_written_into_the_scene_of_cameras_with_truth(tmp_path: Path) -> None:
    way = tracklet(length=60, start=(50, 200), step=(6, 0), size=(60, 40))
    boxes = expand_boxes(way.xyxy.astype(float), np.broadcast_to((1.5, 1.4), (60, 2)))
    write_mot(Table.of(1, np.ones(60, int), way.frame, boxes), tmp_path / "gt.txt")
    with_truth = Camera("c001", 1, Clock(10.0), size_wh=(960, 540), ground_truth=tmp_path / "gt.txt")
    without = Camera("c002", 2, Clock(10.0))
    fitted, text = fit_box_scales(Scene("x", tmp_path, (with_truth, without)), [passage(way)])
    assert fitted.camera("c001").box_scale == pytest.approx((1.5, 1.4), rel=0.05)
    assert fitted.camera("c002").box_scale == (1.0, 1.0)
    assert text.splitlines()[1].split()[3:] == ["0%", "100%", "60", "boxes"]  # IoU 1 / 2.1 before
    assert "c002" not in text
    with pytest.raises(SceneError, match="no camera of x has ground truth, which --fit-boxes needs"):
        fit_box_scales(Scene("x", tmp_path, (without,)), [])


def test_image_sizes_come_from_the_scene_or_the_video(tmp_path: Path) -> None:
    from tests.builders import traffic_frames, write_video

    video = write_video(tmp_path / "c002.mp4", traffic_frames(3, (160, 120)))
    cameras = (
        Camera("c001", 1, Clock(10.0), size_wh=SIZE),
        Camera("c002", 2, Clock(10.0), video=video),
        Camera("c003", 3, Clock(10.0)),
        Camera("c004", 4, Clock(10.0), video=tmp_path / "gone.mp4"),
    )
    assert image_sizes(Scene("test", tmp_path, cameras)) == {"c001": SIZE, "c002": (160, 120)}


def test_real_tracks_match_more_of_their_annotation_with_calibrated_boxes(shared: Callable[[str], Path]) -> None:
    """CityFlow S03, annotated more loosely than Mask R-CNN draws: at least a quarter more boxes reach IoU 0.5."""
    from mtmc.evaluate.match import overlapping_pairs

    gt = read_track1(shared("data/aicity/ground_truth_train_v1.txt"))
    gt = gt[gt.camera == 13]
    tracks = read_mot(shared("data/aicity/S03/mtsc/c013/mtsc_deepsort_mask_rcnn.txt"), 13)
    scale = calibrate(gt, tracks)[13]
    grown = tracks.with_columns(xyxy=expand_boxes(tracks.xyxy, np.broadcast_to(scale, (len(tracks), 2))))
    before, after = (len(np.unique(overlapping_pairs(gt, t, 0.5).truth)) for t in (tracks, grown))
    assert min(scale) > 1.2
    assert after > 1.25 * before


def test_an_identity_is_in_a_frame_once() -> None:
    """Of two tracklets that association joined, the longer one is written where both have a box."""
    long = passage(tracklet("c001", 1, first=0, length=10, start=(50, 40)))
    late = passage(tracklet("c001", 2, first=7, length=6, start=(52, 41)))
    elsewhere = passage(tracklet("c002", 1, first=7, length=6))
    other = passage(tracklet("c001", 3, first=7, length=6, start=(50, 40)))
    tracks = [GlobalTrack(1, (long, late, elsewhere)), GlobalTrack(2, (other,))]
    for given in (tracks, [GlobalTrack(1, (elsewhere, late, long)), tracks[1]]):
        written = {
            (t.global_id, p.tracklet.camera_id, p.tracklet.track_id): p.tracklet.frame.tolist()
            for t in postprocess(given, scene(), PostprocessConfig(min_displacement=0, min_area_px=0))
            for p in t.passages
        }
        assert written == {
            (1, "c001", 1): list(range(10)),
            (1, "c001", 2): [10, 11, 12],
            (1, "c002", 1): list(range(7, 13)),
            (2, "c001", 3): list(range(7, 13)),
        }


@pytest.mark.parametrize("seed", range(5))
def test_repeated_boxes_against_a_naive_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture, vehicle = rng.integers(0, 5, 60), rng.integers(0, 4, 60)
    support = rng.integers(0, 3, (60, 2)).astype(float)
    best: dict[tuple[int, int], int] = {}
    for k in range(60):
        key = int(picture[k]), int(vehicle[k])
        if key not in best or support[k].tolist() > support[best[key]].tolist():
            best[key] = k
    expected = [k not in best.values() for k in range(60)]
    assert repeated_boxes(picture, vehicle, support).tolist() == expected
