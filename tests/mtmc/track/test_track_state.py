"""Columns of tracks against loops over single tracks."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.track.track_state import Tracks, update_features


def new_tracks(n: int, window: int, *, first_key: int = 1, frame: int = 0) -> Tracks:
    state = np.zeros((n, 5, 4))
    state[:, 0] = np.arange(4 * n).reshape(n, 4)
    features = np.ones((n, 1, 2), np.float32)
    return Tracks.initiate(first_key, frame, frame / 10, np.arange(n), np.ones(n, bool), features, state, window)


def test_initiate_and_select() -> None:
    tracks = new_tracks(3, window=4, first_key=5, frame=7)
    assert tracks.key.tolist() == [5, 6, 7]
    assert tracks.track_id.tolist() == [0, 0, 0]
    assert (tracks.hits.tolist(), tracks.last_seen.tolist()) == ([1, 1, 1], [7, 7, 7])
    assert not tracks.confirmed.any()
    confirmed = new_tracks(2, window=4)
    confirmed.confirm(n_init=1, n_high=1)
    assert confirmed.confirmed.all()
    assert tracks[np.array([True, False, True])].key.tolist() == [5, 7]
    both = tracks.followed_by(new_tracks(1, window=4, first_key=8))
    assert both.key.tolist() == [5, 6, 7, 8]
    assert both.state.shape == (4, 5, 4)
    assert Tracks.empty().followed_by(tracks) is tracks
    assert len(Tracks.empty()) == 0


def test_no_tracks_are_the_columns_of_some_without_rows() -> None:
    some, none = new_tracks(2, window=0), Tracks.empty()
    for column in (
        "key",
        "track_id",
        "hits",
        "last_seen",
        "last_seen_s",
        "confirmed",
        "class_id",
        "features",
        "state",
    ):
        assert getattr(none, column).dtype == getattr(some, column).dtype
        assert getattr(none, column).shape[0] == 0
        if column != "features":
            assert getattr(none, column).shape[1:] == getattr(some, column).shape[1:]
    assert none.features.shape == (0, 1, 0)


def test_matches_are_counted_and_confirm() -> None:
    tracks = new_tracks(3, window=4)
    tracks.mark_matched(np.array([0, 2]), 1, 0.1, np.array([True, False]), np.zeros((2, 2)))
    tracks.confirm(n_init=3, n_high=2)
    assert tracks.hits.tolist() == [2, 1, 2]
    assert tracks.high_hits.tolist() == [2, 1, 1]
    assert not tracks.confirmed.any()
    tracks.mark_matched(np.array([0, 2]), 5, 0.5, np.array([False, False]), np.zeros((2, 2)))
    tracks.confirm(n_init=3, n_high=2)
    assert tracks.confirmed.tolist() == [True, False, False]
    tracks.mark_repeated(np.array([2]), 6, 0.6, np.array([True]))
    tracks.confirm(n_init=3, n_high=2)
    assert tracks.confirmed.tolist() == [True, False, True]
    assert tracks.last_seen.tolist() == [5, 0, 6]
    np.testing.assert_allclose(tracks.last_seen_s, [0.5, 0, 0.6])


@pytest.mark.parametrize("seed", range(4))
def test_recent_speed_is_the_slope_of_a_fitted_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, n = 6, 4
    tracks = new_tracks(n, window)
    history = [[(0, *tracks.state[i, 0, :2])] for i in range(n)]
    known = unknown = 0
    for frame in range(1, 25):
        rows = np.flatnonzero(rng.random(n) < 0.6)
        xy = rng.normal(0, 5, (len(rows), 2)) + frame * np.arange(len(rows))[:, None]
        tracks.mark_matched(rows, frame, frame / 10, np.ones(len(rows), bool), xy)
        for row, position in zip(rows, xy, strict=True):
            history[row].append((frame, *position))
        for i, speed in enumerate(tracks.recent_speed((window - 1) / 10)):
            seen = np.array(history[i])
            if len(seen) < window:
                continue  # the first detection counts several times
            recent = seen[-window:]
            recent = recent[recent[:, 0] > recent[-1, 0] - window]
            if recent[-1, 0] - recent[0, 0] < (window - 1) / 2:
                assert np.isinf(speed)
                unknown += 1
            else:
                assert speed == pytest.approx(np.hypot(*np.polyfit(recent[:, 0] / 10, recent[:, 1:], 1)[0]))
                known += 1
    assert known > 20
    assert np.isinf(new_tracks(2, window)[np.array([0, 1])].recent_speed(0.5)).all()


def test_moving_average_and_gallery() -> None:
    features = np.array([[[1, 0]], [[0, 1]]], np.float32)
    new = np.array([[0, 1], [0, 1]], np.float32)
    averaged = update_features(features, np.array([1, 1]), new, 0.75)
    np.testing.assert_allclose(averaged[:, 0], [np.array([0.75, 0.25]) / np.hypot(0.75, 0.25), [0, 1]], atol=1e-6)

    gallery = np.zeros((2, 3, 2), np.float32)
    replaced = update_features(gallery, np.array([2, 4]), new + 1, None)
    assert replaced[:, :, 0].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert not gallery.any()
