"""Conflicts of cuboids in a pinhole camera, against times found by brute force on the ground."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import project
from mtmc.scene import Camera
from mtmc.traffic.conflicts import Conflict, collision_times, conflicts, post_encroachment
from mtmc.traffic.outlines import Outlines, has_free_lower_edge, local_lines, outlines_of
from mtmc.types import CLASSES, Array, GlobalTrack, Passage
from tests.builders import tracklet

SIZE_M = np.array([4.6, 1.85, 1.5])
CAR = CLASSES.index("car")
FPS = 10.0


def pinhole() -> Array:
    """Projection (3, 4) of a camera 9 m above (0, 0) that looks along the second axis, 20° downwards."""
    tilt = np.deg2rad(20)
    right, ahead = np.array([1.0, 0, 0]), np.array([0, math.cos(tilt), -math.sin(tilt)])
    down = np.cross(ahead, right)
    rotation = np.stack([right, down, ahead])
    inner = np.array([[1100.0, 0, 960], [0, 1100, 540], [0, 0, 1]])
    return inner @ np.concatenate([rotation, -rotation @ np.array([[0], [0], [9.0]])], axis=1)


PROJECTION = pinhole()
GROUND_FROM_IMAGE = np.linalg.inv(PROJECTION[:, [0, 1, 3]])
CAMERA = Camera("a", 1, Clock(FPS), size_wh=(1920, 1080), ground_from_image=GROUND_FROM_IMAGE)


def corners(center_m: Array, direction: float) -> Array:
    """The corners of a vehicle on the ground at each time: (L, 2) → (L, 4, 2)."""
    c, s = math.cos(direction), math.sin(direction)
    local = np.array([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]) * SIZE_M[:2]
    return np.asarray(center_m[:, None] + local @ np.array([[c, s], [-s, c]]))


def vehicle(
    number: int, start_m: tuple[float, float], speed: float, direction_deg: float, **more: object
) -> GlobalTrack:
    """Boxes of a cuboid that is at ``start_m`` at 0 s and drives on for 8 s."""
    jitter = float(more.get("jitter", 0.0))  # type: ignore[arg-type]
    time_s = np.arange(81) / FPS
    center_m, direction = path(start_m, speed, direction_deg, time_s), np.deg2rad(direction_deg)
    base = corners(center_m, direction)
    points = np.concatenate([np.insert(base, 2, height, axis=2) for height in (0.0, SIZE_M[2])], axis=1)
    pixels = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2) @ PROJECTION.T
    pixels = pixels[..., :2] / pixels[..., 2:]
    boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    boxes += jitter * np.random.default_rng(number).normal(size=boxes.shape)
    own = replace(tracklet("a", number, length=81, fps=FPS), xyxy=boxes.astype(np.float32), class_id=CAR)
    ground_m = project(bottom_center(boxes), GROUND_FROM_IMAGE)
    return GlobalTrack(number, (Passage(own, np.zeros(0, np.float32), "", "", ground_m),))


def path(start_m: tuple[float, float], speed: float, direction_deg: float, time_s: Array) -> Array:
    direction = np.deg2rad(direction_deg)
    return np.array(start_m) + speed * time_s[:, None] * np.array([math.cos(direction), math.sin(direction)])


def times_within(points: Array, start_m: tuple[float, float], speed: float, direction_deg: float) -> Array:
    """Whether each point (P, 2) is covered at each time of a hundredth of a second: bool (T, P)."""
    direction = np.deg2rad(direction_deg)
    along = np.array([math.cos(direction), math.sin(direction)])
    across = np.array([-along[1], along[0]])
    from_center = points[None] - path(start_m, speed, direction_deg, np.arange(800) / 100)[:, None]
    is_along = np.abs(from_center @ along) <= SIZE_M[0] / 2
    return np.asarray(is_along & (np.abs(from_center @ across) <= SIZE_M[1] / 2))


def true_pet_s(first: tuple, second: tuple) -> float:
    """From when the first one last covers a point that both sweep to when the second one first does."""
    grid = np.stack(np.meshgrid(np.arange(-8, 8, 0.1), np.arange(22, 38, 0.1)), axis=2).reshape(-1, 2)
    in_first, in_second = times_within(grid, *first), times_within(grid, *second)
    shared = in_first.any(axis=0) & in_second.any(axis=0)
    leave = np.flatnonzero(in_first[:, shared].any(axis=1))[-1]
    enter = np.flatnonzero(in_second[:, shared].any(axis=1))[0]
    return float(enter - leave) / 100


#: From left to right through (0, 30) after 3 s, and vehicles whose paths cross there some time later.
FIRST = ((-30.0, 30.0), 10.0, 0.0)
SECOND = {
    "across, towards the camera": ((0.0, 70.0), 8.0, -90.0),
    "across, away from it": ((0.0, 4.0), 5.0, 90.0),
    "at an angle": ((-24.0, 30.0 - 24 * math.sqrt(3)), 48 / 5.2, 60.0),
    "from the other side": ((40.0, 30.0 + 40 / math.sqrt(3)), 9.0, 210.0),
}


@pytest.mark.parametrize("second", SECOND.values(), ids=SECOND)
def test_post_encroachment_time(second: tuple) -> None:
    [found] = [c for c in conflicts([vehicle(1, *FIRST), vehicle(2, *second)], [CAMERA]) if c.measure == "PET"]
    truth = true_pet_s(FIRST, second)
    assert 0.3 < truth < 5
    assert (found.first_vehicle, found.second_vehicle) == (1, 2)
    assert found.value_s == pytest.approx(truth, abs=0.12)
    assert found.low_s < truth < found.high_s
    assert (found.x_m, found.y_m) == pytest.approx((0.0, 30.0), abs=0.5)
    assert (found.first_kmh, found.second_kmh) == pytest.approx((36.0, 3.6 * second[1]), rel=0.04)
    assert found.angle_deg == pytest.approx(abs((second[2] + 180) % 360 - 180), abs=3)


def test_noise_widens_the_interval_and_is_covered_by_it() -> None:
    second = SECOND["across, away from it"]
    truth = true_pet_s(FIRST, second)
    widths, covered = [], []
    for seed in range(40):
        pair = [vehicle(2 * seed + 1, *FIRST, jitter=3.0), vehicle(2 * seed + 2, *second, jitter=3.0)]
        [found] = [c for c in conflicts(pair, [CAMERA]) if c.measure == "PET"]
        widths.append(found.high_s - found.low_s)
        covered.append(found.low_s <= truth <= found.high_s)
    [exact] = [c for c in conflicts([vehicle(1, *FIRST), vehicle(2, *second)], [CAMERA]) if c.measure == "PET"]
    assert np.median(widths) > 1.1 * (exact.high_s - exact.low_s)
    assert np.mean(covered) >= 0.9


@pytest.mark.parametrize("angle_deg", [40.0, 90.0, 140.0])
def test_the_interval_has_the_spread_of_times_of_moved_vehicles(angle_deg: float) -> None:
    """Positions and lengths are drawn, and the time is measured anew."""
    rng = np.random.default_rng(int(angle_deg))
    first, second = straight(1, 10.0, 0.0, at_s=4.0), straight(2, 7.0, angle_deg, at_s=7.0)
    exact = post_encroachment(first, second)
    assert exact is not None
    assert exact.angle_deg == pytest.approx(angle_deg)
    drawn = [post_encroachment(moved(first, rng), moved(second, rng)) for _ in range(600)]
    values = [row.value_s for row in drawn if row is not None]
    assert np.isfinite(values).all()
    assert len(values) == 600
    assert exact.high_s - exact.low_s == pytest.approx(2 * 1.645 * np.std(values), rel=0.1)


def straight(number: int, speed: float, direction_deg: float, at_s: float) -> Outlines:
    """Outlines of a vehicle that is at (0, 0) at a time."""
    [own] = outlines_of([vehicle(number, *FIRST)], CAMERA)
    direction, step = np.deg2rad(direction_deg), np.arange(121)
    heading = np.tile([math.cos(direction), math.sin(direction)], (len(step), 1))
    return replace(
        own, step=step, center_m=speed * (step[:, None] / 10 - at_s) * heading, velocity_mps=speed * heading,
        heading=heading, sd_m=np.full(len(step), 0.3), velocity_sd_mps=np.full(len(step), 0.1),
    )  # fmt: skip


def moved(own: Outlines, rng: np.random.Generator) -> Outlines:
    """The same with errors of the position, 0.3 m in each direction, and of the length, a tenth."""
    length_m = own.length_m * (1 + 0.1 * rng.normal())
    return replace(own, center_m=own.center_m + rng.normal(0, 0.3, 2), length_m=length_m)


def only_pet(*tracks: GlobalTrack) -> list[Conflict]:
    return [c for c in conflicts(tracks, [CAMERA]) if c.measure == "PET"]


def test_what_cannot_be_told_is_not_guessed() -> None:
    [noisy, *_] = only_pet(vehicle(1, *FIRST, jitter=20.0), vehicle(2, (0.0, 22.0), 1.6, 90.0, jitter=20.0))
    assert math.isnan(noisy.value_s)
    assert math.isnan(noisy.low_s)


def test_no_conflict_without_crossing_or_long_after() -> None:
    assert only_pet(vehicle(1, *FIRST), vehicle(2, (-30.0, 36.0), 10.0, 0.0)) == []
    late = vehicle(2, (0.0, -10.0), 4.0, 90.0)
    assert only_pet(vehicle(1, (-4.0, 30.0), 20.0, 0.0), late) == []  # eight seconds later
    assert only_pet(vehicle(1, *FIRST)) == []
    assert only_pet(vehicle(1, *FIRST), vehicle(2, (-40.0, 20.0), 11.0, 15.0)) == []  # at 15°


def test_hidden_lower_edges_are_not_sure() -> None:
    first, second = vehicle(1, *FIRST), vehicle(2, *SECOND["across, away from it"])
    [own] = outlines_of([first], CAMERA)
    hidden = first.passages[0].tracklet.xyxy[20:41]
    cover = replace(tracklet("a", 9, first=20, length=21), xyxy=hidden + np.array([0, 10, 0, 10], np.float32))
    nearer = GlobalTrack(9, (Passage(cover, np.zeros(0, np.float32), "", "", np.full((21, 2), np.nan)),))
    covered = next(o for o in outlines_of([first, nearer], CAMERA) if o.movement.vehicle == 1)
    assert set(range(25, 36)) <= set(own.step.tolist())
    assert not set(range(25, 36)) & set(covered.step.tolist())
    [found] = [c for c in only_pet(first, second, nearer) if {c.first_vehicle, c.second_vehicle} == {1, 2}]
    assert math.isnan(found.value_s)


def test_lower_edges_by_hand() -> None:
    frame = np.array([0, 0, 0, 1, 0])
    boxes = np.array(
        [[0, 0, 100, 50], [80, 40, 180, 90], [95, 60, 150, 95], [0, 10, 100, 60], [300, 0, 400, 50]], float
    )
    # The second box covers a fifth of the first one's edge, the third box half of the second one's.
    assert has_free_lower_edge(frame, boxes).tolist() == [False, False, True, True, True]


def test_lines_by_least_squares() -> None:
    """Against numpy's polynomial fit of each window."""
    rng = np.random.default_rng(0)
    time_s = np.sort(rng.uniform(0, 10, 90)) + 1000
    xy = np.stack([3 * time_s, -(time_s**2) / 300], axis=1) + rng.normal(0, 0.2, (90, 2))
    at_s = np.arange(1001, 1009, 0.7)
    found = local_lines(time_s, xy, at_s)
    for k, at in enumerate(at_s.tolist()):
        rows = np.abs(time_s - at) <= 0.5
        slope, offset = np.polyfit(time_s[rows] - at, xy[rows], 1)
        residual = xy[rows] - offset - slope * (time_s[rows] - at)[:, None]
        np.testing.assert_allclose(found.position[k], offset, atol=1e-6)
        np.testing.assert_allclose(found.velocity[k], slope, atol=1e-6)
        assert found.sd[k] == pytest.approx(math.sqrt((residual**2).sum() / 2 / (rows.sum() - 2)))


