"""Distances by hand."""

from __future__ import annotations

import numpy as np

from mtmc.track import costs


def test_cosine_distance_is_to_the_nearest_feature() -> None:
    features = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]]], np.float32)
    appearance = np.array([[0, 1], [0.6, 0.8]], np.float32)
    np.testing.assert_allclose(costs.cosine_distance(features, appearance), [[0, 0.2], [1, 0.4]], atol=1e-6)


def test_unit_leaves_nothing_alone() -> None:
    np.testing.assert_allclose(costs.unit(np.array([[3, 4], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]])


def test_gate_and_fusion() -> None:
    distance, motion = np.array([[0.1, 0.2]]), np.array([[5.0, 10.0]])
    np.testing.assert_allclose(costs.gated(distance, motion, 9.4877), [[0.1, np.inf]])
    np.testing.assert_allclose(costs.fused_distance(distance, motion, 0.02), [[0.198, 0.396]])


def test_iou_distance() -> None:
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(costs.iou_distance(a, b), [[2 / 3, 1]])
