"""The parts of a loss: computed by hand, and with a sum that equals the loss for random errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mtmc.diagnose.matched_run import MatchedRun, assign
from mtmc.diagnose.oracles import rewrite
from mtmc.diagnose.waterfall import PARTS, waterfall
from mtmc.formats.table import Table
from mtmc.types import Array
from tests.mtmc.diagnose.worlds import hand_made_losses, hand_made_run

#: (part, right boxes, boxes of the answer after the filters); the truth has 50.
BY_HAND = [
    ("run", 16, 18),  # identity 1 alone is in two cameras: 12 + 6 boxes, 2 of them false
    ("association", 29, 37),  # vehicle 2: 11 + 8 boxes, of which 7 + 6 lie on it
    ("fragmentation", 33, 41),  # four more boxes of vehicle 1 in camera 2
    ("mixed tracklets", 36, 41),  # three boxes of vehicle 2 change place with three of vehicle 3
    ("interpolated boxes", 36, 40),
    ("false detections", 36, 38),
    ("box placement", 38, 38),
    ("post-processing", 38, 38),
    ("clean-up", 39, 39),
    ("tracking", 39, 39),
    ("filter", 39, 39),
    ("detector", 40, 40),
    ("given boxes", 40, 40),
    ("region of interest", 40, 40),
    ("single-camera filter", 50, 50),  # the ten of vehicle 3
]


def test_every_part_by_hand() -> None:
    matched = hand_made_run()
    steps = waterfall(matched, hand_made_losses(matched))
    assert [step.name for step in steps] == [name for name, _, _ in BY_HAND] == ["run", *PARTS]
    before = 0.0
    for step, (name, right, boxes) in zip(steps, BY_HAND, strict=True):
        expected = 2 * right / (50 + boxes)
        assert step.scores.idtp == right, name
        assert step.scores.idf1 == pytest.approx(expected), name
        assert step.gain == pytest.approx(0 if name == "run" else expected - before), name
        before = expected
    assert sum(step.gain for step in steps) == pytest.approx(1 - 32 / 68)


def test_one_stage_perfect_at_a_time_by_hand() -> None:
    found = {oracle.name: oracle.scores.idf1 for oracle in rewrite(hand_made_run()) if oracle.scores is not None}
    assert found == {
        "cross-camera ids": pytest.approx(2 * 33 / (50 + 41)),
        "single-camera tracks": pytest.approx(2 * 36 / (50 + 41)),
        "boxes": pytest.approx(32 / 68),  # the misplaced ones have no identity that counts
        "no false boxes": pytest.approx(32 / 66),
    }


def test_the_region_of_interest_is_a_part() -> None:
    matched = hand_made_run()
    roi = np.ones((400, 400), bool)
    roi[100:131, 100:141] = False  # where vehicle 1 begins: touched by its corners in frames 0 to 8
    seen = MatchedRun.of(matched.truth, matched.written, Table.empty(), {2: roi}, "aicity")
    steps = {step.name: step for step in waterfall(seen, hand_made_losses(seen))}
    # of the 40 true boxes that count, those of camera 2 in lane 1 with a corner at x ≤ 140: 100 + 5 f ≤ 140
    assert steps["given boxes"].scores.idtp == 40 - 9
    assert steps["region of interest"].scores.idtp == 40
    assert sum(step.gain for step in steps.values()) == pytest.approx(1 - steps["run"].scores.idf1)


def test_a_true_box_without_a_losing_stage_is_an_error() -> None:
    matched = hand_made_run()
    with pytest.raises(ValueError, match="expected one of post-processing, clean-up"):
        waterfall(matched, np.full(len(matched.truth), "", dtype="<U20"))


def random_run(seed: int, cameras: int = 3, vehicles: int = 8) -> tuple[MatchedRun, Array]:
    """Vehicles that drive straight on, and an answer with mistakes of every kind."""
    rng = np.random.default_rng(seed)
    truth, written = [], []
    track = 0
    for vehicle in range(1, vehicles + 1):
        for camera in range(1, cameras + 1):
            if rng.random() < 0.3:
                continue
            frame = np.arange(rng.integers(0, 10), rng.integers(15, 40))
            n = len(frame)
            corner = rng.uniform(0, 300, 2) + frame[:, None] * rng.uniform(-4, 4, 2)
            xyxy = np.concatenate([corner, corner + rng.uniform(30, 60, 2)], axis=1)
            truth.append(Table.of(camera, np.full(n, vehicle), frame, xyxy))
            cut = np.sort(rng.integers(0, n, rng.integers(0, 3)))
            for part in np.split(np.arange(n), cut):
                keep = part[rng.random(len(part)) > 0.15]
                track += 1
                if not len(keep) or rng.random() < 0.1:
                    continue
                identity = vehicle if rng.random() < 0.6 else int(rng.integers(1, 2 * vehicles))
                found = xyxy[keep] + rng.normal(0, rng.choice([1, 8]), (len(keep), 4))
                found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 5)
                score = np.where(rng.random(len(keep)) < 0.2, 0, 0.9)
                ids, tracks = np.full(len(keep), identity), np.full(len(keep), track)
                written.append(Table.of(camera, ids, frame[keep], found, score=score, track_id=tracks))
    matched = MatchedRun.of(Table.concatenate(truth), Table.concatenate(written), Table.empty(), {}, "aicity")
    names = np.array(["post-processing", "clean-up", "tracking", "filter", "detector", "given boxes"])
    return matched, names[rng.integers(0, 6, len(matched.truth))]


@pytest.mark.parametrize("seed", range(12))
def test_parts_sum_to_the_loss_and_the_last_answer_is_the_truth(seed: int) -> None:
    matched, lost = random_run(seed)
    steps = waterfall(matched, lost)
    loss = 1 - steps[0].scores.idf1
    assert loss > 0.1
    assert sum(step.gain for step in steps[1:]) == pytest.approx(loss, abs=1e-12)
    assert steps[-1].scores.idf1 == 1
    named = {step.name: step.gain for step in steps[1:]}
    assert min(named[name] for name in ("interpolated boxes", "false detections", "box placement")) >= 0


def naive_idf1(truth: Table, answer: Table) -> float:
    """IDF1 after the single-camera filter, over a dense table of identities, with loops."""
    cameras: dict[int, set[int]] = {}
    for identity, camera in zip(answer.id.tolist(), answer.camera.tolist(), strict=True):
        cameras.setdefault(identity, set()).add(camera)
    boxes: dict[tuple[int, int, int], Array] = {}
    for row in range(len(answer)):
        key = int(answer.camera[row]), int(answer.frame[row]), int(answer.id[row])
        if len(cameras[key[2]]) > 1:
            boxes.setdefault(key, answer.xyxy[row])
    true_ids, ids = sorted(set(truth.id.tolist())), sorted({key[2] for key in boxes})
    together = np.zeros((len(true_ids), len(ids) or 1))
    for row in range(len(truth)):
        for (camera, frame, identity), box in boxes.items():
            if (camera, frame) == (truth.camera[row], truth.frame[row]):
                together[true_ids.index(int(truth.id[row])), ids.index(identity)] += (
                    overlap(truth.xyxy[row], box) >= 0.5
                )
    right = together[linear_sum_assignment(together, maximize=True)].sum()
    return float(2 * right / (len(truth) + len(boxes)))


def overlap(a: Array, b: Array) -> float:
    wide, tall = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    inter = max(wide, 0) * max(tall, 0)
    return float(inter / (sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - inter))


@pytest.mark.parametrize("seed", [1, 5])
def test_scores_of_the_run_and_of_oracle_ids_against_a_naive_twin(seed: int) -> None:
    matched, lost = random_run(seed, cameras=2, vehicles=4)
    steps = {step.name: step.scores.idf1 for step in waterfall(matched, lost)}
    assert steps["run"] == pytest.approx(naive_idf1(matched.truth, matched.written))
    # each tracklet under the vehicle that most of its boxes lie on, one true box for one found
    named = matched.written.id.copy()
    right = {
        (int(m), int(r)) for r, (m, iou) in enumerate(zip(matched.match, matched.iou, strict=True)) if iou >= 0.5
    }
    for track in np.unique(matched.written.track_id).tolist():
        votes: dict[int, int] = {}
        for m, r in right:
            if matched.boxes.track_id[r] == track:
                votes[int(matched.truth.id[m])] = votes.get(int(matched.truth.id[m]), 0) + 1
        best = min(votes, key=lambda v: (-votes[v], v), default=1000 + track)
        named[matched.written.track_id == track] = best
    right_first = np.argsort([overlap_of_own(matched, row) for row in range(len(named))], kind="stable")[::-1]
    twin = naive_idf1(matched.truth, matched.written.with_columns(id=named)[right_first])
    assert steps["fragmentation"] == pytest.approx(twin)


def overlap_of_own(matched: MatchedRun, row: int) -> float:
    """Whether a written box matches anything: matched ones win where an identity has two boxes in a frame."""
    key = tuple(int(getattr(matched.written, c)[row]) for c in ("camera", "track_id", "frame"))
    same = (matched.boxes.camera == key[0]) & (matched.boxes.track_id == key[1]) & (matched.boxes.frame == key[2])
    return float(matched.match[same][0] >= 0)


def test_matching_prefers_pairs_that_score() -> None:
    # the first box overlaps both true ones; taking its best partner would leave the second without one that scores
    truth = Table.of(1, [1, 2], [0, 0], [[0, 0, 10, 10], [0, 3, 10, 13]])
    boxes = Table.of(1, [1, 2], [0, 0], [[0, 1, 10, 11], [0, -3, 10, 7]])  # IoU .82/.67 and .54/.25
    match, iou = assign(truth, boxes)
    assert match.tolist() == [1, 0]
    assert iou.tolist() == pytest.approx([8 / 12, 7 / 13])


def test_official_scores_agree_with_motmetrics(motmetrics_idf1: Callable[[Table, Table], float]) -> None:
    matched, lost = random_run(3)
    kept = matched.written
    cameras = {i: len(set(kept.camera[kept.id == i].tolist())) for i in np.unique(kept.id).tolist()}
    kept = kept[np.array([cameras[i] > 1 for i in kept.id.tolist()])]
    first = np.unique(np.stack([kept.camera, kept.frame, kept.id], axis=1), axis=0, return_index=True)[1]
    assert waterfall(matched, lost)[0].scores.idf1 == pytest.approx(
        motmetrics_idf1(matched.truth, kept[np.sort(first)])
    )


@pytest.fixture
def motmetrics_idf1() -> Callable[[Table, Table], float]:
    """IDF1 of two tables by the matching of motmetrics of identities."""
    mm = pytest.importorskip("motmetrics")

    def compute(truth: Table, answer: Table) -> float:
        accumulator = mm.MOTAccumulator()
        moments = sorted(set(zip(truth.camera.tolist(), truth.frame.tolist(), strict=True))
                         | set(zip(answer.camera.tolist(), answer.frame.tolist(), strict=True)))  # fmt: skip
        for number, (camera, frame) in enumerate(moments):
            i = np.flatnonzero((truth.camera == camera) & (truth.frame == frame))
            j = np.flatnonzero((answer.camera == camera) & (answer.frame == frame))
            distance = np.array([[1 - overlap(truth.xyxy[a], answer.xyxy[b]) for b in j] for a in i]).reshape(
                len(i), len(j)
            )
            distance[distance > 0.5] = np.nan
            accumulator.update(truth.id[i], answer.id[j], distance, frameid=number)
        return float(mm.metrics.create().compute(accumulator, metrics=["idf1"], return_dataframe=False)["idf1"])

    return compute
