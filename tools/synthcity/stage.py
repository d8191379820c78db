"""A scene before any pixel: place, traffic, bystanders and cameras, all from the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.types import Array
from tools.synthcity.actors import Actor, Develop
from tools.synthcity.builder import Place, Site
from tools.synthcity.ground import GroundMap, draw_ground
from tools.synthcity.identity import Identity, draw_identity
from tools.synthcity.lens import View
from tools.synthcity.people import Figure, draw_figure
from tools.synthcity.places import build_place
from tools.synthcity.recipe import Recipe
from tools.synthcity.traffic import STEP_S, Journey, Traffic, simulate

__all__ = ["Bystander", "CameraPlan", "Mover", "Stage", "build_stage"]

_LAMP_HABIT = 104_729  # spreads the habit of driving with lights over vehicle numbers


@dataclass(frozen=True, slots=True, eq=False)
class CameraPlan:
    """One camera of a scene.

    Attributes:
        id, number: ``c001`` and 1.
        view: Where it looks, in delivered pixels.
        develop: How it turns light into pixels.
        fps: Nominal frames per second.
        clock: Frame numbers to scene seconds, losses included.
        frames: How many frames it delivers.
    """

    id: str
    number: int
    view: View
    develop: Develop
    fps: float
    clock: Clock
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Mover:
    """A vehicle of the scene, moving or parked.

    Attributes:
        id: Its identity in the ground truth, from 1.
        journey: Where it was; a parked one has a single row that holds for ever.
        parked: It never moves.
    """

    id: int
    journey: Journey
    parked: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Bystander:
    """A pedestrian or cyclist, walking back and forth along a line."""

    id: int
    seed: int
    kind: str
    line: Array
    speed_mps: float
    start_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """All that can be known about a scene without drawing it."""

    recipe: Recipe
    place: Place
    ground: GroundMap
    traffic: Traffic
    movers: tuple[Mover, ...]
    bystanders: tuple[Bystander, ...]
    cameras: tuple[CameraPlan, ...]

    def actors_at(self, time_s: float) -> list[Actor]:
        """Everything that moves or is parked, at a moment of the recording."""
        out = [actor for mover in self.movers if (actor := self._vehicle(mover, time_s)) is not None]
        return out + [self._figure(someone, time_s) for someone in self.bystanders]

    def state_at(self, mover: Mover, time_s: float) -> Array | None:
        """The vehicle's state (columns of :class:`Journey`) at a moment, None when it is not there."""
        rows = mover.journey.states
        if mover.parked:
            return np.asarray(rows[0])
        place = (time_s + self.recipe.warmup_s) / STEP_S - mover.journey.first_step
        if not 0 <= place <= len(rows) - 1:
            return None
        i = min(int(place), max(len(rows) - 2, 0))
        share = place - i
        return np.asarray((1 - share) * rows[i] + share * rows[min(i + 1, len(rows) - 1)])

    def _vehicle(self, mover: Mover, time_s: float) -> Actor | None:
        state = self.state_at(mover, time_s)
        if state is None:
            return None
        x, y, heading, speed, acceleration, steer, rolled = state
        c, s = float(np.cos(heading)), float(np.sin(heading))
        pose = np.eye(4)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(mover.journey.identity.scale)
        pose[:2, 3] = x, y
        light = _share_of(mover.id) < _LAMPS_ON[self.recipe.weather]
        return Actor(
            id=mover.id,
            looks=mover.journey.identity,
            pose=pose,
            velocity=speed * np.array([c, s]),
            rolled_m=float(rolled),
            steer_rad=float(steer),
            braking=not mover.parked and bool(acceleration < -0.6 or speed < 0.3),
            lamps=light and not mover.parked,
        )

    def _figure(self, someone: Bystander, time_s: float) -> Actor:
        station = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(someone.line, axis=0), axis=1))])
        span = float(station[-1])
        walked = (someone.start_m + someone.speed_mps * (time_s + 100.0)) % (2 * span)
        back = walked > span and someone.kind == "person"
        s = 2 * span - walked if back else walked % span
        at = np.array([np.interp(s, station, someone.line[:, k]) for k in range(2)])
        ahead = np.array([np.interp(min(s + 0.5, span), station, someone.line[:, k]) for k in range(2)]) - at
        along = ahead if float(ahead @ ahead) > 1e-6 else someone.line[-1] - someone.line[-2]
        along = along / np.linalg.norm(along) * (-1 if back else 1)
        figure = draw_figure(someone.seed, someone.kind)
        moving = Figure(figure.kind, int(walked * 2.2) % 4, figure.tones, figure.size)
        pose = np.eye(4)
        pose[:2, 0], pose[:2, 1] = along, [-along[1], along[0]]
        pose[:3, :3] *= figure.size
        pose[:2, 3] = at
        return Actor(someone.id, moving, pose, someone.speed_mps * along)


_LAMPS_ON = {"clear": 0.15, "overcast": 0.3, "low_sun": 0.3, "rain": 0.9, "dusk": 0.9, "night": 1.0}


def _share_of(number: int) -> float:
    return (number * _LAMP_HABIT % 1009) / 1009


def build_stage(recipe: Recipe) -> Stage:
    """Everything of a recipe that needs no renderer."""
    place = build_place(recipe.place, recipe.seed)
    ground = draw_ground(place)
    total = recipe.warmup_s + recipe.duration_s + recipe.start_spread_s + 1.0
    traffic = simulate(place.network, recipe.seed, recipe.demand_per_min, recipe.lookalike_share, total)
    shown = [j for j in traffic.journeys if (j.first_step + len(j.states)) * STEP_S > recipe.warmup_s]
    movers = [Mover(i + 1, journey) for i, journey in enumerate(shown)]
    movers += _parked(place, recipe, len(movers) + 1)
    first = len(movers) + 1
    return Stage(
        recipe, place, ground, traffic, tuple(movers), _bystanders(place, recipe, first), _cameras(place, recipe)
    )


