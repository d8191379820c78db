"""The scene learned from frozen passages of a simulated crossroads: guards against unintended changes of results.

The expected values say nothing about whether the result is good. After an intended change, write them anew with
``python -m tests.mtmc.site.test_frozen_scene``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.site.config import SiteConfig
from mtmc.site.learn import learn_scene
from tests.mtmc.associate import frozen

_EXPECTED = Path(__file__).with_name("frozen_scene.json")


def learned_values() -> dict[str, Any]:
    stored = frozen.load(Path(frozen.__file__).with_name("crossroads.npz"))
    config = SiteConfig(ground="learn", clocks="keep", links="learn", min_support=2)
    learned = learn_scene(stored.scene, stored.passages, config)
    cameras = learned.scene.cameras
    return {
        "homographies": {c.id: np.asarray(c.ground_from_image).tolist() for c in cameras},
        "planes": {c.id: c.ground_plane for c in cameras},
        "clocks": {f.camera: [f.offset_s, f.error_s, f.drift, f.drift_error, f.pairs] for f in learned.clocks.fits},
        "zones": {c.id: [[zone.name, zone.polygon.tolist()] for zone in c.zones] for c in cameras},
        "links": [
            [link.from_camera, link.from_zone, link.to_camera, link.to_zone, link.min_s, link.max_s]
            for link in learned.scene.links
        ],
        "alignments": [
            [a.plane, a.reference_plane, a.rotation_deg, *a.translation_m] for a in learned.scene.plane_alignments
        ],
    }


def assert_close(found: Any, expected: Any) -> None:
    """Equal texts and structure; numbers to five digits, as libraries differ in their last ones."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_close(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    else:
        assert found == expected


def test_the_learned_scene_is_the_frozen_one() -> None:
    found = json.loads(json.dumps(learned_values()))
    assert_close(found, json.loads(_EXPECTED.read_text(encoding="utf-8")))


if __name__ == "__main__":
    _EXPECTED.write_text(json.dumps(learned_values(), indent=1) + "\n", encoding="utf-8")
