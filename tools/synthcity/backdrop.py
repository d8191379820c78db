"""The fixed world as one camera sees it: rendered once, kept as light, depth and place of every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mtmc.types import Array
from tools.synthcity.builder import Place
from tools.synthcity.gpu import attend, load_program, matrix_bytes, set_uniforms
from tools.synthcity.ground import GroundMap
from tools.synthcity.lens import View
from tools.synthcity.light import Light
from tools.synthcity.scenery import Scenery

__all__ = ["Backdrop", "World", "sun_matrix"]

_PASSES = 8
_SUN_MAP = 3072
_REACH_M = 150.0


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """One camera's background, distorted as its lens does it, top row first.

    Attributes:
        ambient: float32 (H, W, 3), light that no vehicle can take away.
        sun: float32 (H, W, 3), sunlight; where the sun does not shine, the surfaces' colour.
        depth: float32 (H, W), as in the depth buffer.
        points: float32 (H, W, 3), metres.
        tall: bool (H, W), belongs to something that stands on the ground.
        to_sun: float64 (4, 4), world to the sun's shadow map.
        sun_map: The shadow map of the fixed world, a depth texture.
    """

    ambient: Array
    sun: Array
    depth: Array
    points: Array
    tall: Array
    to_sun: Array
    sun_map: Any


def sun_matrix(sun_dir: Array, centre: Array, reach_m: float) -> Array:
    """World → clip space of the sun, looking at ``centre``, ``reach_m`` to each side: (4, 4)."""
    ahead = -np.asarray(sun_dir, float)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(right, ahead), -ahead])
    pose[:3, 3] = -pose[:3, :3] @ centre
    deep = 2.5 * reach_m
    return np.asarray(np.diag([1 / reach_m, 1 / reach_m, -1 / deep, 1.0]) @ pose)


class World:
    """The fixed world on the graphics card; :meth:`look` renders it for a camera."""

    def __init__(self, context: Any, place: Place, ground: GroundMap, scenery: Scenery, light: Light) -> None:
        import moderngl

        self._gl, self._context = moderngl, context
        self.place, self.light, self.scenery = place, light, scenery
        self._program = load_program(context, "static.vert", "static.frag")
        self._sky_program = load_program(context, "screen.vert", "sky.frag")
        vertices, indices = scenery.buffers()
        content = [(context.buffer(vertices), "3f 3f 2f 2f 3f", "p", "n", "uv", "kind", "col")]
        self._mesh = context.vertex_array(self._program, content, context.buffer(indices))
        screen = context.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        self._sky = context.vertex_array(self._sky_program, [(screen, "2f", "v")])
        rows, columns = ground.kerb.shape
        layers = np.dstack([ground.kerb, ground.wear, np.zeros_like(ground.kerb)]).astype(np.float32)
        self._ground = context.texture((columns, rows), 4, layers.tobytes(), dtype="f4")
        self._ground_box = (*ground.origin, *(1 / v for v in ground.size_m))
        self._sky_map = _sky_texture(moderngl, context, light.sky)
        self.mirror_map = _sky_texture(moderngl, context, light.mirror)

    def common_uniforms(self, view: View) -> dict[str, Any]:
        """What common.glsl asks for."""
        light = self.light
        return {
            "sunDir": tuple(map(float, light.sun_dir)),
            "sunCol": light.sun,
            "skyUp": light.sky_up,
            "skyDown": light.sky_down,
            "fogCol": light.fog,
            "fogM": light.fog_m,
            "eye": tuple(map(float, view.eye)),
            "env": 0,
        }

    def look(self, view: View) -> Backdrop:
        """Render the background of a camera; takes a few seconds."""
        gl, context = self._gl, self._context
        attend(context)
        centre = view.eye + view.axes[2] * 55.0
        centre[2] = 0.0
        to_sun = sun_matrix(self.light.sun_dir, centre, _REACH_M)
        sun_map = self._shadows(to_sun)
        widening = view.widening()
        width, height = (round(v * widening) for v in view.size_wh)
        wide = View(view.site, view.size_wh)
        targets = [context.texture((width, height), 4, dtype="f4") for _ in range(2)]
        depth = context.depth_texture((width, height))
        frame = context.framebuffer(targets, depth)
        sums, first_depth = [np.zeros((height, width, 4), np.float32) for _ in range(2)], None
        self._set_look(view, to_sun)
        rng = np.random.default_rng(7)
        for i in range(_PASSES):
            jitter = np.eye(4)
            shift = (((i + 0.5) / _PASSES) - 0.5, ((i * 3 + 1) % _PASSES + 0.5) / _PASSES - 0.5) if i else (0.0, 0.0)
            jitter[0, 3], jitter[1, 3] = 2 * shift[0] / width, 2 * shift[1] / height
            to_clip = jitter @ wide.clip_from_world(widening)
            frame.use()
            context.enable(gl.DEPTH_TEST)
            context.disable(gl.CULL_FACE | gl.BLEND)
            frame.clear()
            self._bind(sun_map)
            self._program["toClip"].write(matrix_bytes(to_clip))
            set_uniforms(self._program, {"jitter": tuple(map(float, rng.random(2)))})
            self._mesh.render()
            self._draw_sky(view, to_clip)
            for total, texture in zip(sums, targets, strict=True):
                total += np.frombuffer(texture.read(), np.float32).reshape(height, width, 4)
            if first_depth is None:
                first_depth = np.frombuffer(depth.read(alignment=1), np.float32).reshape(height, width)
        for item in (*targets, depth, frame):
            item.release()
        flat = [total[::-1, :, :3] / _PASSES for total in sums]
        assert first_depth is not None
        return self._bend(view, widening, flat, first_depth[::-1], to_sun, sun_map)

    def _set_look(self, view: View, to_sun: Array) -> None:
        light, place = self.light, self.place
        lamps = sorted(self.scenery.lamps, key=lambda p: float(np.hypot(p[0] - view.eye[0], p[1] - view.eye[1])))[:40]
        on = light.street_lamps[0] > 0
        set_uniforms(
            self._program,
            self.common_uniforms(view)
            | {
                "groundMap": 1,
                "sunMap": 2,
                "groundBox": self._ground_box,
                "pavement": max(place.pavement_m, 0.3),
                "built": float(place.built_up),
                "depthOnly": 0,
                "wet": light.wet,
                "glow": light.glow,
                "lampCol": tuple(10 * v for v in light.street_lamps),
                "lampCount": len(lamps) if on else 0,
                "lamps": (lamps + [(0.0, 0.0, 0.0)] * 48)[:48],
            },
        )
        self._program["toSun"].write(matrix_bytes(to_sun))

    def _bind(self, sun_map: Any) -> None:
        self.mirror_map.use(0)
        self._ground.use(1)
        sun_map.use(2)

    def _shadows(self, to_sun: Array) -> Any:
        gl, context = self._gl, self._context
        sun_map = context.depth_texture((_SUN_MAP, _SUN_MAP))
        sun_map.compare_func = "<="
        frame = context.framebuffer([], sun_map)
        frame.use()
        context.enable(gl.DEPTH_TEST)
        context.disable(gl.CULL_FACE | gl.BLEND)
        frame.clear(depth=1.0)
        if self.light.sun[1] > 0:
            blank = context.depth_texture((1, 1))
            blank.compare_func = "<="
            self._bind(blank)
            self._program["toClip"].write(matrix_bytes(to_sun))
            set_uniforms(self._program, {"depthOnly": 1, "groundMap": 1, "sunMap": 2, "env": 0})
            self._mesh.render()
            blank.release()
        frame.release()
        return sun_map

    def _draw_sky(self, view: View, to_clip: Array) -> None:
        self._sky_map.use(0)
        set_uniforms(self._sky_program, {"eye": tuple(map(float, view.eye)), "sky": 0})
        self._sky_program["fromClip"].write(matrix_bytes(np.linalg.inv(to_clip)))
        self._sky.render(self._gl.TRIANGLES)

    def _bend(
        self, view: View, widening: float, flat: list[Array], depth: Array, to_sun: Array, sun_map: Any
    ) -> Backdrop:
        """From the wide undistorted picture to the camera's own."""
        width, height = view.size_wh
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        rays = view.rays(np.stack([x, y], axis=-1))
        scale = view.focal_px / widening * depth.shape[1] / width
        across = (depth.shape[1] / 2 + rays[..., 0] * scale - 0.5).astype(np.float32)
        down = (depth.shape[0] / 2 + rays[..., 1] * scale - 0.5).astype(np.float32)
        ambient, sun = (
            cv2.remap(np.ascontiguousarray(part), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for part in flat
        )
        near = cv2.remap(
            np.ascontiguousarray(depth), across, down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        ahead = view.distance_of_depth(near)[..., None]
        points = view.eye + (np.concatenate([rays, np.ones_like(ahead)], axis=-1) * ahead) @ view.axes
        tall = (points[..., 2] > 0.25) & (near < 0.99999)
        return Backdrop(ambient, sun, near, points.astype(np.float32), tall, to_sun, sun_map)


def _sky_texture(gl: Any, context: Any, picture: Array) -> Any:
    texture = context.texture(
        (picture.shape[1], picture.shape[0]), 3, picture.astype(np.float16).tobytes(), dtype="f2"
    )
    texture.build_mipmaps()
    texture.filter = (gl.LINEAR_MIPMAP_LINEAR, gl.LINEAR)
    texture.repeat_y = False
    return texture
