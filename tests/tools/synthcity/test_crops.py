from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid.data.synthcity import load
from tools.synthcity.crop_plan import CropPlan
from tools.synthcity.crops import draw_looks, render_crops
from tools.synthcity.frames import training_recipe


def test_training_and_test_vehicles_share_no_looks() -> None:
    plan = CropPlan(identities=40, test_identities=30, lookalike_share=0.5)
    vehicles, looks = draw_looks(plan)
    assert len(vehicles) == 70
    assert not set(looks[:40]) & set(looks[40:])
    assert len(set(looks[:40])) < 32
    for i, look in enumerate(looks):
        assert (vehicles[i].shape, vehicles[i].paint) == (vehicles[look].shape, vehicles[look].paint)
    assert len({who.plate for who in vehicles}) == 70


def test_training_seeds_see_every_place_and_weather() -> None:
    recipes = [training_recipe(seed) for seed in range(28)]
    assert len({(r.place, r.weather) for r in recipes}) == 24
    assert all(r.name == f"T{r.seed:05d}" for r in recipes)


@pytest.mark.slow
def test_crops_are_a_data_set(egl: None, tmp_path: Path) -> None:
    plan = CropPlan(identities=2, cameras=2, test_identities=2, test_cameras=2, views=2, size_px=96)
    count = render_crops(plan, tmp_path)
    split = load(tmp_path)
    assert count == len(split.train) + len(split.query) + len(split.gallery)
    assert {r.camera_id for r in split.train} == {1, 2}
    assert {r.camera_id for r in split.gallery} == {3, 4}
    index = (tmp_path / "crops" / "index.csv").read_bytes()
    assert render_crops(plan, tmp_path) == count
    assert (tmp_path / "crops" / "index.csv").read_bytes() == index
    assert np.all([record.path.stat().st_size > 500 for record in split.train])
