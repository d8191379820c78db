"""Passages of all cameras to vehicles with one identity each.

::

    gates.py         which pairs are possible: time out of sight, links, one place at a time
    ground_gates.py  what the ground plane says about them
    similarity.py    their similarity: appearance and nearness on the ground
    graph.py         the project's own method, with the modules that it names
    tracklet_links.py  its pairs, joined or rejected, with log odds by cue
    methods/         published rules: hierarchical, electricity, crossroad_zones
    numbering.py     numbers of vehicles, by first appearance
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtmc.associate.config import AssociateConfig
from mtmc.associate.graph import graph, solve_scene
from mtmc.associate.methods import crossroad_zones, electricity, hierarchical
from mtmc.associate.numbering import in_order, number
from mtmc.associate.scene_model import SceneModel
from mtmc.associate.tracklet_links import TrackletLinks, links_of
from mtmc.scene import Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["METHODS", "AssociateConfig", "Association", "associate", "associate_with_evidence"]

#: A method gives equal labels, int64 (N,), to passages of one vehicle, labels below 0 to those it drops; they come
#: ordered by (camera_id, track_id).
METHODS: dict[str, Callable[[Sequence[Passage], Scene, AssociateConfig], Array]] = {
    "graph": graph,
    "hierarchical": hierarchical,
    "electricity": electricity,
    "crossroad_zones": crossroad_zones,
}


@dataclass(frozen=True, slots=True, eq=False)
class Association:
    """Vehicles, and what their identities are based on.

    Attributes:
        tracks: Numbered from 1 by first appearance.
        links: Joined and rejected pairs with their log odds; None for methods other than ``graph``.
        model: What was fitted to the passages; None for methods other than ``graph``.
    """

    tracks: list[GlobalTrack]
    links: TrackletLinks | None = None
    model: SceneModel | None = None


def associate(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig, match_similarity: float | None = None
) -> list[GlobalTrack]:
    """Give one identity to the passages of one vehicle.

    The result does not depend on the order of ``passages``: methods see them by (camera_id, track_id).

    Args:
        passages: Of all cameras; (camera_id, track_id) is unique. Those without an embedding are matched by their
            way over the ground where cameras overlap, else they stay alone.
        scene: Its links, where it has any, say which way and how fast vehicles go between cameras.
        config: The choices.
        match_similarity: Cosine above which two tracklets are more likely one vehicle than two, by the embedder's
            card; it stands in for ``config.min_similarity`` where that is None.

    Returns:
        Vehicles numbered from 1 by first appearance.

    Raises:
        ConfigError: The method goes by appearance alone, and there is none.
        WeightsError: Embeddings of different sizes.
        ValueError: Two passages have the same camera_id and track_id.
    """
    return associate_with_evidence(passages, scene, config, match_similarity).tracks


def associate_with_evidence(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig, match_similarity: float | None = None
) -> Association:
    """The vehicles of :func:`associate` with the pairs and the model behind them, from the same solution."""
    config = config.for_embedder(match_similarity)
    ordered = in_order(passages)
    if not ordered:
        return Association([])
    if config.method != "graph":
        labels = METHODS[config.method](ordered, scene, config)
        return Association(number(ordered, labels, config.keep_single_camera))
    solution = solve_scene(ordered, scene, config)
    tracks = number(ordered, solution.labels, config.keep_single_camera)
    return Association(tracks, links_of(solution.candidates, ordered, solution.labels, tracks), solution.model)
