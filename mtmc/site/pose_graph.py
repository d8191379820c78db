"""Which views lie on one ground, and roughly how: pairs of views joined into trees, the surest first.

A camera that no other view alone is sure of joins a ground if its registration with one view makes it meet others,
too, and what meets looks alike, all taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.site.bundle_adjustment import CameraPose, ImageSamples, match_trajectories
from mtmc.site.camera_model import GroundScale
from mtmc.site.registration import LEAST_ALIKE, LEAST_LIKENESS, Registration, fit_again
from mtmc.site.similarity import likeness
from mtmc.site.trajectories import Trajectory
from mtmc.types import Array

__all__ = ["PairSimilarity", "attach_camera", "build_pose_graph", "spanning_forest"]

#: The similarity weights of all pairs of trajectories of two cameras, (W, W') in [0, 1]; None without embeddings.
PairSimilarity = Callable[[str, str], Array | None]
_NEAR_M = 4.0  # trajectories that are nearer than this are co-observed


def spanning_forest(pairs: Sequence[tuple[str, str]]) -> tuple[list[int], dict[str, str]]:
    """Edges of a spanning forest, taken greedily in the given order (Kruskal 1956), and the root of each node.

    Args:
        pairs: Edges, those to prefer first.

    Returns:
        Indices of the pairs that are edges of the forest, and node → the least name of its tree.

    >>> spanning_forest([("a", "b"), ("c", "d"), ("b", "a"), ("e", "c")])
    ([0, 1, 3], {'a': 'a', 'b': 'a', 'c': 'c', 'd': 'c', 'e': 'c'})
    """
    names = sorted({name for pair in pairs for name in pair})
    trees = DisjointSet(names)
    edges = [k for k, (one, other) in enumerate(pairs) if trees.merge(one, other)]
    roots = {name: min(trees.subset(name)) for name in names}
    return edges, roots


def build_pose_graph(
    tried: Sequence[Registration], ways: Mapping[str, Sequence[Trajectory]], scales: Mapping[str, GroundScale]
) -> list[tuple[dict[str, CameraPose], tuple[Registration, ...]]]:
    """Cameras joined by the surest registrations, with their poses on the ground of the first camera of each tree."""
    good = [r for r in tried if r.holds]
    good.sort(key=lambda r: (r.accident - r.met, r.cameras))
    kept, home = spanning_forest([r.cameras for r in good])
    used = [good[k] for k in kept]
    out = []
    for root in sorted(set(home.values())):
        members = {camera for camera, at in home.items() if at == root}
        edges = tuple(r for r in used if r.cameras[0] in members)
        focal = _focals([r for r in good if r.cameras[0] in members])
        out.append((_traverse(min(members), edges, focal, ways, scales), edges))
    return out


def _focals(good: Sequence[Registration]) -> dict[str, float]:
    """Focal length of each camera: the geometric mean of what its registrations found, by the vehicles that met."""
    logs: dict[str, list[tuple[float, float]]] = {}
    for r in good:
        for camera, focal in zip(r.cameras, r.focal, strict=True):
            logs.setdefault(camera, []).append((float(np.log(focal)), r.met))
    return {
        camera: float(np.exp(np.average([f for f, _ in values], weights=[w for _, w in values])))
        for camera, values in logs.items()
    }


def _traverse(
    first: str,
    edges: Sequence[Registration],
    focal: Mapping[str, float],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
) -> dict[str, CameraPose]:
    """Poses along a tree. An edge's map holds for the focal lengths it was found with, so it is fitted again."""
    poses = {first: CameraPose(focal[first], scales[first].horizon_px, 0.0, 1 + 0j, 0j)}
    waiting = list(edges)
    while waiting:
        edge = next(e for e in waiting if (e.cameras[0] in poses) != (e.cameras[1] in poses))
        waiting.remove(edge)
        a, b = edge.cameras
        old, new = (a, b) if a in poses else (b, a)
        poses[new] = _propagate_pose(edge, old, poses[old], focal[new], ways, scales)
    return poses


def attach_camera(
    camera: str,
    poses: Mapping[str, CameraPose],
    tried: Sequence[Registration],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    alike: PairSimilarity,
) -> tuple[CameraPose, Registration] | None:
    """The pose of a camera that no view alone is sure of, but several of a ground are together.

    Where a doubtful registration with one view also makes the ways of the others meet and look alike, all count.
    """
    samples = {c: ImageSamples(ways[c], scales[c]) for c in (*poses, camera)}
    best: tuple[float, CameraPose, Registration] | None = None
    for edge in tried:
        if camera not in edge.cameras or edge.likeness is None or not set(edge.cameras) & set(poses):
            continue
        a, b = edge.cameras
        other = b if a == camera else a
        focal = edge.focal[edge.cameras.index(camera)]
        pose = _propagate_pose(edge, other, poses[other], focal, ways, scales)
        weight, views = [], 0
        for member in sorted(poses):
            pair = match_trajectories(
                (min(member, camera), max(member, camera)), {**poses, camera: pose}, samples, scales, _NEAR_M
            )
            told = alike(*pair.cameras)
            if told is not None and pair.ways:
                weight += [told[k] for k in pair.ways]
                views += 1
        together = likeness(np.array(weight))
        if (
            views > 1
            and sum(weight) >= LEAST_ALIKE
            and together >= LEAST_LIKENESS
            and (best is None or together > best[0])
        ):
            best = together, pose, edge
    return best and best[1:]


def _propagate_pose(
    edge: Registration,
    old: str,
    base: CameraPose,
    focal: float,
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
) -> CameraPose:
    """CameraPose of an edge's other camera, given that of one of its two."""
    a, b = edge.cameras
    new = b if a == old else a
    focals = (base.focal, focal) if a == old else (focal, base.focal)
    turn, shift = fit_again(edge, ways[a], ways[b], (scales[a], scales[b]), focals)
    late = edge.late_s
    if a == old:  # the edge leads from a's ground to b's: turn it round
        turn, shift, late = 1 / turn, -shift / turn, -late
    place = base.turn * shift + base.shift
    return CameraPose(focal, scales[new].horizon_px, 0.0, base.turn * turn, place, base.late_s + late)
