"""The page says what the tracks say, is sound HTML, stands alone, and never trusts a name."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.render.config import RenderConfig
from mtmc.render.report import write_report
from mtmc.render.style import hex_color, vehicle_color
from tests.mtmc.render.builders import camera, passage, scene, track

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags close in order; collects text, elements and addresses."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]

    def rows(self) -> list[list[str]]:
        cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", self.source)]
        return [[re.sub("<[^>]+>", "", cell) for cell in row] for row in cells]


ONE, TWO = camera(1, frame_count=100), camera(2, start_s=5, frame_count=80)


def tracks():
    return [
        track(1, passage(ONE, 11, 0, 20), passage(TWO, 21, 10, 30)),
        track(2, passage(ONE, 12, 30, 10, class_id=5)),
        track(3, passage(ONE, 13, 50, 10), passage(ONE, 14, 70, 10), passage(TWO, 22, 40, 30, class_id=4)),
    ]


def write(path, **options) -> Page:
    defaults = {"scene": scene(ONE, TWO), "tracks": tracks(), "thumbnails": {}}
    write_report(path / "report.html", **{**defaults, **options})
    return Page(path / "report.html")


def test_totals_and_cameras(tmp_path):
    page = write(tmp_path)
    assert "3 vehicles 2 seen by several cameras 6 passages" in page.text.replace("  ", " ")
    assert "0:13.0 of scene time" in page.text
    assert page.rows()[1:] == [
        ["c001", "0:00.0", "0:10.0", "100", "4", "3", "2", "1 bus, 1 car, 1 truck"],
        ["c002", "0:05.0", "0:08.0", "80", "2", "2", "2", "1 car, 1 truck"],
    ]


def test_ways_with_times_and_pictures(tmp_path):
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = 200
    page = write(tmp_path, thumbnails={("c001", 11): red, ("c001", 13): np.stack([red, red]), ("c002", 22): red})
    assert [a["style"] for a in page.all("article")] == [f"--own: {hex_color(vehicle_color(i))}" for i in (1, 3)]
    assert "c001 0:00.0 – 0:01.9 c002 0:06.0 – 0:08.9" in page.text
    assert "c001 0:05.0 – 0:05.9, 0:07.0 – 0:07.9 c002 0:09.0 – 0:11.9" in page.text
    pictures = page.all("img")
    assert [p["alt"] for p in pictures] == ["vehicle 1 in c001", *["vehicle 3 in c001"] * 2, "vehicle 3 in c002"]
    data = base64.b64decode(pictures[0]["src"].removeprefix("data:image/jpeg;base64,"))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (40, 60, 3)
    assert picture[20, 30] == pytest.approx([0, 0, 200], abs=6)  # cv2 reads BGR


def test_large_crops_are_made_smaller(tmp_path):
    page = write(tmp_path, thumbnails={("c001", 11): np.zeros((400, 200, 3), np.uint8)})
    data = base64.b64decode(page.all("img")[0]["src"].removeprefix("data:image/jpeg;base64,"))
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (128, 64, 3)


def test_timeline_has_a_bar_per_passage(tmp_path):
    page = write(tmp_path)
    bars = page.all("rect")
    painted = [b["fill"] for b in bars if "fill" in b]
    assert sorted(painted) == sorted([hex_color(vehicle_color(1))] * 2 + [hex_color(vehicle_color(3))] * 3)
    assert len(page.all("rect", **{"class": "alone"})) == 1
    recorded = page.all("rect", **{"class": "recorded"})
    assert float(recorded[1]["x"]) - float(recorded[0]["x"]) == pytest.approx(5 / 13 * (1080 - 84 - 20), abs=0.2)
    assert "vehicle 2 (bus), c001, 0:03.0 to 0:03.9" in page.text


def test_names_of_cameras_fit_beside_the_timeline(tmp_path):
    """Names with the same beginning stay distinct, and none reaches the bars: a letter is at most 7.7 wide."""
    names = ["625_201707211410", "625_201709042122", "crossroads at the old station, north"]
    cameras = [replace(camera(n), id=name, frame_count=50) for n, name in enumerate(names, start=1)]
    page = write(tmp_path, scene=scene(*cameras), tracks=[track(1, passage(cameras[0], 1, 0, 5))])
    shown = re.findall(r'<text class="camera"[^>]*>(.*?)</text>', page.source)
    assert shown == ["625_201707211410", "625_201709042122", "crossroads a…tion, north"]
    bars = [float(bar["x"]) for bar in page.all("rect")]
    assert min(bars) > 7.7 * max(map(len, shown))


def test_bars_at_the_same_time_lie_in_lanes(tmp_path):
    crowd = [track(i, passage(ONE, i, 0, 10)) for i in range(1, 5)] + [track(9, passage(ONE, 9, 50, 5))]
    page = write(tmp_path, tracks=crowd)
    heights = [float(b["y"]) for b in page.all("rect") if "fill" in b]
    assert len(set(heights[:4])) == 4
    assert heights[4] == heights[0]


def test_scores_are_printed_in_per_cent(tmp_path):
    rows = [{"Camera": "all", "IDF1": 0.66534, "IDTP": 1234}, {"Camera": "c001", "IDF1": 1.0, "IDTP": 7}]
    page = write(tmp_path, scores=rows)
    assert page.rows()[:3] == [["Camera", "IDF1", "IDTP"], ["all", "66.5", "1234"], ["c001", "100.0", "7"]]
    with pytest.raises(ValueError, match="expected score rows with the same columns"):
        write(tmp_path, scores=[{"a": 1}, {"b": 1}])


def test_videos_are_linked_relatively(tmp_path):
    page = write(tmp_path, videos={"c002": "videos/c 2.mp4", "All cameras": "mosaic.mp4"})
    assert [v["src"] for v in page.all("video")] == ["mosaic.mp4#t=5", "videos/c%202.mp4"]
    for path in ("/tmp/c.mp4", r"C:\c.mp4"):
        with pytest.raises(ValueError, match="expected a path relative to the page"):
            write(tmp_path, videos={"c001": path})


@pytest.mark.parametrize(
    ("recordings", "opens"),
    [
        (((0, 100), (5, 80), (2.5, 100)), "5"),
        (((20, 100), (22.5, 100)), "2.5"),  # seconds of the video, not of the scene
        (((0, 100), (60, 100), (65, 100)), "65"),  # the first is over when the others record
        (((0, 100), (10, 100), (20, 100)), "0"),  # one after the other
    ],
)
def test_the_video_of_all_cameras_opens_where_the_most_record(tmp_path, recordings, opens):
    """Ten frames are a second."""
    cameras = [camera(n, start_s=start, frame_count=count) for n, (start, count) in enumerate(recordings, start=1)]
    page = write(tmp_path, scene=scene(*cameras), tracks=[], videos={"All cameras": "mosaic.mp4"})
    assert [v["src"] for v in page.all("video")] == [f"mosaic.mp4#t={opens}"]


def test_names_are_escaped(tmp_path):
    evil = "<script>alert('&')</script>"
    cam = camera(1)
    cam = type(cam)(id=evil, number=1, clock=cam.clock)
    page = write(
        tmp_path,
        scene=scene(cam, TWO, name=evil),
        tracks=[track(1, passage(cam, 1, 0, 5), passage(TWO, 1, 0, 5))],
        notes=[evil],
        scores=[{evil: evil}],
        videos={evil: "a.mp4", "c002": 'x" onload="y.mp4'},
        thumbnails={(evil, 1): np.zeros((9, 9, 3), np.uint8)},
    )
    assert page.all("script") == []
    assert evil in page.text
    assert not any("onload" in a for _, a in page.elements)


def test_the_page_stands_alone_and_tells_no_paths(tmp_path):
    page = write(tmp_path, videos={"c001": "c001.mp4"}, thumbnails={("c001", 11): np.zeros((9, 9, 3), np.uint8)})
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert not re.match(r"(https?:)?//|/", attributes.get(name, ""))
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert "/somewhere/private" not in page.source
    assert str(tmp_path) not in page.source


def test_same_bytes_whatever_the_order_of_tracks(tmp_path):
    first = write(tmp_path).source
    assert write(tmp_path, tracks=tracks()[::-1]).source == first


def test_many_vehicles_are_capped_and_counted(tmp_path):
    many = [track(i, passage(ONE, i, i, 5), passage(TWO, i, i, 5)) for i in range(1, 41)]
    page = write(tmp_path, tracks=many, config=RenderConfig(report_vehicles=25))
    assert len(page.all("article")) == 25
    assert "15 more are not shown" in page.text


def test_nothing_to_show(tmp_path):
    page = write(tmp_path, tracks=[])
    assert "0 vehicles" in page.text
    assert "No vehicle was seen by more than one camera." in page.text
    assert page.all("svg") == page.all("video") == page.all("img") == []


def test_one_camera_without_frame_count(tmp_path):
    alone = camera(1)
    page = write(tmp_path, scene=scene(alone), tracks=[track(1, passage(alone, 1, 0, 50))])
    assert "Vehicles of one camera" in page.text
    assert "1 vehicle " in page.text
    assert "several cameras" not in page.text
    assert page.rows()[1] == ["c001", "0:00.0", "0:05.0", "–", "1", "1", "1 car"]


def test_vehicles_of_single_cameras_are_shown_where_none_was_seen_by_several(tmp_path):
    crowd = [track(i, passage(ONE, i, i, 5, class_id=1 + i % 2)) for i in range(1, 8)]
    picture = np.zeros((9, 9, 3), np.uint8)
    page = write(tmp_path, tracks=crowd, thumbnails={("c001", 3): picture}, config=RenderConfig(report_vehicles=5))
    assert [image["alt"] for image in page.all("img")] == ["vehicle 3"]
    assert "The first 5 vehicles; 2 more are not shown." in page.text
    assert len([bar for bar in page.all("rect") if bar.get("fill") == hex_color(vehicle_color(2))]) == 1
    shared = [track(9, passage(ONE, 9, 0, 5), passage(TWO, 9, 0, 5))]
    assert "more are not shown" not in write(tmp_path, tracks=crowd + shared).text


def test_the_page_says_what_it_was_made_with(tmp_path):
    page = write(tmp_path, made_with={"detector": "yolo11s.pt", "embedder": "color <b>"})
    assert "detector: yolo11s.pt · embedder: color <b>" in page.text
    assert "detector" not in write(tmp_path).text
