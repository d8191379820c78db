"""Which observations stand for a tracklet, against plain loops and by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.embed import EmbedConfig
from mtmc.embed.crops import crop_quality, occlusion, select_crops
from mtmc.types import Tracklet


def tracklet(frames, xyxy, score=None, track_id=1):
    frames = np.asarray(frames, np.int64)
    return Tracklet(
        camera_id="c1",
        track_id=track_id,
        frame=frames,
        time_s=frames / 10,
        xyxy=np.broadcast_to(np.asarray(xyxy, np.float32), (len(frames), 4)).copy(),
        score=np.ones(len(frames), np.float32) if score is None else np.asarray(score, np.float32),
        class_id=0,
        appearance=np.zeros((len(frames), 0), np.float32),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_covered_equals_a_loop_over_all_pairs(seed):
    rng = np.random.default_rng(seed)
    tracklets = []
    for k in range(rng.integers(1, 5)):
        frames = np.flatnonzero(rng.random(6) < 0.7)
        if len(frames):
            corner = rng.integers(0, 8, (len(frames), 2))
            boxes = np.hstack([corner, corner + rng.integers(1, 8, (len(frames), 2))])
            tracklets.append(tracklet(frames, boxes, track_id=k + 1))
    for t, shares in zip(tracklets, occlusion(tracklets), strict=True):
        for row, share in enumerate(shares):
            x1, y1, x2, y2 = t.xyxy[row].tolist()
            most = 0.0
            for other in tracklets:
                for a1, b1, a2, b2 in other.xyxy[other.frame == t.frame[row]].tolist():
                    if b2 > y2:
                        common = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
                        most = max(most, common / ((x2 - x1) * (y2 - y1)))
            assert abs(share - most) < 1e-9


def test_quality_falls_with_distance_doubt_cover_and_the_border():
    t = tracklet(
        range(5),
        [(50, 50, 90, 90), (50, 50, 70, 70), (50, 50, 90, 90), (50, 50, 90, 90), (0, 50, 40, 90)],
        score=[1, 1, 0.6, 1, 1],
    )
    in_front = tracklet([3], [(70, 60, 120, 120)], track_id=2)
    quality, other = crop_quality([t, in_front], (200, 200))
    hidden = (20 * 30) / (40 * 40)
    np.testing.assert_allclose(quality, [1, 0.5, 0.6, 1 - hidden, 0.5], atol=1e-6)
    np.testing.assert_allclose(other, [1])
    assert crop_quality([t], None)[0][4] == 1
    assert crop_quality([], (10, 10)) == []


def test_each_stretch_of_time_gives_its_two_best():
    t = tracklet(range(12), (0, 0, 50, 50))
    quality = np.array([0.1, 0.9, 0.5, 0.2, 0.7, 0.7, 0.7, 0.1, 0.3, 0.1, 0.2, 0.9])
    chosen = select_crops(t, quality, EmbedConfig(crops_per_tracklet=3))
    assert [rows.tolist() for rows in chosen] == [[1, 2], [4, 5], [11, 8]]


def test_time_counts_and_not_the_number_of_observations():
    t = tracklet([0, 1, 2, 3, 4, 90], (0, 0, 50, 50))
    chosen = select_crops(t, np.array([0.1, 0.2, 0.3, 0.2, 0.1, 0.1]), EmbedConfig(crops_per_tracklet=2))
    assert [rows.tolist() for rows in chosen] == [[2, 1], [5]]


def test_interpolated_and_tiny_boxes_count_only_where_there_is_nothing_else():
    boxes = [(0, 0, 50, 50), (0, 0, 50, 8), (0, 0, 50, 50)]
    mixed = tracklet(range(3), boxes, score=[0, 0.9, 0.5])
    assert [rows.tolist() for rows in select_crops(mixed, np.ones(3), EmbedConfig(crops_per_tracklet=3))] == [[2]]
    tiny = tracklet(range(3), (0, 0, 8, 8))
    assert [rows.tolist() for rows in select_crops(tiny, np.array([0.1, 0.3, 0.2]), EmbedConfig())] == [[1]]


def test_one_observation_is_enough():
    assert [rows.tolist() for rows in select_crops(tracklet([7], (0, 0, 50, 50)), np.ones(1), EmbedConfig())] == [[0]]
