from __future__ import annotations

import numpy as np
import pytest

from mtmc.types import Array
from tools.synthcity.body import Atlas, build_body
from tools.synthcity.identity import draw_identity
from tools.synthcity.mesh import Mesh, box, ellipsoid, tube
from tools.synthcity.shapes import SHAPES, VEHICLE_CLASSES
from tools.synthcity.skin import paint_skin


def face_normals(mesh: Mesh) -> Array:
    a, b, c = (mesh.points[mesh.faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


@pytest.mark.parametrize(
    "mesh", [box((-1, -1, 0), (2, 1, 1)), ellipsoid((1, 0, 0), (1, 2, 1)), tube((0, 0, 0), (0, 1, 2), 1, 0.5)]
)
def test_solids_face_outward(mesh: Mesh) -> None:
    middle = mesh.points[mesh.faces].mean(axis=1) - mesh.points.mean(axis=0)
    assert ((face_normals(mesh) * middle).sum(axis=1) > 0).all()


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_body_has_its_measures_and_faces_outward(name: str) -> None:
    shape, body = SHAPES[name], build_body(name)
    low, high = body.near.points.min(axis=0), body.near.points.max(axis=0)
    top = max(shape.height, shape.box[4] if shape.box else 0)
    assert high[0] - low[0] == pytest.approx(shape.length, abs=0.15)
    assert high[2] == pytest.approx(top, abs=0.08)
    assert shape.width - 0.05 < high[1] - low[1] < shape.width + 0.5  # mirrors
    flat, middle = face_normals(body.near), body.near.points[body.near.faces].mean(axis=1)
    sideways = (np.abs(flat[:, 1]) > 0.8 * np.linalg.norm(flat, axis=1)) & (np.abs(middle[:, 1]) < 0.52 * shape.width)
    assert (flat[sideways, 1] * middle[sideways, 1] > 0).mean() > 0.98
    assert (body.near.normals * body.near.points).sum(axis=1).mean() > 0.3
    assert (body.near.uv >= 0).all()
    assert (body.near.uv <= 1).all()
    assert len(body.far.faces) < 0.6 * len(body.near.faces)


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_hull_holds_every_corner(name: str) -> None:
    body = build_body(name)
    direction = np.random.default_rng(0).normal(size=(50, 3))
    assert ((body.hull @ direction.T).max(axis=0) >= (body.near.points @ direction.T).max(axis=0) - 1e-9).all()
    assert body.hull[:, 2].min() == pytest.approx(0.0, abs=0.01)


def test_the_plate_reads_from_left_to_right() -> None:
    atlas = Atlas(SHAPES["sedan-mid"])
    # Who faces the nose has the vehicle's left, y > 0, on the right hand; who follows has it on the left.
    left, right = np.array([0, 0.2, 0.5]), np.array([0, -0.2, 0.5])
    assert atlas.uv("front", left)[0] > atlas.uv("front", right)[0]
    assert atlas.uv("back", left)[0] < atlas.uv("back", right)[0]


@pytest.mark.parametrize("kind", VEHICLE_CLASSES)
def test_a_skin_is_its_owners(kind: str) -> None:
    first, second = draw_identity(1, kind), draw_identity(2, kind)
    colour, material = paint_skin(first)
    assert colour.dtype == material.dtype == np.uint8
    assert colour.shape[:2] == material.shape[:2]
    assert (colour == paint_skin(first)[0]).all()
    assert (colour != paint_skin(second)[0]).any()
    assert (material[..., 0] > 200).any()  # there is glass
    assert (material[..., 3] == 255).any()  # and room for wheels
