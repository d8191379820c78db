"""How well the probabilities of links are calibrated on places that they were not fitted to.

    python -m tools.bench.link_calibration DATA --runs DIR/bench --picture docs/association/reliability.png

Places are CityFlow's S01, S03 and S04 (with what is given, and with a place learned from the tracklets), the six
held-out cities with detections from pixels, and simulated tracklets with and without appearance. All forms of one
place are left out of the fit together. Rows are the pairs of two cameras that are joined, and those that are rejected
with log odds above −3, which ``mtmc view`` may ask about; the pairs of ``results/links.parquet``, whose log odds are
positive if they are rejected, are also measured alone. A pair is true if the ground truth gives both tracklets one
vehicle. The expected calibration error (ECE) is the mean distance between probability and share of true pairs in ten
bins, weighted by their pairs.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import expit

from mtmc.associate import AssociateConfig
from mtmc.associate.graph import scored_candidates, solve
from mtmc.associate.link_probability import link_features
from mtmc.associate.numbering import in_order
from mtmc.scene import Scene
from mtmc.types import Array, Passage
from tools.bench.association import KINDS, Place, places
from tools.bench.cityflow_cases import oracle
from tools.bench.contest import place_for

__all__ = ["Links", "expected_calibration_error", "fit_coefficients", "leave_one_place_out", "main"]

_BINS = 10
_FIRST_SEED = 70001  # of simulated tracklets; no other tool uses these
_RIDGE = 0.1  # of the coefficients, but for the constant
_LEAST_PAIRS = 50  # a place counts in the fit like 100 pairs, or less if it has fewer than these
_NEWTON_STEPS = 50
_LEAST_LOG_ODDS = -3.0  # of rejected pairs


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The links of one form of a place.

    Attributes:
        name: Of this form.
        place: Name that all forms of the place have in common.
        features: float64 (L, 6), as in :meth:`mtmc.associate.link_probability.LinkFeatures.matrix`.
        is_true: bool (L,).
    """

    name: str
    place: str
    features: Array
    is_true: Array


# Links of a place


def links_of_place(
    name: str,
    place: str,
    passages: Sequence[Passage],
    scene: Scene,
    vehicle: Array,
    match_similarity: float | None = None,
) -> Links:
    """Associate by default, and compare the links with the truth.

    Args:
        name: Of this form of the place.
        place: Of the place.
        passages: N of them, in order.
        scene: What association knows.
        vehicle: int64 (N,), the true vehicle of each.
        match_similarity: Of the embedder.
    """
    candidates, _ = scored_candidates(passages, scene, AssociateConfig().for_embedder(match_similarity))
    labels = solve(candidates, candidates.evidence.constraints)
    first, second = candidates.pairs.T
    camera = candidates.evidence.aligned.camera
    is_link = (labels[first] == labels[second]) | (candidates.log_odds > _LEAST_LOG_ODDS)
    rows = np.flatnonzero(is_link & (camera[first] != camera[second]))
    features = link_features(candidates, labels, rows, candidates.evidence.constraints.conflict).matrix()
    return Links(name, place, features, vehicle[first[rows]] == vehicle[second[rows]])


def all_links(options: argparse.Namespace) -> Iterator[Links]:
    """The links of every form of every place that is asked for."""
    for name, maker in places(options.data, runs=options.runs):
        if " " not in name:  # other names are forms of the same places
            yield from _given_and_learned(name, maker)
    for k in range(options.tracklets):
        yield from _simulated(_FIRST_SEED + k)


def _given_and_learned(name: str, maker: Callable[[], Place]) -> Iterator[Links]:
    place = maker()
    scene = place.case.scene
    passages = in_order(place.case.passages)
    vehicle = oracle(passages, place.case.truth, scene)
    of = partial(links_of_place, place=name, vehicle=vehicle, match_similarity=place.match_similarity)
    yield of(name, passages=passages, scene=scene)

    learned = place_for(place.case, "learned")
    yield of(f"{name}, learned", passages=in_order(learned.passages), scene=learned.scene)


def _simulated(seed: int) -> Iterator[Links]:
    """Tracklets of a city simulated without rendering, with the errors of a tracker, with and without appearance."""
    from tools.synthcity.recipe import Recipe
    from tools.synthcity.tracklets import TrackNoise, simulate_tracklets

    kind = KINDS[seed % len(KINDS)]
    recipe = Recipe.model_validate({"duration_s": 60, "name": f"T{seed}", "place": kind, "seed": seed})
    found = simulate_tracklets(recipe, TrackNoise())
    passages = in_order(found.passages())
    names = [(p.tracklet.camera_id, p.tracklet.track_id) for p in passages]
    known = [found.vehicle[name] for name in names]
    vehicle = np.array([number or -1 - k for k, number in enumerate(known)])  # ghosts are no vehicle's
    of = partial(links_of_place, place=str(seed), scene=found.scene, vehicle=vehicle)
    blank = np.zeros(0, np.float32)
    yield of(f"{kind} {seed}", passages=passages)
    yield of(f"{kind} {seed}, no appearance", passages=[replace(p, embedding=blank) for p in passages])


