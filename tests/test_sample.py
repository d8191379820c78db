"""The sample that is shipped: small, complete, and as its README says."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import av

from mtmc.scene import load_scenes
from mtmc.zoo.registry import PACKAGE_FOLDER
from tools.synthcity.recipe import load_recipe

SAMPLE = Path(__file__).resolve().parents[1] / "sample_videos"


def test_it_is_small() -> None:
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20e6


def test_the_models_of_the_package_are_small() -> None:
    assert sum(path.stat().st_size for path in PACKAGE_FOLDER.iterdir()) <= 15e6


def test_the_videos_are_as_long_as_the_scene_says() -> None:
    [scene] = load_scenes(SAMPLE)
    assert len(scene.cameras) == 6
    for camera in scene.cameras:
        assert camera.video is not None
        with av.open(str(camera.video)) as video:
            assert video.streams.video[0].frames == camera.frame_count
        assert camera.roi is not None
        assert camera.ground_from_image is not None
        assert camera.zones


def test_the_ground_truth_is_as_the_readme_counts_it() -> None:
    cameras, boxes = defaultdict(set), 0
    for path in SAMPLE.glob("*/gt/gt.txt"):
        for row in path.read_text(encoding="ascii").splitlines():
            boxes += 1
            cameras[row.split(",")[1]].add(path.parts[-3])
    assert min(map(len, cameras.values())) >= 2
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    found = re.search(r"the ground truth \| (\d+), in ([\d,]+) boxes", readme)
    assert found is not None
    assert (len(cameras), boxes) == (int(found[1]), int(found[2].replace(",", "")))


def test_its_recipe_is_the_one_in_the_repository() -> None:
    recipe = SAMPLE.parent / "tools" / "synthcity" / "recipes" / "sample.yaml"
    assert load_recipe(SAMPLE / "recipe.yaml") == load_recipe(recipe)
