"""Box scale from ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.geometry.boxes import xywh_to_xyxy
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.site.boxes import best_scale, fit_box_scales, grown
from tests.builders import tracklet
from tests.mtmc.site.world import passage


def test_grown_by_hand() -> None:
    np.testing.assert_allclose(grown(np.array([10.0, 20, 30, 60]), (1.5, 0.5)), [5, 30, 35, 50])


def test_the_factors_put_in_come_out() -> None:
    rng = np.random.default_rng(0)
    truth = xywh_to_xyxy(np.concatenate([rng.uniform(100, 500, (400, 2)), rng.uniform(60, 90, (400, 2))], axis=1))
    ours = grown(truth, (1 / 1.35, 1 / 1.2)) + rng.normal(0, 1, (400, 4))
    scale, before, after = best_scale(ours, truth, None)
    # All boxes count over a range of factors; the best fit among them is that of the largest overlap.
    assert scale == pytest.approx((1.35, 1.2), abs=0.051)
    assert after >= before
    assert best_scale(ours[:5], truth[:5], None)[0] == (1.0, 1.0)


def test_written_into_the_scene_of_those_with_truth(tmp_path: Path) -> None:
    way = tracklet(length=60, start=(50, 200), step=(6, 0), size=(60, 40))
    boxes = grown(way.xyxy.astype(float), (1.5, 1.4))
    write_mot(Table.of(1, np.ones(60, int), way.frame, boxes), tmp_path / "gt.txt")
    with_truth = Camera("c001", 1, Clock(10.0), size_wh=(960, 540), ground_truth=tmp_path / "gt.txt")
    without = Camera("c002", 2, Clock(10.0))
    scene, text = fit_box_scales(Scene("x", tmp_path, (with_truth, without)), [passage(way)])
    assert scene.camera("c001").box_scale == pytest.approx((1.5, 1.4), abs=0.051)
    assert scene.camera("c002").box_scale == (1.0, 1.0)
    assert "c001" in text
    assert "c002" not in text
    with pytest.raises(SceneError, match="no camera of x has ground truth, which --gt needs"):
        fit_box_scales(Scene("x", tmp_path, (without,)), [])
