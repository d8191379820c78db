"""One camera's pictures: its backdrop, and in every frame the vehicles, their shadows, lamps and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtmc.types import Array
from tools.synthcity.actors import Actor, Develop
from tools.synthcity.backdrop import Backdrop, World, sun_matrix
from tools.synthcity.gpu import attend, load_program, matrix_bytes, set_uniforms
from tools.synthcity.identity import Identity
from tools.synthcity.lamplight import head_lamp_light, street_light
from tools.synthcity.lens import View
from tools.synthcity.shapes import Shape
from tools.synthcity.tally import Tally
from tools.synthcity.wardrobe import Wardrobe, is_near, set_pose

__all__ = ["Painter", "Signal"]

_CAR_MAP = 2048
_SIGNAL_TONES = {"red": (1.0, 0.06, 0.04), "yellow": (1.0, 0.60, 0.05), "green": (0.05, 0.95, 0.45)}

Signal = tuple[tuple[float, float, float], tuple[float, float], str]


class Painter:
    """Renders frames of one world; :meth:`aim` chooses the camera."""

    def __init__(self, context: Any, world: World) -> None:
        import moderngl

        self._gl, self.context, self._world = moderngl, context, world
        load = load_program
        self._wardrobe = Wardrobe(context)
        self.tally = Tally(context, self._wardrobe)
        self._compose = load(context, "screen.vert", "compose.frag")
        self._contact = load(context, "pool.vert", "contact.frag")
        self._beam = load(context, "pool.vert", "beam.frag")
        self._glow = load(context, "glow.vert", "glow.frag")
        self._develop = load(context, "screen.vert", "develop.frag")
        self._develop_moving = load(context, "screen.vert", "develop_moving.frag")
        screen = context.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        square = context.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        programs = (self._compose, self._develop, self._develop_moving)
        self._screens = {p: context.vertex_array(p, [(screen, "2f", "v")]) for p in programs}
        self._squares = {
            p: context.vertex_array(p, [(square, "2f", "v")]) for p in (self._contact, self._beam, self._glow)
        }
        self._car_map = context.depth_texture((_CAR_MAP, _CAR_MAP))
        self._car_map.compare_func = "<="
        self._car_frame = context.framebuffer([], self._car_map)
        rng = np.random.default_rng(11)
        noise = np.clip(rng.normal(0.5, 0.18, (512, 512, 4)), 0, 1)
        self._grain = context.texture((512, 512), 4, (noise * 255).astype(np.uint8).tobytes(), alignment=1)
        self._grain.filter = (moderngl.NEAREST, moderngl.NEAREST)

    # ---- set-up

    def aim(self, view: View, backdrop: Backdrop, size_wh: tuple[int, int], develop: Develop) -> None:
        """Choose a camera: ``view`` in rendered pixels, pictures delivered in ``size_wh``."""
        gl, context = self._gl, self.context
        self.view, self.backdrop, self.size_wh, self.develop = view, backdrop, size_wh, develop
        width, height = view.size_wh

        def plane(content: Array, dtype: str) -> Any:
            flat = np.ascontiguousarray(content[::-1])
            texture = context.texture(
                (width, height), 1 if flat.ndim == 2 else flat.shape[2], flat.tobytes(), dtype=dtype
            )
            texture.filter = (gl.NEAREST, gl.NEAREST)
            return texture

        self._planes = (
            plane(backdrop.ambient.astype(np.float16), "f2"),
            plane(backdrop.sun.astype(np.float16), "f2"),
            plane(backdrop.depth.astype(np.float32), "f4"),
            plane(backdrop.points.astype(np.float32), "f4"),
        )
        self._frame, self._still = self._new_frame(), self._new_frame()
        self._colour, self._ids = self._frame.color_attachments
        self._light_only = context.framebuffer([self._colour], self._frame.depth_attachment)
        self._delivered = context.texture(size_wh, 4)
        self._out = context.framebuffer([self._delivered])
        light = self._world.light
        lit = backdrop.ambient + (backdrop.sun if light.sun[1] > 0 else 0.0)
        below = lit[height // 4 :].mean(axis=2)
        self._auto = light.key / float(np.exp(np.log(np.maximum(below, 1e-4)).mean()))

        self._car_frame.clear(depth=1.0)
        self._still.use()
        context.disable(gl.BLEND | gl.CULL_FACE)
        context.enable(gl.DEPTH_TEST)
        self._set_backdrop(np.eye(4))
        self._draw_backdrop()

    def _new_frame(self) -> Any:
        size, gl, context = self.view.size_wh, self._gl, self.context
        colour, ids = context.texture(size, 4, dtype="f2"), context.texture(size, 1, dtype="u2")
        ids.filter = (gl.NEAREST, gl.NEAREST)
        colour.repeat_x = colour.repeat_y = False  # softness must not fetch from the opposite edge
        return context.framebuffer([colour, ids], context.depth_texture(size))

    # ---- one frame

    def paint(
        self, actors: list[Actor], time_s: float, noise_at: tuple[float, float], signals: list[Signal] | None = None
    ) -> tuple[Array, Array]:
        """The picture uint8 (H, W, 3) in the delivered size, and ids uint16 (h, w) in the rendered size.

        Args:
            actors: What moves or is parked.
            time_s: For the rain.
            noise_at: Where the sensor's noise is taken from, each in [0, 1).
            signals: Lit signal lamps: place, direction they face, ``red``, ``yellow`` or ``green``.
        """
        gl, context = self._gl, self.context
        attend(context)
        actors = sorted(actors, key=lambda a: float(np.linalg.norm(a.pose[:3, 3] - self.view.eye)))
        to_car_sun = self._cast_shadows(actors)
        context.disable(gl.BLEND | gl.CULL_FACE)
        context.enable(gl.DEPTH_TEST)
        context.copy_framebuffer(self._frame, self._still)
        self._frame.use()
        if self._world.light.sun[1] > 0:
            self._set_backdrop(to_car_sun)
            for actor in actors:
                self._draw_shadow(actor)
        self._draw_contacts(actors)
        self._draw_vehicles(actors, to_car_sun)
        if self._world.light.lamps_on > 0.5:
            self._draw_lamps(actors)
        self._draw_signals(signals or [])
        context.disable(gl.BLEND)
        image = self._deliver(actors, time_s, noise_at)
        width, height = self.view.size_wh
        ids = np.frombuffer(self._ids.read(alignment=1), np.uint16).reshape(height, width)[::-1]
        return image, ids

    def _cast_shadows(self, actors: list[Actor]) -> Array:
        light = self._world.light
        centre = self.view.eye + self.view.axes[2] * 40.0
        centre[2] = 0.0
        to_sun = sun_matrix(light.sun_dir, centre, 55.0)
        if light.sun[1] <= 0:
            return to_sun
        gl, context = self._gl, self.context
        self._car_frame.use()
        self._car_frame.clear(depth=1.0)
        context.enable(gl.DEPTH_TEST)
        context.disable(gl.CULL_FACE | gl.BLEND)
        self._wardrobe.shadow["toClip"].write(matrix_bytes(to_sun))
        for actor in actors:
            self._wardrobe.shadow["pose"].write(matrix_bytes(actor.pose))
            self._wardrobe.model(actor).shadow.render()
        return to_sun

    def _set_backdrop(self, to_car_sun: Array) -> None:
        for unit, texture in enumerate(self._planes):
            texture.use(unit)
        self._car_map.use(4)
        names = ("ambientMap", "sunMap", "depthMap", "groundPoint", "carMap")
        uniforms: dict[str, Any] = {name: unit for unit, name in enumerate(names)}
        uniforms |= {"sunny": float(self._world.light.sun[1] > 0), "carTexel": 1.0 / _CAR_MAP}
        set_uniforms(self._compose, uniforms)
        self._compose["toCarSun"].write(matrix_bytes(to_car_sun))

    def _draw_backdrop(self) -> None:
        self.context.depth_func = "1"
        self._screens[self._compose].render(self._gl.TRIANGLES)
        self.context.depth_func = "<"

    def _draw_shadow(self, actor: Actor) -> None:
        """Light the backdrop anew where a vehicle's shadow may fall: between it and its outline on the ground."""
        hull, sun = actor.hull(), self._world.light.sun_dir
        ground = hull - (hull[:, 2:] / sun[2]) * sun
        pixels, ahead = self.view.project(np.concatenate([hull, ground]))
        width, height = self.view.size_wh
        if ahead.max() < 0.5:
            return
        low, high = pixels[ahead > 0.5].min(axis=0), pixels[ahead > 0.5].max(axis=0)
        if ahead.min() < 0.5:  # it reaches behind the camera
            low, high = np.zeros(2), np.array([width, height], float)
        x1, y1 = (int(max(v - 3, 0)) for v in low)
        x2, y2 = int(min(high[0] + 3, width)), int(min(high[1] + 3, height))
        if x1 < x2 and y1 < y2:
            self._frame.scissor = (x1, height - y2, x2 - x1, y2 - y1)
            self._draw_backdrop()
            self._frame.scissor = None

    def _lens_uniforms(self, program: Any) -> None:
        program["toClip"].write(matrix_bytes(self.view.clip_from_world()))
        program["lens"].value = self.view.lens_uniform()

    def _draw_contacts(self, actors: list[Actor]) -> None:
        gl, context = self._gl, self.context
        self._light_only.use()
        context.enable(gl.BLEND)
        context.blend_func = gl.DST_COLOR, gl.ZERO
        self._light_only.depth_mask = False
        self._lens_uniforms(self._contact)
        for actor in actors:
            if isinstance(actor.looks, Identity):
                body = actor.looks.body
                rect, strength = (0.0, 0.0, body.length / 2 + 0.9, body.width / 2 + 0.9), 0.80
            else:
                rect, strength = (0.0, 0.0, 1.25, 1.2), 0.35
            self._contact["pose"].write(matrix_bytes(actor.pose))
            set_uniforms(self._contact, {"rect": rect, "strength": strength})
            self._squares[self._contact].render(gl.TRIANGLE_STRIP)
        self._light_only.depth_mask = True
        context.disable(gl.BLEND)
        self._frame.use()

    def _draw_vehicles(self, actors: list[Actor], to_car_sun: Array) -> None:
        gl, context, world = self._gl, self.context, self._world
        context.enable(gl.CULL_FACE)
        program = self._wardrobe.paint
        self._lens_uniforms(program)
        units = {"env": 0, "skin": 1, "stuff": 2, "sunMap": 3, "carMap": 4}
        set_uniforms(program, world.common_uniforms(self.view) | units)
        program["toSun"].write(matrix_bytes(self.backdrop.to_sun))
        program["toCarSun"].write(matrix_bytes(to_car_sun))
        world.mirror_map.use(0)
        self.backdrop.sun_map.use(3)
        self._car_map.use(4)
        beams = head_lamp_light(world.light, actors)
        for actor in actors:
            set_pose(program, actor)
            self._set_light(program, actor, beams[actor.id])
            model = self._wardrobe.model(actor)
            skin, stuff = self._wardrobe.skin(actor.looks)
            skin.use(1)
            stuff.use(2)
            (model.near if is_near(actor, self.view) else model.far).render()
            if model.wheel is not None and isinstance(actor.looks, Identity):
                self._wardrobe.rim(actor.looks.wheel).use(1)
                program["wheels"].value = 1
                model.wheel.render(instances=4)
        context.disable(gl.CULL_FACE)

    def _set_light(self, program: Any, actor: Actor, beam: tuple[Array, float]) -> None:
        looks = actor.looks
        values: dict[str, Any] = {"id": actor.id, "height": 1.7, "metallic": 0.0, "lampsOn": (0.0, 0.0, 0.0)}
        values |= {"cabin": (0.0, 0.0, 9.0, 0.5), "crew": (9.5, 1.0, 0.0)}
        if isinstance(looks, Identity):
            body = looks.body
            front = body.length / 2 - body.screen_top_at - 0.25
            rear = front - (0.95 if body.roof_end_at - body.screen_top_at > 1.2 else 0.2)
            if body.vehicle_class == "bus":
                rear = 1.5 - body.length / 2
            head = 1.0 if actor.lamps else 0.06
            values |= {
                "height": body.height,
                "metallic": looks.metallic,
                "lampsOn": (head, float(actor.braking), 0.6 if actor.lamps else 0.0),
                "cabin": (front, rear, body.belt[0], body.width / 2),
                "crew": (body.height, looks.glass_darkness, float(looks.driver)),
            }
        values |= {
            "street": street_light(self._world.light, self._world.scenery.lamps, actor),
            "beamDir": tuple(map(float, beam[0])),
            "beamCol": (beam[1],) * 3,
        }
        set_uniforms(program, values)

    def _draw_lamps(self, actors: list[Actor]) -> None:
        """Light on the road before the cars, and the halos of their lamps."""
        gl, context = self._gl, self.context
        dark = self._world.light.glow
        self._light_only.use()
        context.enable(gl.BLEND)
        context.blend_func = gl.ONE, gl.ONE
        self._light_only.depth_mask = False
        lit = [(a, a.looks.body) for a in actors if isinstance(a.looks, Identity) and (a.lamps or a.braking)]
        if dark > 0.2:
            self._planes[1].use(0)
            self._lens_uniforms(self._beam)
            for actor, body in ((a, b) for a, b in lit if a.lamps):
                front = body.length / 2
                self._beam["pose"].write(matrix_bytes(actor.pose))
                tone = (1.3, 1.22, 1.0) if dark > 0.38 else (0.45, 0.42, 0.34)
                set_uniforms(self._beam, {"rect": (front + 13.0, 0.0, 13.0, 5.5), "albedoMap": 0, "beamCol": tone})
                self._squares[self._beam].render(gl.TRIANGLE_STRIP)
        self._lens_uniforms(self._glow)
        for actor, body in lit:
            self._draw_halos(actor, body, max(dark, 0.12))
        self._light_only.depth_mask = True
        self._frame.use()

    def _draw_halos(self, actor: Actor, body: Shape, dark: float) -> None:
        away = self.view.eye - actor.pose[:3, 3]
        facing = float(away @ actor.pose[:3, 0]) / float(np.linalg.norm(away))
        half, side = body.length / 2, body.width / 2 * 0.78
        if facing > 0.15:
            place, tone = (half + 0.05, body.hood[0] - 0.10 if body.cowl_at > 0.6 else 0.78), (1.0, 0.94, 0.80)
            strength = 1.3 * facing**2 if actor.lamps else 0.0
        elif facing < -0.15:
            place = (-half - 0.05, body.boot[1] - 0.16 if not body.box else 0.9)
            tone, strength = (1.0, 0.08, 0.05), (0.45 if actor.braking else 0.0) + (0.12 if actor.lamps else 0.0)
        else:
            return
        width, height = self.view.size_wh
        for sign in (1, -1):
            at = actor.pose @ np.array([place[0], sign * side, place[1], 1.0])
            size = 0.55 * self.view.focal_px
            set_uniforms(
                self._glow,
                {
                    "at": tuple(map(float, at[:3])),
                    "size": (2 * size / width, 2 * size / height),
                    "tone": tuple(strength * dark * v for v in tone),
                },
            )
            self._squares[self._glow].render(self._gl.TRIANGLE_STRIP)

    def _draw_signals(self, signals: list[Signal]) -> None:
        gl, context = self._gl, self.context
        self._light_only.use()
        context.enable(gl.BLEND)
        context.blend_func = gl.ONE, gl.ONE
        self._light_only.depth_mask = False
        self._lens_uniforms(self._glow)
        width, height = self.view.size_wh
        size = 0.30 * self.view.focal_px
        for at, facing, state in signals:
            away = self.view.eye - np.array(at)
            seen = float(away[:2] @ facing) / max(float(np.linalg.norm(away)), 1e-6)
            if seen > 0.1:
                tone = tuple(0.9 * seen / self._auto * v for v in _SIGNAL_TONES[state])
                extent = (2 * size / width, 2 * size / height)
                set_uniforms(self._glow, {"at": at, "size": extent, "tone": tone})
                self._squares[self._glow].render(gl.TRIANGLE_STRIP)
        self._light_only.depth_mask = True

    def _deliver(self, actors: list[Actor], time_s: float, noise_at: tuple[float, float]) -> Array:
        light, develop = self._world.light, self.develop
        self._out.use()
        for unit, texture in enumerate((self._colour, self._ids, self._grain)):
            texture.use(unit)
        width, height = self.view.size_wh
        uniforms: dict[str, Any] = {
            "scene": 0,
            "ids": 1,
            "grain": 2,
            "grainAt": noise_at,
            "grainAmount": light.grain * develop.grain * 3,
            "exposure": self._auto * develop.exposure,
            "balance": develop.balance,
            "colourfulness": develop.colourfulness,
            "soft": develop.soft,
            "vignette": develop.vignette,
            "rain": light.rain,
            "time": time_s,
            "pixel": (1 / width, 1 / height),
            "lift": develop.lift,
        }
        set_uniforms(self._develop, uniforms)
        self.context.disable(self._gl.DEPTH_TEST)
        self._screens[self._develop].render(self._gl.TRIANGLES)
        set_uniforms(self._develop_moving, uniforms)
        for actor in actors:
            self._blur_motion(actor)
        out_width, out_height = self.size_wh
        return np.frombuffer(self._delivered.read(), np.uint8).reshape(out_height, out_width, 4)[::-1, :, :3]

    def _blur_motion(self, actor: Actor) -> None:
        """Develop a moving vehicle's pixels anew, smeared along its way during the exposure."""
        at = actor.pose[:3, 3] + [0, 0, 0.6]
        ends = np.stack([at, at + np.append(actor.velocity, 0) * self._world.light.shutter_s])
        places, ahead = self.view.project(ends)
        way = places[1] - places[0]
        if ahead.min() < 1.0 or float(way @ way) < 1.0:
            return
        width, height = self.view.size_wh
        pixels, ahead = self.view.project(actor.hull())
        share = np.array(self.size_wh) / [width, height]
        low, high = pixels.min(axis=0) * share - 2, pixels.max(axis=0) * share + 2
        if ahead.min() < 0.5:
            low, high = np.zeros(2), np.array(self.size_wh, float)
        (x1, y1), (x2, y2) = np.clip([low, high], 0, self.size_wh).astype(int).tolist()
        if x1 < x2 and y1 < y2:
            self._out.scissor = (x1, self.size_wh[1] - y2, x2 - x1, y2 - y1)
            set_uniforms(self._develop_moving, {"mover": actor.id, "motion": (way[0] / width, -way[1] / height)})
            self._screens[self._develop_moving].render(self._gl.TRIANGLES)
            self._out.scissor = None
