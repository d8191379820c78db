"""Notes, report and plots of a learned scene that is made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.site import plots
from mtmc.site.camera_model import GroundScale
from mtmc.site.clocks import ClockFit
from mtmc.site.learn import CameraZones, LearnedClocks, LearnedScene, _clock_notes, _scale_notes
from mtmc.site.links import FoundLink
from mtmc.site.plots import draw_camera, draw_plots, label_places
from mtmc.site.report import report
from mtmc.types import Array, Passage, Tracklet
from tests.mtmc.site.world import passage

SIZE = (640, 480)
SCALE = GroundScale(SIZE, 100.0, 5.0, 0.65, 0.1, 100)  # the horizon is row 100


def driven(camera: str, bottom_y: Array) -> Passage:
    """Boxes side by side whose lower edges are at the given rows."""
    n = len(bottom_y)
    left = 100 + 50.0 * np.arange(n)
    xyxy = np.stack([left, bottom_y - 30, left + 40, bottom_y], axis=1).astype(np.float32)
    frame, nothing = 10 * np.arange(n), np.zeros((n, 0), np.float32)
    return passage(Tracklet(camera, 1, frame, frame / 10, xyxy, np.ones(n, np.float32), 1, nothing))


def learned(passages: tuple[Passage, ...] = (), video: Path | None = None, **found: Any) -> LearnedScene:
    """Cameras c1 and c2 on a ground plane named west."""
    cameras = tuple(
        Camera(f"c{k}", k, Clock(10.0), size_wh=SIZE, video=video, ground_plane="west",
               ground_from_image=SCALE.ground_from_image())
        for k in (1, 2)
    )  # fmt: skip
    values: dict[str, Any] = {
        "scene": Scene("town", Path(), cameras),
        "passages": passages,
        "size_wh": {camera.id: SIZE for camera in cameras},
        "scales": {},
        "ground_planes": (),
        "clocks": LearnedClocks(),
        "zones": {camera.id: CameraZones([], []) for camera in cameras},
        "links": (),
        "alignments": (),
    }
    return LearnedScene(**{**values, **found})


def link(origin: str, target: str, typical_s: float, evidence: str) -> FoundLink:
    times_s = np.array([typical_s])
    return FoundLink(
        origin, "out", target, "in", times_s, 0.0, 200.0, typical_s, 1.0, 0.5, 0.0, 0.0, evidence, times_s
    )


def test_clocks_by_symmetry_rest_on_links_between_views_without_a_common_ground_plane() -> None:
    """12 s from c1 to c2 and 8 s back, if clock c2 is 2 s ahead; co-observed vehicles say nothing about it."""
    pair = (link("c1", "c2", 12.0, "timing"), link("c2", "c1", 8.0, "appearance"))
    beside = (link("c1", "c2", 100.0, "ground"), link("c2", "c1", 0.0, "ground"))
    assert learned(links=(*pair, *beside)).symmetric_offset_s == {("c1", "c2"): 2.0}
    assert learned(links=beside).symmetric_offset_s == {}
    assert "c1 is +2.0 s behind c2" in report(learned(links=pair))


def test_the_report_ends_with_what_is_not_determined() -> None:
    text = report(learned(notes=("c1: too few", "c2: too slow")))
    assert text.endswith("\n\nnot determined\n  c1: too few\n  c2: too slow\n")
    assert "not determined" not in report(learned())


def test_the_report_says_that_there_are_no_links() -> None:
    none = "none: too few vehicles go between the zones of two cameras"
    assert none in report(learned())
    assert none not in report(learned(links=(link("c1", "c2", 12.0, "timing"),)))


def test_notes_of_calibrations_and_clocks() -> None:
    limited = GroundScale(SIZE, 100.0, 5.0, 0.65, 0.1, 100, ("focal", "camera_height_m"))
    assert _scale_notes({"c1": limited, "c2": SCALE}, ["c1", "c2", "c3"]) == [
        "c3: too few whole boxes of moving vehicles for a calibration",
        "c1: its boxes do not determine the focal length and camera height, so distances are unknown",
    ]

    scene = learned().scene
    fits = tuple(ClockFit(camera, "c1", 0.0, 0.1, 0.0, 0.1, 0.0, 9) for camera in ("c1", "c2"))
    assert _clock_notes(scene, LearnedClocks(fits)) == []
    assert _clock_notes(scene, LearnedClocks(fits[:1])) == [
        "clocks of c2: not determined, as their views share no ground with another"
    ]
    assert _clock_notes(Scene("town", Path(), scene.cameras[:1]), LearnedClocks()) == []


def test_plots_are_named_by_camera_and_ground_plane(tmp_path: Path) -> None:
    files = draw_plots(learned((driven("c1", np.linspace(200, 400, 8)),)), tmp_path, {})
    assert [file.name for file in files] == ["c1.png", "c2.png", "ground_west.png"]
    assert all(file.exists() for file in files)


def test_a_trajectory_that_reaches_the_horizon_is_not_drawn_on_the_ground() -> None:
    near, beyond = driven("c1", np.linspace(200, 400, 8)), driven("c1", np.array([400.0, 300, 200, 100, 150]))
    scene = learned((near, beyond))
    [line] = plots._ground_lines(scene, scene.scene.cameras[0])
    assert line[0, 1] == pytest.approx(0.65 * 640 * 5.0 / (200 - 100))  # f h / (y − horizon)


@pytest.mark.parametrize(("frame", "line", "below"), [(None, 120, 42), (0, 235, 0.4 * 42)])
def test_trajectories_are_light_over_a_picture_and_gray_without_one(
    frame: int | None, line: float, below: float
) -> None:
    """45 % of the line's color over what is below it: a background of 42, or 40 % of it in a black picture."""
    picture = None if frame is None else np.full((SIZE[1], SIZE[0], 3), frame, np.uint8)
    plot = draw_camera(learned((driven("c1", np.full(8, 300.0)),)), "c1", picture)
    assert plot.min() == pytest.approx(below, abs=1)
    # Smooth edges take up to a tenth from a line of one pixel.
    assert float(plot.max()) - float(plot.min()) == pytest.approx(0.45 * (line - below), rel=0.12)


