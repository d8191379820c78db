"""Bodies, skins and rims on the graphics card, made when they are first seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mtmc.types import Array
from tools.synthcity.actors import Actor
from tools.synthcity.canvas import ATLAS_PX
from tools.synthcity.gpu import load_program, matrix_bytes
from tools.synthcity.identity import Identity
from tools.synthcity.lens import View
from tools.synthcity.people import Figure, figure_skin
from tools.synthcity.skin import RIMS, paint_skin, rim_texture

__all__ = ["Model", "Wardrobe", "is_near", "set_pose"]

_FAR_PX = 70


@dataclass(slots=True, eq=False)
class Model:
    """A body on the graphics card: for drawing, for counting (mark) and for casting shadows."""

    near: Any
    far: Any
    wheel: Any
    near_mark: Any
    far_mark: Any
    wheel_mark: Any
    shadow: Any


class Wardrobe:
    """Everything actors wear, and the three programs that draw them.

    Attributes:
        paint: Draws colour and id.
        mark: Draws a vehicle's pixels as ones.
        shadow: Draws depth alone.
    """

    def __init__(self, context: Any) -> None:
        import moderngl

        self._gl, self._context = moderngl, context
        self.paint = load_program(context, "vehicle.vert", "vehicle.frag")
        self.mark = load_program(context, "vehicle.vert", "depth.frag")
        self.shadow = load_program(context, "shadow.vert", "shadow.frag")
        self._models: dict[tuple[str, int], Model] = {}
        self._skins: dict[Identity | Figure, tuple[Any, Any]] = {}
        self._rims: dict[int, Any] = {}

    def model(self, actor: Actor) -> Model:
        """The meshes of what an actor is."""
        looks = actor.looks
        key = (looks.shape, 0) if isinstance(looks, Identity) else (looks.kind, looks.stride)
        if key not in self._models:
            body = actor.body
            parts = {}
            for name in ("near", "far", "wheel"):
                mesh = getattr(body, name)
                if len(mesh.faces):
                    content = self._context.buffer(mesh.vertex_bytes())
                    index = self._context.buffer(mesh.faces.astype(np.int32).tobytes())
                    for program, suffix, layout, names in (
                        (self.paint, "", "3f 3f 2f", ("p", "n", "uv")),
                        (self.mark, "_mark", "3f 12x 2f", ("p", "uv")),
                        (self.shadow, "_shadow", "3f 20x", ("p",)),
                    ):
                        parts[name + suffix] = self._context.vertex_array(program, [(content, layout, *names)], index)
            self._models[key] = Model(
                parts["near"], parts["far"], parts.get("wheel"), parts["near_mark"], parts["far_mark"],
                parts.get("wheel_mark"), parts["far_shadow"],
            )  # fmt: skip
        return self._models[key]

    def skin(self, looks: Identity | Figure) -> tuple[Any, Any]:
        """Colour and material textures."""
        if looks not in self._skins:
            colour, material = paint_skin(looks) if isinstance(looks, Identity) else figure_skin(looks)
            self._skins[looks] = (self._texture(colour), self._texture(material))
        return self._skins[looks]

    def _texture(self, picture: Array) -> Any:
        gl = self._gl
        height, width, planes = picture.shape
        texture = self._context.texture((width, height), planes, np.ascontiguousarray(picture).tobytes(), alignment=1)
        if height >= ATLAS_PX[1] or (planes == 4 and height == 128):
            texture.build_mipmaps()
            texture.filter = (gl.LINEAR_MIPMAP_LINEAR, gl.LINEAR)
        else:
            texture.filter = (gl.NEAREST, gl.NEAREST)
        return texture

    def rim(self, design: int) -> Any:
        """The texture of a wheel."""
        if design not in self._rims:
            self._rims[design] = self._texture(rim_texture(design % RIMS))
        return self._rims[design]


def set_pose(program: Any, actor: Actor) -> None:
    """Tell a program where an actor and its wheels are."""
    program["pose"].write(matrix_bytes(actor.pose))
    program["wheels"].value = 0
    at = actor.body.wheel_at
    if len(at):
        spin = -actor.rolled_m / max(float(at[0, 2]), 0.1)
        poses = []
        for k, place in enumerate(at):
            turn = actor.steer_rad if k < 2 else 0.0
            poses.append(_wheel_pose(place, turn + (0.0 if place[1] > 0 else np.pi), spin if place[1] > 0 else -spin))
        program["wheelPose"].write(b"".join(matrix_bytes(pose) for pose in poses))


def is_near(actor: Actor, view: View) -> bool:
    """Whether an actor is large enough in the picture to need all its detail."""
    ahead = float((actor.pose[:3, 3] - view.eye) @ view.axes[2])
    return view.focal_px * 4.5 / max(ahead, 1.0) > _FAR_PX


def _wheel_pose(at: Array, turn: float, spin: float) -> Array:
    """A wheel's frame: spun about its axle, turned about the vertical, put in its place: (4, 4)."""
    c, s = np.cos(turn), np.sin(turn)
    a, b = np.cos(spin), np.sin(spin)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[a, 0, -b], [0, 1, 0], [b, 0, a]])
    pose[:3, 3] = at
    return pose
