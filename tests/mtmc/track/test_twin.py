"""The tracker against a naive twin: one object per track, loops, and the whole cost matrix solved at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mtmc.geometry.boxes import iou_pairs
from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, kalman, track
from mtmc.types import Array, Detections
from tests.mtmc.track.traffic import CONFIGS, crossing_traffic


@dataclass(eq=False)
class NaiveTrack:
    state: Array
    features: list[Array]
    seen: int
    boxes: list[tuple[int, tuple[float, ...]]]
    n_high: int
    confirmed: bool = False


class NaiveTracker:
    """Deep SORT and JDE as their papers describe them, one track after another."""

    def __init__(self, config: TrackConfig, fps: float) -> None:
        self.config, self.fps = config, fps
        self.max_age = round(max(config.max_age_s * fps, 4))
        self.is_staged = config.association == "staged"
        self.noise = kalman.Noise(config.position_noise, config.velocity_noise, config.initial_velocity_std)
        self.living: list[NaiveTrack] = []
        self.all: list[NaiveTrack] = []
        self.previous: int | None = None

    def update(self, frame: int, found: Detections) -> None:
        step = 1 if self.previous is None else frame - self.previous
        max_age = self.max_age * (2 if self.is_staged and found.appearance.shape[1] else 1)
        self.living = [t for t in self.living if frame - t.seen <= max_age]
        for t in self.living:
            t.state = kalman.predict(t.state, self.noise, step / self.fps)
        self.found, self.features = found, [v / np.linalg.norm(v) for v in found.appearance]
        self.xyah = kalman.to_xyah(found.xyxy)
        self.pairs: dict[int, NaiveTrack] = {}
        recent = [t for t in self.living if frame - t.seen == step and t.confirmed]
        confirmed = [t for t in self.living if t.confirmed]
        tentative = [t for t in self.living if not t.confirmed]
        c = self.config
        assert c.high_score_threshold is not None
        self.step, self.high = step, [j for j in range(len(found)) if found.score[j] >= c.high_score_threshold]
        high, low = self.high, [j for j in range(len(found)) if j not in self.high]
        dim = found.appearance.shape[1]
        limit = c.appearance_max_distance if dim else c.motion_only_gate
        if c.association != "jde":
            for age in sorted({frame - t.seen for t in confirmed}):
                self.match([t for t in confirmed if frame - t.seen == age], high, self.first, limit)
        if c.association == "staged":
            self.match(recent, high, self.overlap, c.iou_max_distance)
            self.match(confirmed, high, self.appearance_agrees, c.iou_max_distance)
            self.match(recent, low, self.overlap, c.low_iou_max_distance)
            self.match(tentative, high + low, self.overlap, c.iou_max_distance)
        elif c.association == "deepsort":
            order = {id(t): n for n, t in enumerate(self.living)}
            self.match(sorted(tentative + recent, key=lambda t: order[id(t)]), high, self.overlap, c.iou_max_distance)
            self.match(recent, low, self.overlap, c.low_iou_max_distance)
        else:
            self.match(confirmed, high, self.first, limit)
            self.match(recent, high, self.overlap, c.iou_max_distance)
            self.match(recent, low, self.overlap, c.low_iou_max_distance)
            self.match(tentative, high, self.overlap, c.tentative_iou_max_distance)
        self.learn(frame)
        matched = list(self.pairs.values())
        self.living = [t for t in self.living if t in matched or t.confirmed]
        for j in high:
            if j not in self.pairs and found.score[j] >= c.new_track_threshold:
                state = kalman.initiate(self.xyah[j : j + 1], self.noise)
                born = NaiveTrack(state, [self.features[j]] if dim else [], frame, [(frame, tuple(found.xyxy[j]))], 1)
                self.living.append(born)
                self.all.append(born)
        self.previous = frame

    def first(self, t: NaiveTrack, j: int) -> float:
        motion = float(kalman.mahalanobis(t.state, self.xyah[j : j + 1], self.noise)[0, 0])
        if not self.features or not len(self.features[j]):
            return motion
        unlike = min(1 - float(f @ self.features[j]) for f in t.features)
        if self.config.association == "jde":
            unlike = (1 - self.config.motion_weight) * unlike + self.config.motion_weight * motion
        return unlike if motion <= self.config.mahalanobis_gate else np.inf

    def overlap(self, t: NaiveTrack, j: int) -> float:
        predicted, detected = kalman.to_xyxy(t.state)[0], self.found.xyxy[j]
        if len(t.boxes) == 1:
            predicted, detected = self.grown(predicted), self.grown(detected)
        return 1 - float(iou_pairs(predicted, detected))

    def appearance_agrees(self, t: NaiveTrack, j: int) -> float:
        if self.features and len(self.features[j]):
            unlike = min(1 - float(f @ self.features[j]) for f in t.features)
            if unlike > self.config.appearance_max_distance:
                return np.inf
        return self.overlap(t, j)

    def grown(self, box: Array) -> Array:
        x, y, right, bottom = box
        grow = (self.config.buffer_scale - 1) * max(self.step / self.fps / 0.1, 1)
        dx, dy = grow * np.array([right - x, bottom - y]) / 2
        return np.array([x - dx, y - dy, right + dx, bottom + dy])

    def match(
        self, tracks: list[NaiveTrack], boxes: list[int], cost: Callable[[NaiveTrack, int], float], limit: float
    ) -> None:
        tracks = [t for t in tracks if t not in self.pairs.values()]
        boxes = [j for j in boxes if j not in self.pairs]
        if tracks and boxes:
            matrix = np.array([[min(cost(t, j), limit) for j in boxes] for t in tracks])
            for row, column in zip(*linear_sum_assignment(matrix), strict=True):
                if matrix[row, column] < limit:
                    self.pairs[boxes[column]] = tracks[row]

    def learn(self, frame: int) -> None:
        for j, t in self.pairs.items():
            trust = self.found.score[j : j + 1] if self.config.score_adaptive_noise else None
            t.state = kalman.update(t.state, self.xyah[j : j + 1], self.noise, trust)
            t.seen = frame
            t.boxes.append((frame, tuple(self.found.xyxy[j])))
            t.n_high += j in self.high
            t.confirmed |= len(t.boxes) >= self.config.n_init and t.n_high >= self.config.n_high
            if self.features and len(self.features[j]):
                if self.config.feature_memory == "gallery":
                    t.features = [*t.features, self.features[j]][-self.config.gallery_size :]
                else:
                    mean = (
                        self.config.ema_momentum * t.features[0] + (1 - self.config.ema_momentum) * self.features[j]
                    )
                    t.features = [mean / np.linalg.norm(mean)]


#: Settings of which the usual values hardly change a match.
EXTREME: dict[str, dict[str, object]] = {
    "deepsort, motion is not fused": {"association": "deepsort", "motion_weight": 0.6},
    "deepsort, greatly enlarged boxes": {"association": "deepsort", "buffer_scale": 3.0},
    "jde, mostly motion": {"association": "jde", "motion_weight": 0.6, "duplicate_iou": 1.0},
}


@pytest.mark.parametrize(
    ("name", "gaps", "dim"),
    [
        *[(name, gaps, dim) for name in CONFIGS for gaps in (False, True) for dim in (8, 0)],
        *[(name, True, 8) for name in EXTREME],
        ("deepsort, running mean", True, 1),
    ],
)
def test_same_tracks_as_the_twin(name: str, gaps: bool, dim: int) -> None:
    given = (CONFIGS | EXTREME)[name]
    config = TrackConfig.model_validate({**given, "coast_s": 0, "output": "detected"})
    for seed in range(2):
        frames = crossing_traffic(seed, dim, gaps=gaps)
        twin = NaiveTracker(config, fps=8)
        for frame, found in frames:
            twin.update(frame, found)
        expected = [t.boxes for t in twin.all if t.confirmed]
        tracklets = track(frames, "c", Clock(fps=8), config)
        got = [[(int(f), tuple(b)) for f, b in zip(t.frame, t.xyxy, strict=True)] for t in tracklets]
        assert sorted(got) == sorted(expected)
        assert [t.track_id for t in tracklets] == list(range(1, len(got) + 1))
        assert len(got) > 6