def test_centers_are_those_of_the_vehicles() -> None:
    for start, speed, direction in (FIRST, *SECOND.values()):
        [own] = outlines_of([vehicle(1, start, speed, direction)], CAMERA)
        truth = path(start, speed, direction, own.step / 10)
        assert np.hypot(*(own.center_m - truth).T).max() < 0.6
        assert np.median(np.hypot(*(own.center_m - truth).T)) < 0.35


def test_time_to_collision() -> None:
    """A vehicle at 10 m/s behind one at 4 m/s: 13.8 m from bumper to bumper at the start."""
    pair = [vehicle(1, (-20.0, 30.0), 10.0, 0.0), vehicle(2, (-1.6, 30.0), 4.0, 0.0)]
    [found] = [c for c in conflicts(pair, [CAMERA]) if c.measure == "TTC"]
    assert found.value_s < 0.3
    gap_s = (18.4 - 4.6 - 6 * found.at_s) / 6
    assert found.value_s == pytest.approx(max(gap_s, 0), abs=0.25)
    beside = [vehicle(1, (-20.0, 30.0), 10.0, 0.0), vehicle(2, (-1.6, 33.6), 4.0, 0.0)]
    assert [c for c in conflicts(beside, [CAMERA]) if c.measure == "TTC" and c.value_s < 3] == []


