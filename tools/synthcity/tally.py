"""Exact visibility: every vehicle drawn alone and its pixels counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.synthcity.actors import Actor
from tools.synthcity.gpu import matrix_bytes
from tools.synthcity.lens import View
from tools.synthcity.wardrobe import Wardrobe, is_near, set_pose

__all__ = ["Tally"]

_TILES_WH = (2048, 1024)

Box = tuple[int, int, int, int]


class Tally:
    """Counts pixels on a sheet of tiles, many vehicles per reading."""

    def __init__(self, context: Any, wardrobe: Wardrobe) -> None:
        import moderngl

        self._gl, self._context, self._wardrobe = moderngl, context, wardrobe
        self._frame = context.framebuffer(
            [context.texture(_TILES_WH, 1, dtype="f1")], context.depth_texture(_TILES_WH)
        )

    def count(self, view: View, actors: list[Actor], boxes: list[Box]) -> list[int]:
        """Pixels each actor would have with nothing before it, in the rendered size.

        Args:
            view: The camera, in rendered pixels.
            actors: Whom to count.
            boxes: For each, whole pixels (x1, y1, x2, y2) that contain all of it inside the picture.
        """
        counts = [0] * len(actors)
        batch: list[tuple[int, tuple[int, int], Box]] = []
        x = y = tall = 0
        for k, box in enumerate(boxes):
            width, height = box[2] - box[0], box[3] - box[1]
            if width <= 0 or height <= 0:
                continue
            if x + width > _TILES_WH[0]:
                x, y, tall = 0, y + tall, 0
            if y + height > _TILES_WH[1]:
                self._count_batch(view, actors, batch, counts)
                batch, x, y, tall = [], 0, 0, 0
            batch.append((k, (x, y), box))
            x, tall = x + width, max(tall, height)
        self._count_batch(view, actors, batch, counts)
        return counts

    def _count_batch(
        self,
        view: View,
        actors: list[Actor],
        batch: list[tuple[int, tuple[int, int], Box]],
        counts: list[int],
    ) -> None:
        if not batch:
            return
        gl, context = self._gl, self._context
        width, height = view.size_wh
        frame, mark = self._frame, self._wardrobe.mark
        frame.use()
        frame.clear()
        context.enable(gl.DEPTH_TEST | gl.CULL_FACE)
        mark["toClip"].write(matrix_bytes(view.clip_from_world()))
        mark["lens"].value = view.lens_uniform()
        mark["stuff"].value = 0
        for k, (x, y), box in batch:
            actor = actors[k]
            # The same pixel grid as the picture, moved so that the box lands on its tile; OpenGL counts rows upwards.
            frame.viewport = (x - box[0], y - (height - box[3]), width, height)
            frame.scissor = (x, y, box[2] - box[0], box[3] - box[1])
            set_pose(mark, actor)
            self._wardrobe.skin(actor.looks)[1].use(0)
            model = self._wardrobe.model(actor)
            (model.near_mark if is_near(actor, view) else model.far_mark).render()
            if model.wheel_mark is not None:
                mark["wheels"].value = 1
                model.wheel_mark.render(instances=4)
        frame.scissor = None
        frame.viewport = (0, 0, *_TILES_WH)
        context.disable(gl.CULL_FACE)
        rows = max(y + box[3] - box[1] for _, (_, y), box in batch)
        marks = np.frombuffer(frame.read((0, 0, _TILES_WH[0], rows), components=1, alignment=1), np.uint8).reshape(
            rows, _TILES_WH[0]
        )
        for k, (x, y), box in batch:
            counts[k] = int(np.count_nonzero(marks[y : y + box[3] - box[1], x : x + box[2] - box[0]]))
