"""Pose graph: cameras are joined into trees by their registrations, the most significant first.

The edges of a tree give approximate poses on one ground plane, that of its first camera. A camera without a valid
registration of its own is attached to a tree if one of its registrations makes it co-observe vehicles with several of
the tree's cameras, and if these pairs together are significantly similar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.geometry.similarity2d import Similarity2D
from mtmc.site.bundle_adjustment import CameraPose, ImageSamples, match_trajectories
from mtmc.site.camera_model import GroundScale
from mtmc.site.registration import MIN_SIMILAR_INLIERS, MIN_SIMILARITY_ZSCORE, Registration, refit_similarity
from mtmc.site.similarity import similarity_zscore
from mtmc.site.trajectories import ImageTrajectory
from mtmc.types import Array

__all__ = ["PairSimilarity", "attach_camera", "build_pose_graph", "spanning_forest"]

#: The similarity weights of all pairs of trajectories of two cameras, (A, B) in [0, 1]; None without embeddings.
PairSimilarity = Callable[[str, str], Array | None]
_MAX_DISTANCE_M = 4.0  # of co-observed trajectories
_MIN_ATTACHING_VIEWS = 2  # cameras of the tree


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
    registrations: Sequence[Registration],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
) -> list[tuple[dict[str, CameraPose], tuple[Registration, ...]]]:
    """Trees of cameras, with the approximate poses of their cameras and the registrations that are their edges.

    Args:
        registrations: Of all pairs of cameras; those that are not valid are ignored.
        trajectories: By camera.
        scales: By camera.
    """
    valid = [r for r in registrations if r.is_valid]
    valid.sort(key=lambda r: (r.expected_by_chance - r.inliers, r.cameras))
    edges, root_of = spanning_forest([r.cameras for r in valid])
    trees = []
    for root in sorted(set(root_of.values())):
        members = {camera for camera, at in root_of.items() if at == root}
        tree_edges = tuple(valid[k] for k in edges if valid[k].cameras[0] in members)
        focal = _mean_focals([r for r in valid if r.cameras[0] in members])
        trees.append((_propagate_poses(root, tree_edges, focal, trajectories, scales), tree_edges))
    return trees


def _mean_focals(registrations: Sequence[Registration]) -> dict[str, float]:
    """Focal length of each camera: the geometric mean over its registrations, weighted by their inliers."""
    found: dict[str, list[tuple[float, float]]] = {}
    for r in registrations:
        for camera, focal in zip(r.cameras, r.focal, strict=True):
            found.setdefault(camera, []).append((float(np.log(focal)), r.inliers))
    means = {}
    for camera, values in found.items():
        logarithms, weights = zip(*values, strict=True)
        means[camera] = float(np.exp(np.average(logarithms, weights=weights)))
    return means


def _propagate_poses(
    root: str,
    edges: Sequence[Registration],
    focal: Mapping[str, float],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
) -> dict[str, CameraPose]:
    """Poses of a tree's cameras on the ground plane of its root."""
    poses = {root: CameraPose(focal[root], scales[root].horizon_px, 0.0, Similarity2D())}
    waiting = list(edges)
    while waiting:
        edge = next(e for e in waiting if (e.cameras[0] in poses) != (e.cameras[1] in poses))
        waiting.remove(edge)
        a, b = edge.cameras
        known, new = (a, b) if a in poses else (b, a)
        poses[new] = propagate_pose(edge, known, poses[known], focal[new], trajectories, scales)
    return poses


def propagate_pose(
    edge: Registration,
    known: str,
    known_pose: CameraPose,
    focal: float,
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
) -> CameraPose:
    """The pose of an edge's other camera, from the pose of one of its two.

    The transform of a registration holds for the focal lengths it was found with, and is refitted for others.

    Args:
        edge: The registration of the two cameras.
        known: The camera whose pose is known.
        known_pose: Its pose.
        focal: Focal length of the other camera in image widths.
        trajectories: By camera.
        scales: By camera.
    """
    a, b = edge.cameras
    new = b if a == known else a
    focals = (known_pose.focal, focal) if a == known else (focal, known_pose.focal)
    known_from_new = refit_similarity(edge, trajectories[a], trajectories[b], (scales[a], scales[b]), focals)
    clock_correction_s = edge.clock_b_minus_a_s
    if a == known:  # the registration maps a's ground plane to b's
        known_from_new = known_from_new.inverse()
        clock_correction_s = -clock_correction_s
    return CameraPose(
        focal,
        scales[new].horizon_px,
        0.0,
        known_pose.to_common.compose(known_from_new),
        known_pose.clock_correction_s + clock_correction_s,
    )


def attach_camera(
    camera: str,
    poses: Mapping[str, CameraPose],
    registrations: Sequence[Registration],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    similarity: PairSimilarity,
) -> tuple[CameraPose, Registration] | None:
    """The pose of a camera without a valid registration, if it matches several cameras of a tree at once.

    Of the registrations that connect the camera with the tree, the one whose pose gives the most significant
    similarity of all co-observed pairs is used.

    Args:
        camera: The camera to attach.
        poses: Those of the tree's cameras.
        registrations: Of all pairs of cameras, valid or not.
        trajectories: By camera.
        scales: By camera.
        similarity: Similarity weights of the trajectories of two cameras.
    """
    samples = {c: ImageSamples.of(trajectories[c], scales[c]) for c in (*poses, camera)}
    best: tuple[float, CameraPose, Registration] | None = None
    for edge in registrations:
        connects = camera in edge.cameras and bool(set(edge.cameras) & set(poses))
        if not connects or edge.similarity_zscore is None:
            continue
        a, b = edge.cameras
        known = b if a == camera else a
        focal = edge.focal[edge.cameras.index(camera)]
        pose = propagate_pose(edge, known, poses[known], focal, trajectories, scales)

        weights: list[float] = []
        views = 0
        for member in sorted(poses):
            pair = (min(member, camera), max(member, camera))
            matches = match_trajectories(pair, {**poses, camera: pose}, samples, scales, _MAX_DISTANCE_M)
            pair_weights = similarity(*pair)
            if pair_weights is not None and matches.trajectories:
                weights += [pair_weights[indices] for indices in matches.trajectories]
                views += 1

        zscore = similarity_zscore(np.array(weights))
        is_significant = sum(weights) >= MIN_SIMILAR_INLIERS and zscore >= MIN_SIMILARITY_ZSCORE
        if views >= _MIN_ATTACHING_VIEWS and is_significant and (best is None or zscore > best[0]):
            best = zscore, pose, edge
    return best and best[1:]
