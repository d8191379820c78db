"""Tracklets to passages, on videos painted by hand with an embedder that reads the mean color."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.embed import EmbedConfig, embed_tracklets, load_embedder, with_appearance
from mtmc.embed.pooling import pool, unit_rows
from mtmc.errors import ConfigError, MtmcError, VideoError, WeightsError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Zone
from mtmc.types import Detections, Frame, Tracklet
from tests.builders import tracklet as straight

CAMERA = Camera("c1", 1, Clock(10.0), size_wh=(200, 100))
COLORS = {1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 128, 255)}


class MeanColor:
    """The mean of each channel, and a record of how it was called."""

    name, size_hw, interpolation, dim, match_similarity = "mean color", (8, 8), "linear", 3, None

    def __init__(self):
        self.calls = []

    def __call__(self, images):
        self.calls.append(len(images))
        return images.astype(np.float32).mean(axis=(1, 2))


def tracklet(track_id, frames, left, appearance=None, score=None):
    """A box of 30 × 20 px that moves 2 px to the right per frame."""
    frames = np.asarray(frames, np.int64)
    x = left + 2.0 * frames
    xyxy = np.stack([x, np.full(len(x), 8.0 + 22 * track_id), x + 30, np.full(len(x), 28.0 + 22 * track_id)], axis=1)
    return Tracklet(
        camera_id="c1",
        track_id=track_id,
        frame=frames,
        time_s=frames / 10,
        xyxy=xyxy.astype(np.float32),
        score=np.ones(len(x), np.float32) if score is None else np.asarray(score, np.float32),
        class_id=0,
        appearance=np.zeros((len(x), 0), np.float32) if appearance is None else np.asarray(appearance, np.float32),
    )


def video(tracklets, length=60, asked=None):
    """A camera's frames: each vehicle a rectangle of its color on black."""

    def frames(wanted):
        for index in range(length):
            if index not in wanted:
                continue
            if asked is not None:
                asked.append(index)
            image = np.zeros((100, 200, 3), np.uint8)
            for t in tracklets:
                for x1, y1, x2, y2 in t.xyxy[t.frame == index].astype(int):
                    image[max(y1, 0) : y2, max(x1, 0) : x2] = COLORS[t.track_id]
            yield Frame("c1", index, index / 10, image)

    return frames


def unit(rgb):
    return np.array(rgb) / np.linalg.norm(rgb)


def test_every_tracklet_gets_its_own_color_in_one_pass_and_few_batches():
    tracklets = [tracklet(1, range(5, 45), 10), tracklet(2, range(30), 20), tracklet(3, [50], 5)]
    asked, embedder, steps = [], MeanColor(), []
    described = embed_tracklets(
        tracklets,
        CAMERA,
        EmbedConfig(crops_per_tracklet=4, batch=5),
        embedder,
        video(tracklets, asked=asked),
        lambda done, total: steps.append((done, total)),
    )
    for t, passage in zip(tracklets, described.passages, strict=True):
        assert passage.tracklet is t
        np.testing.assert_allclose(passage.embedding, unit(COLORS[t.track_id]), atol=1e-3)
        picture = described.thumbnails[t.track_id]
        assert picture.shape == (20, 30, 3)
        np.testing.assert_array_equal(picture[10, 15], COLORS[t.track_id])
    assert asked == sorted(set(asked))
    assert len(asked) <= 2 * 9
    assert steps[-1] == (len(asked), len(asked))
    assert sum(embedder.calls) == 4 + 4 + 1
    assert max(embedder.calls) <= 5 + 2


def test_the_sharper_of_two_candidates_is_taken():
    one = tracklet(1, [0, 1], 40)

    def frames(wanted):
        for index in (0, 1):
            image = np.full((100, 200, 3), (90, 90, 0), np.uint8)
            if index == 1:
                image[::2] = (0, 0, 180)  # stripes: detail, and another color
            yield Frame("c1", index, index / 10, image)

    [passage] = embed_tracklets([one], CAMERA, EmbedConfig(crops_per_tracklet=1), MeanColor(), frames).passages
    assert passage.embedding[2] > 0.5


def test_without_video_or_embedder_embeddings_are_of_size_0():
    tracklets = [tracklet(1, range(10), 10)]
    for embedder, frames in ((MeanColor(), None), (None, None), (None, video(tracklets))):
        described = embed_tracklets(tracklets, CAMERA, EmbedConfig(), embedder, frames)
        assert described.passages[0].embedding.shape == (0,)
        assert set(described.thumbnails) == (set() if frames is None else {1})
    assert embed_tracklets([], CAMERA, EmbedConfig(), MeanColor(), video([])).passages == ()


