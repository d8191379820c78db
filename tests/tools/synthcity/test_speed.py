from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.boxes import area
from tools.bench.render import _cast, measure_crops, measure_frames
from tools.synthcity.identity import Identity
from tools.synthcity.stage import Stage
from tools.synthcity.truth import amodal_box


def test_the_cast_is_the_largest_vehicles_and_all_people(stage: Stage) -> None:
    plan, time_s = stage.cameras[0], 0.5
    cast = _cast(stage, plan, time_s, 2)
    vehicles = [actor for actor in cast if isinstance(actor.looks, Identity)]
    assert len(vehicles) == 2
    assert len(cast) - 2 == len(stage.bystanders)
    boxes = [
        boxed
        for actor in stage.actors_at(time_s)
        if isinstance(actor.looks, Identity)
        for boxed in [amodal_box(actor, plan.view)]
    ]
    areas = sorted((float(area(boxed[0][None])[0]) for boxed in boxes if boxed is not None), reverse=True)
    chosen = [boxed[0] for actor in vehicles if (boxed := amodal_box(actor, plan.view)) is not None]
    np.testing.assert_allclose(sorted(area(np.array(chosen)), reverse=True), areas[:2])


@pytest.mark.slow
def test_every_piece_of_work_is_measured(egl: None) -> None:
    row = measure_frames((320, 180), (1,), moments=1)
    assert list(row) == ["1", "background"]
    assert "–" not in row.values()
    assert list(measure_crops(vehicles=1, views=2)) == ["crop", "first of a vehicle", "station"]
