"""Class and color of vehicles: the log-likelihood ratio of two labels, neither of which is sure.

A vehicle of one class may be labeled otherwise by another camera, and a camera may give nearly all vehicles the
same label. What two labels say therefore depends on how common they are in their cameras, and on how often labels
of one vehicle agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array

__all__ = ["CategoryModel", "fit_categories"]

_NOISE = np.linspace(0.1, 0.9, 17)  # η that are tried; at least 0.1, so that no label forbids a pair
_NOISE_PRIOR = 3.0, 3.0  # (α, β) of a beta distribution
_SHARED_WEIGHT = 10.0  # passages of all cameras that count as much as those of one
_LEAST_SHARE = 0.01  # of a category in a camera
_PAIRS_PER_BLOCK = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class CategoryModel:
    """How common K categories are in C cameras, and how often two labels of one vehicle have nothing in common.

    Attributes:
        share: float64 (C, K), of each category in each camera; rows add up to 1.
        overall: float64 (K,), for cameras of which nothing is known.
        noise: float64 (), η.
    """

    share: Array
    overall: Array
    noise: Array

    def log_ratio(self, probability: Array, camera: Array, pairs: Array) -> Array:
        """Log-likelihood ratios of one vehicle to two: float64 (P,), 0 where a passage has no label.

        With the probabilities v_a and v_b of the categories of two passages, and their shares q_a and q_b in the
        two cameras,

            log Σ_kl v_a(k) v_b(l) [η + (1 − η) M(k, l) / (q_a(k) q_b(l))].

        M is the joint distribution of both labels that agrees most often (see :func:`_coupling`). Two vehicles that
        have nothing to do with each other have the ratio 1 on average.

        Args:
            probability: float (N, K), rows add up to 1; rows of zeros have no label.
            camera: int64 (N,).
            pairs: int (P, 2).
        """
        return _log_ratio(_agreement(self.share, probability, camera, pairs), self.noise)


def fit_categories(probability: Array, camera: Array, pairs: Array, matching: Array) -> CategoryModel | None:
    """Shares from all passages, and η from pairs that are probably one vehicle; None where there are no labels.

    η is the maximum of Σ_ab p_ab · log ratio_ab(η) + log beta(η; 3, 3), over the pairs with the probability p_ab of
    being one vehicle.

    Args:
        probability: float (N, K), rows add up to 1; rows of zeros have no label.
        camera: int64 (N,), from 0 to C − 1.
        pairs: int (P, 2), of two cameras each.
        matching: float64 (P,), probability that each pair is one vehicle, without its labels.
    """
    is_known = np.asarray(probability.any(axis=1))
    if not is_known.any():
        return None
    overall = _at_least(probability[is_known].mean(axis=0))
    share = np.tile(overall, (int(camera.max(initial=-1)) + 1, 1))
    for c in np.unique(camera[is_known]).tolist():
        own = probability[is_known & (camera == c)]
        weight = len(own) / (len(own) + _SHARED_WEIGHT)
        share[c] = _at_least(weight * own.mean(axis=0) + (1 - weight) * overall)

    agreement = _agreement(share, probability, camera, pairs)
    alpha, beta = _NOISE_PRIOR
    fits = (alpha - 1) * np.log(_NOISE) + (beta - 1) * np.log(1 - _NOISE)
    fits += [matching @ _log_ratio(agreement, noise) for noise in _NOISE]
    return CategoryModel(share, overall, np.array(_NOISE[int(fits.argmax())]))


def _log_ratio(agreement: Array, noise: Array) -> Array:
    """log[η + (1 − η) agreement]: float64 (P,). An agreement of 1 gives 0 for every η."""
    return np.asarray(np.log(noise + (1 - noise) * agreement))


def _agreement(share: Array, probability: Array, camera: Array, pairs: Array) -> Array:
    """Σ_kl v_a(k) v_b(l) M(k, l) / (q_a(k) q_b(l)): float64 (P,), 1 where a passage has no label.

    Args:
        share: float64 (C, K), q of each camera.
        probability: float (N, K), v; rows of zeros have no label.
        camera: int64 (N,).
        pairs: int (P, 2).
    """
    out = np.ones(len(pairs))
    is_known = np.asarray(probability.any(axis=1))
    known = np.flatnonzero(is_known[pairs[:, 0]] & is_known[pairs[:, 1]])
    code = camera[pairs[known, 0]] * len(share) + camera[pairs[known, 1]]
    order = np.argsort(code, kind="stable")
    edges = np.flatnonzero(np.diff(code[order])) + 1
    for rows in np.split(known[order], edges) if len(known) else ():
        first, second = share[camera[pairs[rows[0]]]]
        ratio = _coupling(first, second) / np.outer(first, second)
        for begin in range(0, len(rows), _PAIRS_PER_BLOCK):
            block = rows[begin : begin + _PAIRS_PER_BLOCK]
            a, b = pairs[block].T
            out[block] = np.einsum("pk,kl,pl->p", probability[a], ratio, probability[b], optimize=True)
    return out


def _at_least(share: Array) -> Array:
    """Shares of at least 1 %, which add up to 1."""
    raised = np.maximum(share, _LEAST_SHARE)
    return np.asarray(raised / raised.sum())


def _coupling(first: Array, second: Array) -> Array:
    """The joint distribution with given margins p and q that has most of its mass on equal labels: float64 (K, K).

    Equal labels have min(p, q). The rest of p goes to the rest of q, in proportion.

    >>> _coupling(np.array([0.7, 0.3]), np.array([0.4, 0.6])).round(2).tolist()
    [[0.4, 0.3], [0.0, 0.3]]
    """
    common = np.minimum(first, second)
    left_first, left_second = first - common, second - common
    left = max(float(left_first.sum()), 1e-12)
    return np.asarray(np.diag(common) + np.outer(left_first, left_second) / left)
