"""What appearance says of two passages, on a scale that the passages themselves give.

Cosines of an embedder mean nothing by themselves. But almost all pairs of passages are of two vehicles, and those
that no way leads between surely are: their cosines show what strangers look like, lookalikes included. Among the
candidates some are of one vehicle: what these look like follows by expectation maximisation, started from the pairs
that are beyond doubt and guided by what motion says of each pair.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from mtmc.types import Array

__all__ = ["centred", "looks_odds", "strangers"]

_GRID = np.linspace(-1.0, 1.0, 401)
_ROUNDS = 15
_STRANGERS = 60_000
_ENOUGH = 15  # pairs that give a scale
_PLENTY = 1500  # strangers that show how alike strangers can be
_LEAST = 0.04  # spread of a density
_BLOCK = 200_000  # of pairs at a time
_ROWS = 2_000  # of embeddings at a time
_MAGNET = 20.0  # passages of a camera that count as much as what is known before


def centred(embeddings: Array, camera: Array) -> Array:
    """Embeddings without what all passages of a camera share, its light and its point of view: float32 (N, D).

    A camera's mean says little where few passages came by, so it is drawn towards that of all cameras. Rows of zeros
    stay.
    """
    out = embeddings.astype(np.float32)
    known = np.asarray(out.any(axis=1))
    if not known.any():
        return out
    whole = out.sum(axis=0, dtype=np.float64) / known.sum()  # rows of zeros add nothing
    for c in np.unique(camera[known]):
        rows = np.flatnonzero(known & (camera == c))
        mine = out[rows]
        share = len(rows) / (len(rows) + _MAGNET)
        mine -= (share * mine.mean(axis=0) + (1 - share) * whole).astype(np.float32)
        mine /= np.maximum(np.linalg.norm(mine, axis=1, keepdims=True), 1e-9)
        out[rows] = mine
    return out


def strangers(embeddings: Array, camera: Array, keys: Array) -> Array:
    """Cosines of pairs of two cameras that are no candidates, hence of two vehicles: float32 (S,).

    Args:
        embeddings: (N, D).
        camera: int64 (N,).
        keys: int64 (P,), sorted, ``first * N + second`` of the candidates.
    """
    n = len(camera)
    steps = np.unique(np.linspace(1, max(n - 1, 1), min(max(n - 1, 1), -(-_STRANGERS // n))).astype(np.int64))
    out = [np.zeros(0, np.float32)]
    known = np.asarray(embeddings.any(axis=1))
    for step in steps.tolist():
        a = np.arange(n - step)
        b = a + step
        key = a * n + b
        at = np.minimum(np.searchsorted(keys, key), max(len(keys) - 1, 0))
        free = (camera[a] != camera[b]) & known[a] & known[b]
        if len(keys):
            free &= keys[at] != key
        a, b = a[free], b[free]
        for begin in range(0, len(a), _ROWS):
            block = slice(begin, begin + _ROWS)
            out.append(np.einsum("ij,ij->i", embeddings[a[block]], embeddings[b[block]]))
    return np.concatenate(out)


def looks_odds(
    cosine: Array, other: Array, sure: Array, prior: Array, middle: float, limit: float, unlike: float = 0.0
) -> Array:
    """Log odds of cosines: how much more often one vehicle gives them than two.

    Strangers have a smoothed histogram, one vehicle a normal density, found by expectation maximisation over the
    candidates. Where few strangers are known, the candidates that are not of one vehicle stand in for them. The ratio
    of both densities is made to rise with the cosine and limited.

    Args:
        cosine: (P,) of the candidates, NaN where unknown: 0.
        other: (S,) of strangers.
        sure: Of pairs that are one vehicle beyond doubt.
        prior: (P,), log odds by all other cues.
        middle: The embedder's own threshold, used where there are too few of all of these.
        limit: Largest value to either side; appearance alone never decides against all else.
        unlike: Share of one vehicle's pairs that look like any two, being half hidden, mixed up or seen from behind:
            looks never speak against a pair by more than the logarithm of it.
    """
    known = np.isfinite(cosine)
    out = np.zeros(len(cosine))
    if not known.any():
        return out
    rows = slice(None) if known.all() else np.flatnonzero(known)  # all of millions need no copy
    plenty = len(other) >= _PLENTY
    bulk = other if plenty else np.concatenate([other, cosine[rows]])
    if len(bulk) >= 10 * _ENOUGH:
        centre = float(np.median(bulk))
        spread = max(float(np.sqrt(np.mean(np.square(bulk[bulk <= centre] - centre)))), _LEAST / 2)
    else:
        centre, spread = middle - 0.25, 0.2
    crowd = _log_normal(_GRID, centre, 1.2 * spread)
    if len(sure) >= _ENOUGH:
        mean, width = float(np.median(sure)), float(np.clip(np.std(sure), _LEAST, max(spread, _LEAST)))
    else:
        mean, width = max(2 * middle - centre, centre + 3 * spread), max(spread, _LEAST)
    first, trust = (mean, width), float(min(len(sure), 50)) + 5.0
    cell, count, belief = _cells(cosine[rows], prior[rows])
    look = _GRID[cell]
    if plenty:
        crowd = _log_density(_places(bulk), np.ones(len(other)), centre, spread)
    for _ in range(_ROUNDS):
        ratio = np.clip(_ratio(mean, width, crowd, centre), -limit, limit)
        share = expit(belief + ratio[cell])
        mine = share * count
        total = mine.sum() + trust
        mean = float((mine @ look + trust * first[0]) / total)
        scatter = mine @ np.square(look - mean) + trust * (first[1] ** 2 + (first[0] - mean) ** 2)
        mean, width = (
            max(mean, centre + spread),
            float(np.clip(np.sqrt(scatter / total), _LEAST, max(spread, _LEAST))),
        )
        if not plenty and len(bulk) >= 10 * _ENOUGH:
            everyone = np.concatenate([_places(other), cell])
            crowd = _log_density(everyone, np.concatenate([np.ones(len(other)), count - mine]), centre, spread)
    ratio = np.clip(_ratio(mean, width, crowd, centre), -limit, limit)
    if unlike:
        ratio = np.logaddexp(np.log1p(-unlike) + ratio, np.log(unlike))
    for begin in range(0, len(cosine), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        out[block] = np.nan_to_num(np.interp(cosine[block], _GRID, ratio))
    return out


def _cells(cosine: Array, prior: Array) -> tuple[Array, Array, Array]:
    """Pairs counted by cosine and log odds beforehand, so that a round costs the same for millions of them.

    Returns:
        int64 (K,), place of the cosine on the grid; float64 (K,), how many there are; float64 (K,), log odds in
        eighths, within limits.
    """
    low, high, fine = -8.0, 4.0, 8
    steps = round((high - low) * fine) + 1
    count = np.zeros(len(_GRID) * steps, np.int64)
    for begin in range(0, len(cosine), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        level = np.round((np.clip(prior[block], low, high) - low) * fine).astype(np.int64)
        count += np.bincount(_places(cosine[block]) * steps + level, minlength=len(count))
    cell = np.flatnonzero(count)
    return cell // steps, count[cell].astype(float), low + cell % steps / fine


def _ratio(mean: float, width: float, crowd: Array, centre: float) -> Array:
    """Log of one vehicle's density over the crowd's on the grid, made to rise with the cosine.

    It is sure at the crowd's ``centre``, where most was seen, so it is made to rise above it and to fall below it:
    what the tails say by accident stays in the tails.
    """
    ratio = _log_normal(_GRID, mean, width) - crowd
    at = int(np.searchsorted(_GRID, centre))
    ratio[at:] = np.maximum.accumulate(ratio[at:])
    ratio[: at + 1] = np.minimum.accumulate(ratio[at::-1])[::-1]
    return np.asarray(ratio)


def _log_normal(values: Array, mean: float, width: float) -> Array:
    return np.asarray(-0.5 * np.square((values - mean) / width) - np.log(width * np.sqrt(2 * np.pi)))


def _places(values: Array) -> Array:
    """The grid's point nearest to each value."""
    return np.clip(np.round((values + 1) / 2 * (len(_GRID) - 1)), 0, len(_GRID) - 1).astype(np.int64)


def _log_density(place: Array, weight: Array, centre: float, spread: float) -> Array:
    """Logarithm of a smoothed histogram on the grid, with wide tails where little was seen."""
    step, total = _GRID[1] - _GRID[0], float(weight.sum()) + 1e-9
    count = np.bincount(place, weight, minlength=len(_GRID))
    width = max(0.9 * spread * total**-0.2, 0.01)
    smooth = gaussian_filter1d(count, width / step, mode="constant") / (total * step)
    tail = np.exp(_log_normal(_GRID, centre, 1.5 * spread))
    share = 1 / np.sqrt(total + 1)
    return np.asarray(np.log((1 - share) * smooth + share * tail + 1e-9))
