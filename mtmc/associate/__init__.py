"""Passages of all cameras to vehicles with one identity each.

::

    gates.py       which pairs are possible: time out of sight, links, one place at a time
    ground.py      what the ground plane says of them
    distance.py    how alike they are: appearance and nearness on the ground
    cluster.py     constrained agglomeration of the alike
    identities.py  numbers, by first appearance
"""

from __future__ import annotations

from collections.abc import Sequence

from mtmc.associate.cluster import agglomerate
from mtmc.associate.config import AssociateConfig
from mtmc.associate.distance import measure
from mtmc.associate.gates import feasible_pairs
from mtmc.associate.identities import in_order, number
from mtmc.scene import Scene
from mtmc.types import GlobalTrack, Passage

__all__ = ["AssociateConfig", "associate"]


def associate(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> list[GlobalTrack]:
    """Give one identity to the passages of one vehicle.

    Two groups of passages become one vehicle while their similarity reaches the threshold, the most similar first
    (ties by camera_id and track_id), if at least one pair between them is possible and alike by itself, and nothing
    rules it out: two passages of one camera, or two places at one moment. The result does not depend on the order of
    ``passages``.

    Args:
        passages: Of all cameras; (camera_id, track_id) is unique. Those without an embedding are matched by their
            way over the ground where cameras overlap, else they stay alone.
        scene: Its links, where it has any, say which way and how fast vehicles go between cameras.
        config: The choices.

    Returns:
        Vehicles numbered from 1 by first appearance.

    Raises:
        WeightsError: Embeddings of different sizes.
        ValueError: Two passages have the same camera_id and track_id.
    """
    ordered = in_order(passages)
    pairs = feasible_pairs(ordered, scene, config)
    similarities = measure(ordered, pairs, config)
    return number(ordered, agglomerate(ordered, similarities, config), config.keep_single_camera)
