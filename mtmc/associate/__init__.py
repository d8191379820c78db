"""Passages of all cameras to vehicles with one identity each.

::

    gates.py         which pairs are possible: time out of sight, links, one place at a time
    ground_gates.py  what the ground plane says about them
    similarity.py    their similarity: appearance and nearness on the ground
    graph.py         the project's own method, with the modules that it names
    methods/         published rules: hierarchical, electricity, crossroad_zones
    numbering.py     numbers of vehicles, by first appearance
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mtmc.associate.config import AssociateConfig
from mtmc.associate.graph import graph
from mtmc.associate.methods import crossroad_zones, electricity, hierarchical
from mtmc.associate.numbering import in_order, number
from mtmc.scene import Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["METHODS", "AssociateConfig", "associate"]

#: A method gives equal labels, int64 (N,), to passages of one vehicle, labels below 0 to those it drops; they come
#: ordered by (camera_id, track_id).
METHODS: dict[str, Callable[[Sequence[Passage], Scene, AssociateConfig], Array]] = {
    "graph": graph,
    "hierarchical": hierarchical,
    "electricity": electricity,
    "crossroad_zones": crossroad_zones,
}


def associate(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> list[GlobalTrack]:
    """Give one identity to the passages of one vehicle.

    The result does not depend on the order of ``passages``: methods see them by (camera_id, track_id).

    Args:
        passages: Of all cameras; (camera_id, track_id) is unique. Those without an embedding are matched by their
            way over the ground where cameras overlap, else they stay alone.
        scene: Its links, where it has any, say which way and how fast vehicles go between cameras.
        config: The choices.

    Returns:
        Vehicles numbered from 1 by first appearance.

    Raises:
        ConfigError: The method goes by appearance alone, and there is none.
        WeightsError: Embeddings of different sizes.
        ValueError: Two passages have the same camera_id and track_id.
    """
    ordered = in_order(passages)
    if not ordered:
        return []
    labels = METHODS[config.method](ordered, scene, config)
    return number(ordered, labels, config.keep_single_camera)