def _parked(place: Place, recipe: Recipe, first: int) -> list[Mover]:
    rng = np.random.default_rng([recipe.seed, 801])
    out: list[Mover] = []
    for bay in place.bays:
        if rng.random() >= recipe.parked_share:
            continue
        looks = _small_identity(recipe.seed * 100_003 + 50_000 + len(out))
        heading = bay.heading_rad + float(rng.normal(0, 0.02))
        row = [bay.x + rng.normal(0, 0.25), bay.y + rng.normal(0, 0.08), heading, 0, 0, float(rng.normal(0, 0.1)), 0]
        out.append(Mover(first + len(out), Journey(looks, 0, np.round([row], 4), ("",)), parked=True))
    return out


def _small_identity(seed: int) -> Identity:
    looks = draw_identity(seed)
    return looks if looks.size_m[0] < 5.3 else draw_identity(seed, "hatchback")


def _bystanders(place: Place, recipe: Recipe, first: int) -> tuple[Bystander, ...]:
    rng = np.random.default_rng([recipe.seed, 809])
    streets = [road for road in place.roads if road.lanes != (0, 0) and not road.motorway]
    out: list[Bystander] = []
    for kind, count in (("person", recipe.pedestrians), ("bicycle", recipe.cyclists)):
        for _ in range(count if streets else 0):
            road = streets[int(rng.integers(len(streets)))]
            side = 1.0 if rng.random() < 0.5 else -1.0
            aside = road.half_width_m + (rng.uniform(1.0, 3.2) if kind == "person" else -0.55)
            start, stop = road.painted[0]
            along = road.points[-1] - road.points[0]
            along = along / np.linalg.norm(along)
            right = np.array([along[1], -along[0]])
            ends = [road.points[0] + along * d + right * side * aside for d in (start + 3, stop - 3)]
            # Cyclists ride with the traffic: with the road's direction on its right, against it on its left.
            first_end, last_end = ends if side > 0 else ends[::-1]
            line = np.linspace(first_end, last_end, 20)
            speed = float(rng.uniform(1.0, 1.7) if kind == "person" else rng.uniform(3.5, 5.5))
            seed = recipe.seed * 100_003 + 80_000 + len(out)
            out.append(Bystander(first + len(out), seed, kind, line, speed, float(rng.uniform(0, 200))))
    return tuple(out)


def _cameras(place: Place, recipe: Recipe) -> tuple[CameraPlan, ...]:
    rng = np.random.default_rng([recipe.seed, 811])
    plans = []
    for number, site in enumerate(place.sites[: recipe.cameras], start=1):
        shake = recipe.camera_jitter * rng.normal(0, 1, 7)
        eye = np.array(site.eye) + shake[:3] * [0.5, 0.25, 0.35]
        target = np.array(site.target) + shake[3:6] * [1.6, 0.8, 0.15]
        fov = float(np.clip(site.fov_deg + 4 * shake[6], 45, 88))
        moved = Site(tuple(np.round(eye, 3)), tuple(np.round(target, 3)), round(fov, 2))
        size = (recipe.width_px, recipe.height_px)
        view = View(
            moved, size, k1=round(float(rng.uniform(-0.09, -0.01)), 4), k2=round(float(rng.uniform(0, 0.01)), 4)
        )
        develop = Develop(
            exposure=float(np.exp(rng.normal(0, 0.14))),
            balance=(
                1 + float(rng.normal(0, 0.025)),
                1 + float(rng.normal(0, 0.025)),
                1 + float(rng.normal(0, 0.025)),
            ),
            colourfulness=float(rng.uniform(0.8, 1.12)),
            soft=float(rng.uniform(0.45, 0.95)) * recipe.supersample,
            vignette=float(rng.uniform(0.02, 0.09)),
            grain=float(rng.uniform(0.6, 1.4)),
            lift=float(rng.uniform(0.0, 0.03)),
        )
        fps = recipe.odd_fps if rng.random() < recipe.odd_fps_share else recipe.fps
        start = 0.0 if number == 1 else round(float(rng.uniform(0, recipe.start_spread_s)), 3)
        clock, frames = _clock(recipe, rng, fps, start)
        plans.append(CameraPlan(f"c{number:03d}", number, view, develop, fps, clock, frames))
    return tuple(plans)


def _clock(recipe: Recipe, rng: np.random.Generator, fps: float, start_s: float) -> tuple[Clock, int]:
    """A camera's clock; every loss is a jump between two neighbouring frames."""
    frames = int(recipe.duration_s * fps)
    knots: list[tuple[int, float]] = []
    lost = 0
    count = int(rng.poisson(recipe.drops_per_min * recipe.duration_s / 60))
    for at in sorted({int(v) for v in rng.integers(5, max(frames - 5, 6), count)}):
        gone = max(1, round(float(rng.exponential(recipe.drop_s)) * fps))
        frame = at - lost
        if frames - lost - gone < frame + 3 or (knots and frame < knots[-1][0] + 2):
            continue
        knots.append((frame - 1, round(start_s + (frame - 1 + lost) / fps, 4)))
        lost += gone
        knots.append((frame, round(start_s + (frame + lost) / fps, 4)))
    if not knots:
        return Clock(fps, start_s), frames
    return Clock(fps, start_s, ((0, start_s), *knots) if knots[0][0] > 0 else tuple(knots)), frames - lost
