"""A scene written as scene.yaml and loaded again is the same scene."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import project
from mtmc.scene import Camera, GroundMap, Link, PlaneAlignment, PlaneOrigin, Scene, Zone, load_scenes, write_scene
from mtmc.scene.sceneyaml import restore
from mtmc.scene.write import content_of


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    home = tmp_path / "town"
    for name in ("a/det.txt", "a/roi.png", "b/mtsc.txt", "b/gt.txt", "weights/d.onnx"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"")
    rng = np.random.default_rng(0)
    first = Camera(
        id="a",
        number=7,
        clock=Clock(9.33, 0.0, ((0, 0.1), (99, 10.0), (100, 1 / 3 + 12))),
        size_wh=(960, 540),
        frame_count=600,
        detections=(home / "a/det.txt",),
        roi=home / "a/roi.png",
        ground_from_image=rng.normal(size=(3, 3)),
        ground_plane="north",
        zones=(Zone("west in", rng.random((5, 2)) * 500, "in"), Zone("ost", rng.random((3, 2)) * 500)),
        box_scale=(1.05, 1.2),
    )
    second = Camera(
        "b",
        9,
        Clock(10.0, -1.64),
        tracklets=(home / "b/mtsc.txt",),
        ground_truth=home / "b/gt.txt",
        ground_from_image=np.eye(3),
    )
    links = (Link("a", "west in", "b", "", -1.5, 8.25, 2.5, 0.3, 0.75, 420.5), Link("b", "", "a", "ost", 0.0, 3.0))
    overrides = {"detect": {"weights": str((home / "weights/d.onnx").resolve())}, "threads": 3}
    return Scene(
        "town",
        home,
        (first, second),
        links,
        overrides,
        (PlaneAlignment("north", "", -33.4, (80.5, -12.0)),),
        datetime(2026, 5, 12, 7, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2))),
        (PlaneOrigin("north", 48.1 + 1e-13, -11.5, 350.25), PlaneOrigin("", -48.1, 11.5)),
        (GroundMap("north", home / "a/roi.png", 0.1 + 0.2, (1 / 3, 480.0), -12.5),),
    )


#: Compared in another form, and what a written file states of clocks that were not stated before.
_COMPARED_APART = {"zones", "ground_from_image", "clock_is_stated"}


def same(a: Scene, b: Scene) -> None:
    def plain(scene: Scene) -> str:
        cameras = [
            {
                **{name: getattr(c, name) for name in Camera.__slots__ if name not in _COMPARED_APART},
                "zones": [(z.name, z.role, z.polygon.tolist()) for z in c.zones],
                "ground": None if c.ground_from_image is None else c.ground_from_image.tolist(),
            }
            for c in scene.cameras
        ]
        return json.dumps(
            [
                scene.name,
                cameras,
                [repr(x) for x in (*scene.links, *scene.plane_alignments, *scene.origins)],
                [repr(replace(m, image=m.image.resolve())) for m in scene.maps],
                scene.overrides,
                scene.start_utc,
            ],
            default=str,
        )

    def resolved(scene: Scene) -> Scene:
        def full(c: Camera) -> Camera:
            one = {k: p and p.resolve() for k in ("video", "roi", "ground_truth") for p in [getattr(c, k)]}
            many = {k: tuple(p.resolve() for p in getattr(c, k)) for k in ("detections", "tracklets")}
            return replace(c, **one, **many)

        return replace(scene, cameras=tuple(full(c) for c in scene.cameras))

    assert plain(resolved(a)) == plain(resolved(b))


@pytest.mark.parametrize("where", ["town/scene.yaml", "learned/deep/scene.yaml"])
def test_round_trip(scene: Scene, tmp_path: Path, where: str) -> None:
    write_scene(scene, tmp_path / where, heading="learned\nfrom tracklets")
    text = (tmp_path / where).read_text()
    assert text.startswith("# learned\n# from tracklets\nname: town\n")
    assert str(tmp_path) not in text
    [again] = load_scenes(tmp_path / where)
    same(scene, again)


def test_restored_without_files(scene: Scene, tmp_path: Path) -> None:
    content = json.loads(json.dumps(content_of(scene, scene.root)))
    same(scene, restore(content, scene.root))
    content["overrides"] = {}
    gone = restore(content, tmp_path / "gone")
    assert gone.camera("a").detections == (tmp_path / "gone" / "a/det.txt",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "links: [{from: [a, ''], to: [b, ''], min_s: 0, max_s: 2, typical_s: 3}]",
            "typical_s within .0.0, 2.0., got 3",
        ),
        ("links: [{from: [a, ''], to: [b, ''], min_s: 0, max_s: 2, share: 1.5}]", "share: input should be less than"),
        ("cameras: [{id: a, box_scale: [1, 0]}]", "box_scale.*greater than 0"),
        ("start_utc: 2026-05-12", r"start_utc: expected a date and time with a time zone.*, got 2026-05-12;"),
        (
            "start_utc: noon",
            r"scene.yaml:1: start_utc: expected a date and time with a time zone, such as 2026-05-12T",
        ),
        ("start_utc: '1700000000'", "start_utc: expected a date and time"),
        ("start_utc: 1.7e+9", "start_utc: expected a date and time"),
        ("start_utc: true", "start_utc: expected a date and time"),
        ("start_utc: 9999-12-31T23:59:59Z", "start_utc: expected a date and time"),
        ("start_utc: 0020-05-12T07:00:00Z", "start_utc: expected a date and time"),
        ("cameras: [{id: a, start_utc: 1700000000}]", r"cameras\.0\.start_utc: expected a date and time with a time"),
        (
            "cameras: [{id: a, detections: [a_det.txt], start_s: 1, start_utc: 2026-05-12T07:00:00Z}]",
            r"scene\.yaml:1: start_utc: expected start_s or start_utc, got both; remove one of them",
        ),
        ("origins: [{latitude_deg: 91, longitude_deg: 0}]", "latitude_deg: input should be less than or equal to 90"),
        ("origins: [{latitude_deg: 1, longitude_deg: .nan}]", "longitude_deg: input should be"),
        ("maps: [{image: a.png, m_per_px: 0}]", "maps.0.m_per_px: input should be greater than 0"),
        ("origins: [{latitude_deg: 1}]", "origins.0.longitude_deg"),
        (
            "origins: [{latitude_deg: 1, longitude_deg: 2}]",
            r"scene\.yaml:1: an origin names ground plane '', which no camera has; the planes .* are none",
        ),
        ("cameras: [{id: a, start_s: .inf}]", "cameras.0.start_s: input should be a finite number, got inf"),
        (
            "plane_alignments: [{plane: b, reference_plane: '', turn_deg: 9, translation_m: [1, 2]}]",
            "unknown key plane_alignments.0.turn_deg; it is now called plane_alignments.0.rotation_deg",
        ),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, line: str, message: str) -> None:
    for name in "ab":
        (tmp_path / f"{name}_det.txt").write_text("")
    text = line
    if not line.startswith("cameras"):
        text += "\ncameras: [{id: a, detections: [a_det.txt]}, {id: b, detections: [b_det.txt]}]"
    (tmp_path / "scene.yaml").write_text(text)
    with pytest.raises(SceneError, match=message):
        load_scenes(tmp_path)


@pytest.mark.parametrize(
    "written", ["2026-05-12T09:00:00.25+02:00", "2026-05-12 07:00:00.25Z", "'2026-05-12T07:00:00.25Z'"]
)
def test_the_date_of_the_scene_clock(tmp_path: Path, written: str) -> None:
    (tmp_path / "a_det.txt").write_text("")
    (tmp_path / "scene.yaml").write_text(f"start_utc: {written}\ncameras: [{{id: a, detections: [a_det.txt]}}]\n")
    [scene] = load_scenes(tmp_path)
    assert scene.start_utc == datetime(2026, 5, 12, 7, 0, 0, 250_000, tzinfo=timezone.utc)


def test_cameras_may_state_date_and_time(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}_det.txt").write_text("")
    knots = "time_map: [[0, 3.0], [50, 9.0]]"
    cameras = [
        "{id: a, detections: [a_det.txt], start_utc: 2026-05-12T07:00:02.5Z}",
        f"{{id: b, detections: [b_det.txt], start_utc: 2026-05-12T09:00:01+02:00, {knots}}}",
        "{id: c, detections: [c_det.txt]}",
    ]
    entries = f"cameras: [{', '.join(cameras)}]\n"
    for given, a, b in (("", 1.5, 0.0), ("start_utc: 2026-05-12T07:01:00Z\n", -57.5, -59.0)):
        (tmp_path / "scene.yaml").write_text(given + entries)
        [scene] = load_scenes(tmp_path)
        assert [camera.clock.start_s for camera in scene.cameras] == [a, 0.0, 0.0]
        assert scene.camera("b").clock.time_map == ((0, b), (50, b + 6.0))
        assert [camera.clock_is_stated for camera in scene.cameras] == [True, True, False]
        second = 1 if not given else 60
        assert scene.start_utc == datetime(2026, 5, 12, 7, 0, tzinfo=timezone.utc) + timedelta(seconds=second)
        write_scene(scene, tmp_path / "again" / "scene.yaml")
        [again] = load_scenes(tmp_path / "again")
        same(scene, again)


def test_origins_of_ground_planes(tmp_path: Path) -> None:
    (tmp_path / "a_det.txt").write_text("")
    camera = "{id: a, detections: [a_det.txt], ground_from_image: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}"
    origin = "{latitude_deg: 48, longitude_deg: 11, bearing_deg: 90}"
    (tmp_path / "scene.yaml").write_text(f"cameras: [{camera}]\norigins:\n  - {origin}\n")
    [scene] = load_scenes(tmp_path)
    found = scene.origin_of("")
    assert found == PlaneOrigin("", 48.0, 11.0, 90.0)
    assert scene.origin_of("other") is None
    latitude, longitude = found.gps_from_ground(np.array([0.0, 100.0]))  # the second axis points east
    assert latitude == pytest.approx(48.0, abs=1e-7)
    assert 11 < longitude < 11.01
    (tmp_path / "scene.yaml").write_text(f"cameras: [{camera}]\norigins:\n  - {origin}\n  - {origin}\n")
    with pytest.raises(SceneError, match=r"scene\.yaml:4: .*ground plane '' has two origins; give every plane one"):
        load_scenes(tmp_path)


def test_maps_of_the_ground(tmp_path: Path) -> None:
    (tmp_path / "a_det.txt").write_text("")
    text = "cameras: [{id: a, detections: [a_det.txt]}]\nmaps:\n  - {image: map.png, m_per_px: 0.5%s}\n"
    (tmp_path / "scene.yaml").write_text(text % "")
    with pytest.raises(SceneError, match=r"scene\.yaml:3: image: there is no file map\.png beside it"):
        load_scenes(tmp_path)
    (tmp_path / "map.png").write_bytes(b"")
    assert load_scenes(tmp_path)[0].maps == (GroundMap("", tmp_path / "map.png", 0.5),)
    (tmp_path / "scene.yaml").write_text(text % ", origin_px: [100, 40], rotation_deg: 90")
    [[found]] = [scene.maps for scene in load_scenes(tmp_path)]
    # The row to the right goes along the second axis, the column downwards along the first.
    ground = project(np.array([[100.0, 40.0], [110.0, 40.0], [100.0, 60.0]]), found.ground_from_map())
    assert ground == pytest.approx(np.array([[0.0, 0.0], [0.0, 5.0], [10.0, 0.0]]), abs=1e-9)


def test_plane_transforms_are_composed_along_chains() -> None:
    cameras = tuple(
        Camera(name, k, Clock(10.0), ground_from_image=np.eye(3), ground_plane=name)
        for k, name in enumerate("abc", 1)
    )
    chain = (PlaneAlignment("c", "b", 90.0, (10.0, 0.0)), PlaneAlignment("b", "a", 90.0, (0.0, 5.0)))
    transforms = Scene("town", Path(), cameras, plane_alignments=chain).plane_transforms()
    assert transforms["a"] == ("a", 1, 0)
    for name, expected in (("b", (-4 + 3j) + 5j), ("c", 1j * ((-4 + 3j) + 10) + 5j)):
        root, rotation, translation = transforms[name]
        assert root == "a"
        assert rotation * (3 + 4j) + translation == pytest.approx(expected)


@pytest.mark.parametrize(
    ("plane_alignments", "message"),
    [
        ("- {plane: b, reference_plane: a, rotation_deg: 0, translation_m: [0, 0]}\n"
         "  - {plane: b, reference_plane: '', rotation_deg: 0, translation_m: [0, 0]}",
         r"scene\.yaml:3: .*ground plane 'b' is aligned twice; align every plane at most once"),
        ("- {plane: b, reference_plane: a, rotation_deg: 0, translation_m: [0, 0]}\n"
         "  - {plane: a, reference_plane: b, rotation_deg: 0, translation_m: [0, 0]}",
         r"scene\.yaml:3: .*ground plane 'a' is aligned with itself in the end"),
        ("- {plane: b, reference_plane: z, rotation_deg: 0, translation_m: [0, 0]}",
         r"scene\.yaml:2: a plane alignment names ground plane 'z', which no camera has; .*are '', 'a', 'b'"),
    ],
)  # fmt: skip
def test_impossible_plane_alignments_are_refused(tmp_path: Path, plane_alignments: str, message: str) -> None:
    cameras = []
    for name, plane in (("a", "a"), ("b", "b"), ("c", "")):
        (tmp_path / f"{name}_det.txt").write_text("")
        cameras.append(
            f"{{id: {name}, detections: [{name}_det.txt], ground_from_image: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "
            f"ground_plane: '{plane}'}}"
        )
    (tmp_path / "scene.yaml").write_text(f"plane_alignments:\n  {plane_alignments}\ncameras: [{', '.join(cameras)}]")
    with pytest.raises(SceneError, match=message):
        load_scenes(tmp_path)
