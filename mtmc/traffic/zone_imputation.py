"""Zones of movements that were seen only in part, drawn from those of complete movements.

One zone is unknown of a vehicle that was detected late, lost early, or whose track broke. Counting it nowhere
underestimates every turning movement. It belongs to a movement that shares its known zone, as often as these are seen
completely:

    P(exit y | entry x, exit unknown) = n_xy / Σ_y n_xy,

with n_xy the complete movements from x to y in the same camera; unknown entries likewise. This holds if zones are
missing equally often in all these movements (missing at random). The shares are uncertain, too, and are therefore
drawn before the zones, from the Dirichlet distribution with the parameters n_xy (the Bayesian bootstrap).

Nothing is drawn where nothing tells the zone: both are unknown, or no complete movement shares the known one. Nor is
it where none is missing: the vehicle was in view when the recording began or ended, or came in or left over the
border of the image outside all zones.

Sources: Chen, Fienberg: Two-dimensional contingency tables with both completely and partially cross-classified data,
Biometrics 30, 1974; Rubin: The Bayesian bootstrap, Annals of Statistics 9, 1981, and Multiple imputation for
nonresponse in surveys, 1987.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.traffic.movements import Movement

__all__ = ["PartialMovement", "with_zones_imputed"]

_End = tuple[str, str, str]  # camera, known zone, name of the field of the unknown zone


@dataclass(frozen=True, slots=True)
class PartialMovement:
    """A movement, and whether a zone of it is missing.

    Attributes:
        movement: The movement.
        is_cut: (at its start, at its end): whether it starts or ends where no vehicle enters or leaves.
    """

    movement: Movement
    is_cut: tuple[bool, bool]

    @property
    def missing_end(self) -> _End | None:
        """What has to be drawn, None where it cannot or need not be."""
        m = self.movement
        if m.entry_zone and not m.exit_zone and self.is_cut[1]:
            return m.camera, m.entry_zone, "exit_zone"
        if m.exit_zone and not m.entry_zone and self.is_cut[0]:
            return m.camera, m.exit_zone, "entry_zone"
        return None


def with_zones_imputed(movements: Sequence[PartialMovement], rng: np.random.Generator) -> list[Movement]:
    """The movements of all cameras, in their order, with missing zones drawn."""
    donors: dict[_End, Counter[str]] = defaultdict(Counter)
    for partial in movements:
        m = partial.movement
        if m.entry_zone and m.exit_zone:
            donors[m.camera, m.entry_zone, "exit_zone"][m.exit_zone] += 1
            donors[m.camera, m.exit_zone, "entry_zone"][m.entry_zone] += 1

    shares: dict[_End, tuple[list[str], list[float]]] = {}
    for end, counts in sorted(donors.items()):
        zones = sorted(counts)
        shares[end] = zones, rng.dirichlet([counts[zone] for zone in zones]).tolist()

    completed = []
    for partial in movements:
        m, missing = partial.movement, partial.missing_end
        if missing in shares:
            zones, share = shares[missing]
            zone = zones[int(rng.choice(len(zones), p=share))]
            m = replace(m, entry_zone=zone) if missing[2] == "entry_zone" else replace(m, exit_zone=zone)
        completed.append(m)
    return completed