def test_vectors_that_tracking_brought_along_are_used_again():
    carried = [tracklet(1, range(10), 10, appearance=np.tile([3.0, 4.0], (10, 1)))]
    embedder = MeanColor()
    config = EmbedConfig(per_detection=True)
    for frames in (None, video(carried)):
        [passage] = embed_tracklets(carried, CAMERA, config, embedder, frames).passages
        np.testing.assert_allclose(passage.embedding, [0.6, 0.8], atol=1e-6)
    assert embedder.calls == []


def test_zones_and_ground():
    zones = (
        Zone("west", np.array([[0, 0], [30, 0], [30, 100], [0, 100.0]])),
        Zone("east", np.array([[90, 0], [200, 0], [200, 100], [90, 100.0]])),
    )
    half = np.diag([0.5, 0.5, 1.0])
    camera = Camera("c1", 1, Clock(10.0), size_wh=(200, 100), zones=zones, ground_from_image=half)
    whole, short = tracklet(1, range(40), 10), tracklet(2, range(10, 15), 20)
    passages = embed_tracklets([whole, short], camera, EmbedConfig(), None, None).passages
    assert (passages[0].entry, passages[0].exit) == ("west", "east")
    assert (passages[1].entry, passages[1].exit) == ("", "")
    np.testing.assert_allclose(passages[0].ground_m[0], [(10 + 15) / 2, 50 / 2])
    [passage] = embed_tracklets([whole], CAMERA, EmbedConfig(), None, None).passages
    assert np.isnan(passage.ground_m).all()


def test_a_video_that_ends_before_a_tracklet_is_an_error_but_not_one_that_cuts_it():
    tracklets = [tracklet(1, range(40), 10), tracklet(2, range(50, 55), 10)]
    cut = embed_tracklets(tracklets[:1], CAMERA, EmbedConfig(), MeanColor(), video(tracklets, length=20))
    np.testing.assert_allclose(cut.passages[0].embedding, [1, 0, 0], atol=1e-3)
    with pytest.raises(VideoError, match="camera c1: expected to see tracklet 2 in frames 50 to 54"):
        embed_tracklets(tracklets, CAMERA, EmbedConfig(), MeanColor(), video(tracklets, length=20))


@pytest.mark.parametrize(("value", "got"), [(np.nan, "NaN or infinity"), (0.0, "zero vectors")])
def test_nonsense_names_the_weights(value, got):
    class Broken(MeanColor):
        name = "broken.onnx"

        def __call__(self, images):
            return np.full((len(images), 3), value, np.float32)

    tracklets = [tracklet(1, range(10), 10)]
    with pytest.raises(WeightsError, match=f"from broken.onnx, got {got}"):
        embed_tracklets(tracklets, CAMERA, EmbedConfig(), Broken(), video(tracklets))


def test_mirror_images_are_averaged():
    class LeftHalf(MeanColor):
        def __call__(self, images):
            return super().__call__(images[:, :, :4])

    def frames(wanted):
        image = np.zeros((100, 200, 3), np.uint8)
        image[:, :25], image[:, 25:] = (200, 0, 0), (0, 0, 200)
        yield Frame("c1", 0, 0.0, image)

    one = tracklet(1, [0], 10)
    [plain] = embed_tracklets([one], CAMERA, EmbedConfig(), LeftHalf(), frames).passages
    [both] = embed_tracklets([one], CAMERA, EmbedConfig(flip=True), LeftHalf(), frames).passages
    np.testing.assert_allclose(plain.embedding, [1, 0, 0], atol=0.1)
    np.testing.assert_allclose(both.embedding, unit([1, 0, 1]), atol=0.1)


def test_pool_is_the_weighted_mean_direction():
    vectors = unit_rows(np.array([[1.0, 0], [0, 2.0], [3.0, 3.0]]), "x")
    quality = np.array([0.9, 0.1, 0.5])
    weights = np.exp(2 * quality)
    expected = unit((weights[:, None] * vectors).sum(axis=0))
    np.testing.assert_allclose(pool(vectors, quality, 2.0, "x"), expected, atol=1e-6)
    np.testing.assert_allclose(pool(vectors, quality, 0.0, "x"), unit([1, 1]), atol=1e-6)
    with pytest.raises(WeightsError, match="zero vectors"):
        pool(np.array([[1.0, 0], [-1, 0]]), np.ones(2), 1.0, "x")


# --- loading, and vectors before tracking