# Fit and calibration


def fit_coefficients(parts: Sequence[Links]) -> Array:
    """Logistic regression by Newton's method, in which all places have the same weight: float64 (6,)."""
    features = np.concatenate([part.features for part in parts])
    is_true = np.concatenate([part.is_true for part in parts]).astype(float)
    sizes = [len(part.is_true) for part in parts]
    weight = np.concatenate([np.full(size, 100 / max(size, _LEAST_PAIRS)) for size in sizes])
    ridge = np.diag([0.0] + [_RIDGE] * (features.shape[1] - 1))

    beta = np.zeros(features.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = expit(features @ beta)
        gradient = features.T @ (weight * (is_true - p)) - ridge @ beta
        curvature = (features * (weight * p * (1 - p))[:, None]).T @ features + ridge
        beta = beta + np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
    return beta


def leave_one_place_out(parts: Sequence[Links]) -> list[Array]:
    """Probabilities of each part by coefficients that are fitted to all other places."""
    out = []
    for part in parts:
        others = [other for other in parts if other.place != part.place and len(other.is_true)]
        out.append(expit(part.features @ fit_coefficients(others)))
    return out


def bins_of(probability: Array, is_true: Array) -> list[tuple[float, float, int]]:
    """Mean probability, share of true pairs and number of pairs of each bin that is not empty."""
    of_bin = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    found = [np.flatnonzero(of_bin == k) for k in range(_BINS)]
    return [(float(probability[r].mean()), float(is_true[r].mean()), len(r)) for r in found if len(r)]


def expected_calibration_error(probability: Array, is_true: Array) -> float:
    """Mean distance between probability and share of true pairs, weighted by the pairs of each bin.

    >>> expected_calibration_error(np.array([0.9, 0.9, 0.1]), np.array([True, False, False])).__round__(3)
    0.3
    """
    bins = bins_of(probability, is_true)
    return sum(abs(p - share) * count for p, share, count in bins) / max(len(probability), 1)


def draw(path: Path, bins: Sequence[tuple[float, float, int]], title: str) -> None:
    """Reliability diagram: share of true pairs over probability, with 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    p, share, count = (np.array(column, float) for column in zip(*bins, strict=True))
    margin = 1.96 * np.sqrt(np.maximum(share * (1 - share), 0.25 / count) / count)
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(5, 6), sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    above.errorbar(p, share, yerr=margin, fmt="o", color="#0969da", capsize=3)
    above.set(ylabel="share of true pairs", ylim=(-0.05, 1.05), title=title)
    below.bar(p, count, width=0.06, color="#0969da")
    below.set(xlabel="probability", ylabel="pairs", xlim=(0, 1), yscale="log")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    """Measure, print the table and the coefficients, and draw the diagram."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CityFlow's S01/, S03_tracklets/, S04_tracklets/, cam_*/")
    parser.add_argument("--runs", type=Path, help="folder of finished runs of the held-out cities")
    parser.add_argument("--tracklets", type=int, default=8, metavar="N", help="cities of simulated tracklets")
    parser.add_argument("--picture", type=Path, help="PNG file of the reliability diagram")
    options = parser.parse_args()

    print(f"{'place, left out of the fit':34}{'pairs':>7}{'true':>7}{'mean p':>8}{'ECE':>7}")
    parts = list(all_links(options))
    predicted = leave_one_place_out(parts)
    for links, p in zip(parts, predicted, strict=True):
        if len(p):
            error = expected_calibration_error(p, links.is_true)
            row = f"{len(p):7}{links.is_true.mean():7.2f}{p.mean():8.2f}{error:7.3f}"
            print(f"{links.name:34}{row}", flush=True)

    probability = np.concatenate(predicted)
    is_true = np.concatenate([links.is_true for links in parts])
    own = np.concatenate([links.features[:, 1] for links in parts])
    joined = np.concatenate([links.features[:, 4] for links in parts]) > 0
    for name, rows in {"all": own > -np.inf, "joined": joined, "links.parquet": joined | (own > 0)}.items():
        error = expected_calibration_error(probability[rows], is_true[rows])
        row = f"{rows.sum():7}{is_true[rows].mean():7.2f}{probability[rows].mean():8.2f}{error:7.3f}"
        without = expected_calibration_error(expit(own[rows]), is_true[rows])
        print(f"{name:34}{row}, by the sum of log odds alone {without:.3f}")
    for p, share, count in bins_of(probability, is_true):
        print(f"  probability {p:.2f}: {share:.2f} of {count} pairs")
    print("coefficients, fitted to all:", tuple(round(float(b), 3) for b in fit_coefficients(parts)))
    if options.picture is not None:
        error = expected_calibration_error(probability, is_true)
        draw(options.picture, bins_of(probability, is_true), f"links of places left out of the fit, ECE {error:.3f}")


if __name__ == "__main__":
    main()