def test_a_plot_has_the_picture_in_the_middle_of_what_was_tracked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    asked: list[list[int]] = []

    def read(*_: object, wanted: list[int]) -> Any:
        asked.append(wanted)
        return iter([SimpleNamespace(image=picture, index=20)])

    monkeypatch.setattr(plots, "read_frames", read)
    video = tmp_path / "c1.mp4"
    seen = learned((driven("c1", np.full(5, 300.0)),), video)
    assert plots._frame_of(seen, seen.scene.cameras[0], None) is None
    video.touch()
    found = plots._frame_of(seen, seen.scene.cameras[0], None)
    assert found is not None
    assert found[0, 0].tolist() == [2, 1, 0]  # RGB → BGR
    assert asked == [[20]]


def test_labels_of_one_place_do_not_overlap() -> None:
    """Every pixel of the image belongs to one label at most, and all labels lie in the image."""
    centers = [np.array(at) for at in [(50, 60), (52, 62), (50, 60), (2, 1), (99, 119), (98, 118)]]
    places = label_places([(40, 10)] * len(centers), centers, (100, 120))
    covered = np.zeros((120, 100), int)
    for left, top, right, bottom in places:
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1
    assert covered.sum() == len(centers) * 48 * 18  # a margin of 4 pixels around each text
    assert places[0] == (26, 51, 74, 69)
    assert abs(places[1][1] - 51) == 18


def test_labels_overlap_where_the_image_has_no_room() -> None:
    places = label_places([(40, 10)] * 3, [np.array([50, 10])] * 3, (100, 20))
    assert places == [(26, 1, 74, 19)] * 3