def test_what_a_configuration_names():
    assert load_embedder(EmbedConfig(weights="none")) is None
    color = load_embedder(EmbedConfig(weights="color_histogram"))
    assert color.name == "color_histogram"
    assert 0 < color.match_similarity < 1
    with pytest.raises(WeightsError, match="no such"):
        load_embedder(EmbedConfig(weights="nowhere.onnx"))


def test_published_weights_open_by_name(shared):
    embedder = load_embedder(EmbedConfig(weights=str(shared("data/weights/osnet_x0_25_msmt17.onnx"))))
    assert (embedder.size_hw, embedder.dim) == ((256, 128), 512)
    with pytest.raises(MtmcError):
        load_embedder(EmbedConfig(weights=str(shared("data/weights/nanodet_m.onnx"))))


def test_detections_come_described():
    tracklets = [tracklet(1, range(10), 10), tracklet(2, range(10), 20)]

    class Boxes:
        """As many of the boxes as the frame's index."""

        stateful = True

        def __call__(self, frames):
            boxes = [np.array([t.xyxy[f.index] for t in tracklets[: f.index]]) for f in frames]
            return [Detections.of(xyxy, np.full(len(xyxy), 0.5)) for xyxy in boxes]

    frames = list(video(tracklets)(range(3)))
    embedder = MeanColor()
    detector = with_appearance(Boxes(), embedder, EmbedConfig(batch=1))
    assert detector.stateful
    none, one, two = detector(frames)
    assert none.appearance.shape == (0, 3)
    np.testing.assert_allclose(one.appearance, [unit(COLORS[1])], atol=1e-6)
    np.testing.assert_allclose(two.appearance, [unit(COLORS[1]), unit(COLORS[2])], atol=1e-6)
    assert embedder.calls == [1, 1, 1]
    with pytest.raises(ConfigError, match=r"embed\.per_detection"):
        with_appearance(Boxes(), None, EmbedConfig())


def test_zones_of_one_place_are_told_apart_by_their_role() -> None:
    corners = np.array([[0.0, 0], [400, 0], [400, 400], [0, 400]])
    way = straight(start=(50, 50), step=(5, 0), length=20)
    for order in (("in", "out"), ("out", "in")):
        camera = Camera("c001", 1, Clock(10), zones=tuple(Zone(role, corners, role) for role in order))  # type: ignore[arg-type]
        [passage] = embed_tracklets([way], camera, EmbedConfig(), None, None).passages
        assert (passage.entry, passage.exit) == ("in", "out")


@pytest.mark.parametrize(
    ("gap_px", "role", "found"),
    [(30, "both", "edge"), (45, "in", "edge"), (60, "both", ""), (30, "out", "")],
    ids=["passed between two frames", "almost a second", "more than a second", "the other role"],
)
def test_the_path_is_continued_for_a_second_where_no_observation_is_in_a_zone(
    gap_px: float, role: str, found: str
) -> None:
    """50 px a second along x; the zone ends this far before the first bottom center, and begins 20 px before that."""
    way = straight(start=(200, 50), step=(5, 0), length=20)
    first_x = float(way.xyxy[0, [0, 2]].mean())
    last_x = float(way.xyxy[-1, [0, 2]].mean())
    for end_px, side, mirrored in (
        (first_x - gap_px, -1, role),
        (last_x + gap_px, 1, {"in": "out", "out": "in"}.get(role, role)),
    ):
        corners = np.array([[end_px, 0.0], [end_px + 20 * side, 0], [end_px + 20 * side, 400], [end_px, 400]])
        camera = Camera("c001", 1, Clock(10), zones=(Zone("edge", corners, mirrored),))  # type: ignore[arg-type]
        [passage] = embed_tracklets([way], camera, EmbedConfig(), None, None).passages
        assert (passage.entry if side < 0 else passage.exit) == found
        assert (passage.exit if side < 0 else passage.entry) == ""


def test_an_observed_zone_counts_before_a_continued_path_and_one_observation_is_not_continued() -> None:
    way = straight(start=(200, 50), step=(5, 0), length=20)
    first_x = float(way.xyxy[0, [0, 2]].mean())
    zones = tuple(
        Zone(name, np.array([[x, 0.0], [x + 10, 0], [x + 10, 400], [x, 400]]))
        for name, x in (("before", first_x - 20), ("seen", first_x + 10))
    )
    camera = Camera("c001", 1, Clock(10), zones=zones)
    [both] = embed_tracklets([way], camera, EmbedConfig(), None, None).passages
    [single] = embed_tracklets([way[:1]], camera, EmbedConfig(), None, None).passages
    assert (both.entry, single.entry, single.exit) == ("seen", "", "")