def test_times_to_collision_by_small_steps() -> None:
    """Rectangles in random motion, moved on by hundredths of a second until a point of one lies in the other."""
    rng = np.random.default_rng(3)
    border = np.array([(x, y) for x in np.linspace(-1, 1, 41) for y in (-1, 1)])
    border = np.concatenate([border, border[:, ::-1]]) * SIZE_M[:2] / 2
    [still] = outlines_of([vehicle(1, *FIRST)], CAMERA)
    hits = 0
    for _ in range(120):
        a, b = (_random(still, rng) for _ in range(2))
        [[found]] = collision_times(a, b, np.array([0]), np.array([0]), np.zeros((1, 2)), np.zeros((1, 2)))
        expected = next((k / 100 for k in range(600) if _touch(a, b, k / 100, border)), math.inf)
        hits += math.isfinite(expected)
        assert found == pytest.approx(expected, abs=0.03) or (math.isinf(expected) and found > 5.9)
    assert hits > 10


def _random(still: Outlines, rng: np.random.Generator) -> Outlines:
    angle = rng.uniform(0, 2 * math.pi)
    heading = np.array([[math.cos(angle), math.sin(angle)]])
    velocity = rng.uniform(2, 12) * heading
    return replace(
        still, step=np.array([0]), center_m=rng.uniform(-15, 15, (1, 2)), velocity_mps=velocity, heading=heading,
        sd_m=np.zeros(1), velocity_sd_mps=np.zeros(1),
    )  # fmt: skip


def _touch(a: Outlines, b: Outlines, time_s: float, border: Array) -> bool:
    for own, other in ((a, b), (b, a)):
        c, s = own.heading[0]
        points = own.center_m[0] + own.velocity_mps[0] * time_s + border @ np.array([[c, s], [-s, c]])
        away = points - other.center_m[0] - other.velocity_mps[0] * time_s
        c, s = other.heading[0]
        local = away @ np.array([[c, -s], [s, c]])
        if (np.abs(local) <= SIZE_M[:2] / 2).all(axis=1).any():
            return True
    return False
