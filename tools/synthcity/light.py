"""Light and weather: sun, sky and what a camera does about them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mtmc.types import Array

__all__ = ["Light", "make_light"]

_SKY_WH = (1024, 512)


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """The light of a scene, linear colour.

    Attributes:
        sun_dir: float64 (3,), towards the sun.
        sun: Irradiance of a surface that faces it; zero where it does not shine.
        sky_up, sky_down: Ambient light from above and from the ground.
        fog: Colour of the air, and ``fog_m`` the distance at which it hides 63 %.
        sky: float32 (H, W, 3), what is behind everything, equirectangular.
        mirror: float32 (H, W, 3), what paint and glass reflect.
        key: Brightness the automatic exposure aims at.
        shutter_s: Exposure time, for motion blur.
        grain: Strength of the sensor's noise.
        lamps_on: Share of vehicles that drive with head lamps.
        glow: How bright windows and lamps are beside daylight, 0–1.
        street_lamps: Light of one street lamp, linear colour times intensity.
        wet: Wet road, 0–1; rain, 0–1.
    """

    sun_dir: Array
    sun: tuple[float, float, float]
    sky_up: tuple[float, float, float]
    sky_down: tuple[float, float, float]
    fog: tuple[float, float, float]
    fog_m: float
    sky: Array
    mirror: Array
    key: float
    shutter_s: float
    grain: float
    lamps_on: float
    glow: float = 0.0
    street_lamps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wet: float = 0.0
    rain: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sky:
    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    cloud: tuple[float, float, float]
    cover: float
    skyline: float


_CLEAR = _Sky((0.16, 0.30, 0.62), (0.62, 0.70, 0.78), (0.95, 0.95, 0.95), 0.48, 0.26)
_GREY = _Sky((0.50, 0.54, 0.60), (0.68, 0.70, 0.72), (0.80, 0.82, 0.85), 0.40, 0.22)
_LOW = _Sky((0.20, 0.30, 0.52), (0.80, 0.66, 0.48), (0.95, 0.80, 0.62), 0.50, 0.24)
_DUSK = _Sky((0.050, 0.075, 0.150), (0.30, 0.22, 0.20), (0.16, 0.14, 0.17), 0.50, 0.055)
_NIGHT = _Sky((0.004, 0.005, 0.009), (0.022, 0.020, 0.020), (0.012, 0.011, 0.012), 0.45, 0.010)


def make_light(weather: str, seed: int) -> Light:
    """The light of a weather; the seed turns the sun and moves the clouds."""
    rng = np.random.default_rng([seed, 503])
    azimuth = float(rng.uniform(0, 2 * np.pi))
    if weather == "clear":
        sky, mirror = _domes(_CLEAR, _sun(azimuth, rng.uniform(34, 62)), rng, 1.0)
        return Light(
            _sun(azimuth, rng.uniform(34, 62)), (2.6, 2.42, 2.10), (0.46, 0.55, 0.72), (0.22, 0.205, 0.185),
            (0.56, 0.63, 0.72), 1300.0, sky, mirror, 0.20, 0.004, 0.022, 0.15,
        )  # fmt: skip
    if weather == "low_sun":
        sun = _sun(azimuth, rng.uniform(12, 22))
        sky, mirror = _domes(_LOW, sun, rng, 1.0)
        return Light(
            sun, (2.6, 2.0, 1.35), (0.40, 0.45, 0.58), (0.20, 0.175, 0.145),
            (0.62, 0.56, 0.48), 900.0, sky, mirror, 0.20, 0.006, 0.026, 0.3,
        )  # fmt: skip
    if weather == "overcast":
        sun = _sun(azimuth, 50)
        sky, mirror = _domes(_GREY, sun, rng, 0.0)
        return Light(
            sun, (0.0, 0.0, 0.0), (1.06, 1.10, 1.16), (0.30, 0.29, 0.28),
            (0.66, 0.69, 0.72), 800.0, sky, mirror, 0.20, 0.006, 0.028, 0.3,
        )  # fmt: skip
    if weather == "rain":
        sun = _sun(azimuth, 50)
        sky, mirror = _domes(_GREY, sun, rng, 0.0)
        return Light(
            sun, (0.0, 0.0, 0.0), (0.62, 0.66, 0.70), (0.17, 0.17, 0.17), (0.44, 0.47, 0.50), 260.0,
            sky * 0.60, mirror * 0.55, 0.17, 0.010, 0.040, 0.9, 0.12, (0, 0, 0), 1.0, float(rng.uniform(0.5, 1.0)),
        )  # fmt: skip
    if weather == "dusk":
        sun = _sun(azimuth, 4)
        sky, mirror = _domes(_DUSK, sun, rng, 0.0)
        return Light(
            sun, (0.0, 0.0, 0.0), (0.150, 0.160, 0.215), (0.055, 0.050, 0.050),
            (0.13, 0.12, 0.13), 520.0, sky, mirror, 0.13, 0.014, 0.045, 0.85, 0.35, (2.4, 1.9, 1.2),
        )  # fmt: skip
    sun = _sun(azimuth, 40)
    sky, mirror = _domes(_NIGHT, sun, rng, 0.0)
    return Light(
        sun, (0.0, 0.0, 0.0), (0.020, 0.021, 0.026), (0.010, 0.009, 0.008),
        (0.020, 0.019, 0.018), 420.0, sky, mirror, 0.060, 0.020, 0.060, 1.0, 0.40, (4.6, 3.6, 2.2),
    )  # fmt: skip


def _sun(azimuth: float, elevation_deg: float) -> Array:
    tilt = np.deg2rad(elevation_deg)
    return np.array([np.cos(tilt) * np.cos(azimuth), np.cos(tilt) * np.sin(azimuth), np.sin(tilt)])


def _directions(width: int, height: int) -> Array:
    polar = (np.arange(height) + 0.5) / height * np.pi
    turn = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    flat = np.sin(polar)[:, None]
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), np.cos(polar)[:, None] + 0 * turn], axis=-1)


def _cloud_field(d: Array, rng: np.random.Generator) -> Array:
    """Noise on a plane overhead, so that clouds shrink towards the horizon: (H, W)."""
    lift = np.maximum(d[..., 2], 0.05)
    x, y = d[..., 0] / lift * 2.2 + 40, d[..., 1] / lift * 2.2 + 40
    total = np.zeros(d.shape[:2])
    for octave in range(6):
        cells = np.tile(rng.random((64, 64), np.float32), (2, 2))
        scale = 0.35 * 2**octave
        place = ((x * scale) % 64).astype(np.float32), ((y * scale) % 64).astype(np.float32)
        total += 0.55**octave * cv2.remap(cells, *place, cv2.INTER_LINEAR)
    return np.asarray(total / 2.2)


def _domes(look: _Sky, sun: Array, rng: np.random.Generator, disc: float) -> tuple[Array, Array]:
    """The sky behind everything, and the same with a skyline and a road as vehicles mirror it."""
    d = _directions(*_SKY_WH)
    up = np.clip(d[..., 2], 0, 1)[..., None]
    sky = np.array(look.horizon) + (np.array(look.zenith) - np.array(look.horizon)) * (1 - np.exp(-4 * up))
    cover = np.clip((_cloud_field(d, rng) - look.cover) * 4, 0, 1)[..., None] * np.clip(up * 6, 0, 1) * 0.8
    toward = np.clip(d @ sun, 0, 1)[..., None]
    sky = sky * (1 - cover) + np.array(look.cloud) * cover * (0.8 + 0.3 * toward)
    sky = sky + disc * np.array([1.0, 0.9, 0.7]) * (toward**24 * 0.6 + toward**600 * 8)
    mirror = sky.copy()
    width = _SKY_WH[0]
    blocks = np.repeat(rng.random(width // 16) * 0.20 + 0.03, 16)
    town = d[..., 2] < blocks[None]
    tone = np.repeat(rng.uniform(0.4, 1.3, (width // 16, 1)) * np.array([1.0, 0.97, 0.92]), 16, axis=0)
    mirror = np.where(town[..., None], look.skyline * tone[None], mirror)
    road = np.array([1.0, 0.97, 0.93]) * look.skyline * (0.55 + 0.5 * np.clip(-d[..., 2:], 0, 1))
    mirror = np.where(d[..., 2:] < -0.01, road, mirror)
    sky = np.where(d[..., 2:] < 0, np.array(look.horizon), sky)
    return sky.astype(np.float32), cv2.resize(mirror.astype(np.float32), (512, 256), interpolation=cv2.INTER_AREA)
