"""Frames come in order, in the right colors, and whatever is wrong with a video is said in one sentence."""

from __future__ import annotations

import collections
import itertools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.video.read import VideoInfo, probe, read_frames
from mtmc.video.write import VideoWriter

CLOCK = Clock(fps=10, start_s=5)


def picture(index: int, wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A flat color that tells the frame number, and some texture so that files have a size."""
    rgb = np.full((wh[1], wh[0], 3), ((40 + 5 * index) % 256, 90, 200 - 3 * index), np.uint8)
    rgb[::7, ::5] = np.random.default_rng(index).integers(0, 256, 3)
    return rgb


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """The same 40 pictures as mp4, avi, ts and a folder of images."""
    folder = tmp_path_factory.mktemp("videos")
    for name, codec in (("v.mp4", "libx264"), ("v.ts", "libx264"), ("v.avi", "mpeg4")):
        encode(folder / name, [picture(i) for i in range(40)], codec)
    save_images(folder / "images", [picture(i) for i in range(40)], first=100, step=10)
    return folder


def encode(path: Path, pictures: list[np.ndarray], codec: str = "libx264") -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 10
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def save_images(folder: Path, pictures: list[np.ndarray], first: int = 0, step: int = 1) -> None:
    folder.mkdir()
    for i, image in enumerate(pictures):
        cv2.imwrite(str(folder / f"cam1_{first + i * step:06d}.png"), image[..., ::-1])


def read(path: Path, **options) -> list:
    return list(read_frames(path, "c001", CLOCK, **options))


def until_error(path: Path, **options) -> tuple[int, str]:
    """How many frames came before the error, and the error without the path."""
    indices = []
    with pytest.raises(VideoError) as caught:
        collections.deque((indices.append(f.index) for f in read_frames(path, "c001", CLOCK, **options)), maxlen=0)
    assert indices == list(range(len(indices)))
    assert str(caught.value).startswith(f"{path}: ")
    return len(indices), str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["v.mp4", "v.avi", "v.ts"])
def test_frames_equal_those_of_opencv(videos, name):
    capture = cv2.VideoCapture(str(videos / name))
    frames = read(videos / name)
    assert [f.index for f in frames] == list(range(40))
    for frame in frames:
        assert np.abs(frame.image.astype(int) - capture.read()[1][..., ::-1]).max() <= 2


def test_real_clips_equal_opencv(shared):
    for name in ("highway/highway.avi", "top_view/top_view_cars.mp4", "us101/cam1.mp4"):
        path = shared(f"data/clips/{name}")
        capture = cv2.VideoCapture(str(path))
        for frame in itertools.islice(read_frames(path, "c", CLOCK), 20):
            assert np.abs(frame.image.astype(int) - capture.read()[1][..., ::-1]).max() <= 2


def test_a_header_that_counts_one_frame_too_many_is_no_error(shared):
    path = shared("data/clips/highway/highway.avi")
    assert probe(path).frames == 1700
    indices = [f.index for f in read_frames(path, "c", CLOCK, wanted={0, 1698, 1699})]
    assert indices[:2] == [0, 1698]  # FFmpeg before 8 makes a picture of the last packet too


def test_times_come_from_the_clock(videos):
    assert [f.time_s for f in read(videos / "v.mp4")][:3] == pytest.approx([5.0, 5.1, 5.2])


@pytest.mark.parametrize("name", ["v.mp4", "v.avi", "images"])
def test_start_and_wanted_choose_frames_without_renumbering_them(videos, name):
    everything = read(videos / name)
    chosen = read(videos / name, start=7, wanted=range(0, 40, 3))
    assert [f.index for f in chosen] == [9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]
    assert all((f.image == everything[f.index].image).all() for f in chosen)


def test_threads_do_not_change_the_pictures(videos):
    one, two = read(videos / "v.mp4"), read(videos / "v.mp4", threads=2)
    assert all((a.image == b.image).all() for a, b in zip(one, two, strict=True))


def test_probe(videos):
    assert probe(videos / "v.mp4") == VideoInfo((64, 48), 10.0, 40)
    assert probe(videos / "v.ts") == VideoInfo((64, 48), 10.0, None)
    assert probe(videos / "images") == VideoInfo((64, 48), None, 40)


@pytest.mark.parametrize("wh", [(64, 48), (65, 48), (63, 47), (2, 2)])
def test_any_size(tmp_path, wh):
    save_images(tmp_path / "images", [picture(i, wh) for i in range(3)])
    assert probe(tmp_path / "images").size_wh == wh
    encode(tmp_path / "odd.avi", [picture(i, wh) for i in range(3)], "ffv1" if min(wh) < 16 else "mjpeg")
    frames = read(tmp_path / "odd.avi")
    assert [f.image.shape for f in frames] == [(wh[1], wh[0], 3)] * 3
    assert all(f.image.flags.c_contiguous for f in frames)


@pytest.mark.parametrize(("turn", "matrix"), [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))])
def test_turned_pictures_are_turned_back(tmp_path, videos, turn, matrix):
    path = tmp_path / "turned.mp4"
    data = bytearray((videos / "v.mp4").read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # a 3×3 matrix of fixed-point numbers ends the track header
    a, b, c, d = (n * 65536 for n in matrix)
    fields = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in fields)
    path.write_bytes(data)
    capture = cv2.VideoCapture(str(path))
    frames = read(path)
    assert probe(path).size_wh == ((48, 64) if turn % 2 else (64, 48))
    for frame, plain in zip(frames, read(videos / "v.mp4"), strict=True):
        assert (frame.image == capture.read()[1][..., ::-1]).all()
        assert (frame.image == np.rot90(plain.image, turn)).all()


# What can be wrong with a file.


def test_missing(tmp_path):
    assert until_error(tmp_path / "no.mp4") == (
        0,
        "expected a video or a folder of images, got nothing of that name; check the path of this camera's video in"
        " the scene",
    )
    with pytest.raises(VideoError, match="got nothing of that name"):
        probe(tmp_path / "no.mp4")


def test_empty(tmp_path):
    (tmp_path / "e.mp4").touch()
    message = "expected a video, got an empty file (0 bytes); copy or record the video again"
    assert until_error(tmp_path / "e.mp4") == (0, message)


def test_not_a_video_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    assert until_error(tmp_path / "notes.txt") == (
        0,
        "expected a video (.avi, .m4v, .mkv, .mov, .mp4, .ts, .webm) or a folder of images, got a file ending in"
        " .txt; rename it if it is a video, or convert it with ffmpeg",
    )


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "ts"])
def test_not_a_video_inside(tmp_path, suffix):
    path = tmp_path / f"noise.{suffix}"
    path.write_bytes(np.random.default_rng(3).bytes(9000))
    came, message = until_error(path)
    assert came == 0
    assert message.startswith("expected a video")


def test_no_video_stream(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    assert until_error(path) == (
        0,
        "expected a video, got a file without a picture that can be decoded; name the file that holds the camera's"
        " pictures",
    )


@pytest.mark.parametrize("name", ["v.mp4", "v.avi"])
def test_cut_in_half(tmp_path, videos, name):
    data = (videos / name).read_bytes()
    pictures = data.index(b"mdat" if name == "v.mp4" else b"movi")
    (tmp_path / name).write_bytes(data[: (pictures + len(data)) // 2])
    came, message = until_error(tmp_path / name)
    assert 0 < came < 35
    assert f"got {came} " in message


def test_cut_in_half_where_only_the_scene_knows_better(tmp_path, videos):
    data = (videos / "v.ts").read_bytes()
    (tmp_path / "v.ts").write_bytes(data[: len(data) // 2])
    came, message = until_error(tmp_path / "v.ts", expected=40)
    assert 10 < came < 35
    assert message == (
        f"expected 40 frames, got {came}; copy the video again, or give the camera's frame count as {came} if that"
        " is all there is"
    )
    assert len(read(tmp_path / "v.ts", expected=came)) == came


def test_index_lost(tmp_path, videos):
    """An interrupted recording has no index, and mp4 is nothing without it."""
    encode(tmp_path / "whole.mov", [picture(i) for i in range(40)])
    data = (tmp_path / "whole.mov").read_bytes()
    (tmp_path / "v.mov").write_bytes(data[: len(data) // 2])
    assert until_error(tmp_path / "v.mov") == (
        0,
        "expected a video, got a file that cannot be opened as one (Invalid data found when processing input); copy"
        " or record it again: an interrupted copy or recording looks like this",
    )


def test_bytes_overwritten_half_way(tmp_path):
    path = tmp_path / "v.avi"
    encode(path, [picture(i) for i in range(40)], "mjpeg")
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 4000] = np.random.default_rng(1).bytes(4000)
    path.write_bytes(data)
    came, message = until_error(path)
    assert 10 < came < 30
    assert message == (
        f"expected a video that can be decoded to its end, got {came} good frames, then none (Invalid data found when"
        " processing input); copy or record it again, or repair it with ffmpeg"
    )


def test_fewer_frames_than_expected_come_all_before_the_error(videos):
    for name in ("v.mp4", "images"):
        came, message = until_error(videos / name, expected=41)
        assert came == 40
        assert message.startswith("expected 41 frames, got 40; ")
        assert len(read(videos / name, expected=40)) == 40


def test_another_size_than_the_scene_says(videos):
    assert until_error(videos / "v.mp4", size_wh=(1920, 1080)) == (
        0,
        "expected frames of 1920×1080 pixels, got 64×48 at frame 0; correct the size in the scene, or convert the"
        " video to one size",
    )


def test_size_that_changes_half_way(tmp_path):
    encode(tmp_path / "a.ts", [picture(i) for i in range(10)])
    encode(tmp_path / "b.ts", [picture(i, (96, 64)) for i in range(10)])
    (tmp_path / "v.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    came, message = until_error(tmp_path / "v.ts")
    assert came == 10
    assert message.startswith("expected frames of 64×48 pixels, got 96×64 at frame 10; ")


# What can be wrong with a folder of images.


def test_images_are_ordered_by_number(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (9, 10, 100, 11):
        cv2.imwrite(str(folder / f"f{number}.png"), np.full((4, 4, 3), number, np.uint8))
    (folder / "notes.txt").touch()
    frames = read(folder)
    assert [(f.index, f.image[0, 0, 0]) for f in frames] == [(0, 9), (1, 10), (2, 11), (3, 100)]


def test_images_are_rgb(videos):
    assert all((f.image == picture(f.index)).all() for f in read(videos / "images"))


def test_folder_without_images(tmp_path):
    assert until_error(tmp_path) == (
        0,
        "expected a folder of pictures (.bmp, .jpeg, .jpg, .png), got none in it; name the folder that holds the"
        " numbered pictures themselves",
    )


def test_image_without_a_number(tmp_path):
    save_images(tmp_path / "images", [picture(0)])
    cv2.imwrite(str(tmp_path / "images/cover.png"), picture(0))
    assert until_error(tmp_path / "images") == (
        0,
        "expected pictures numbered in order, such as frame_000010.jpg, got cover.png; number it or move it"
        " elsewhere",
    )


def test_two_images_of_one_number(tmp_path):
    save_images(tmp_path / "images", [picture(0)])
    cv2.imwrite(str(tmp_path / "images/cam2_000000.png"), picture(0))
    assert until_error(tmp_path / "images") == (
        0,
        "expected every number once, got cam1_000000.png and cam2_000000.png; keep the pictures of one camera, each"
        " once, in a folder",
    )


@pytest.mark.parametrize(("data", "got"), [(b"", "an empty file (0 bytes)"), (b"hello", "bytes that are none")])
def test_unreadable_image(tmp_path, data, got):
    save_images(tmp_path / "images", [picture(i) for i in range(3)])
    bad = tmp_path / "images/cam1_000001.png"
    bad.write_bytes(data)
    frames = read_frames(tmp_path / "images", "c", CLOCK)
    next(frames)
    with pytest.raises(VideoError) as caught:
        next(frames)
    assert str(caught.value) == f"{bad}: expected a picture, got {got}; copy it again or take it away"


def test_images_of_two_sizes(tmp_path):
    save_images(tmp_path / "images", [picture(0), picture(1), picture(2, (32, 48))])
    came, message = until_error(tmp_path / "images")
    assert came == 2
    assert message.startswith("expected frames of 64×48 pixels, got 32×48 at frame 2; ")


def test_a_reader_can_be_left_early(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", (64, 48), 10) as video:
        for i in range(20):
            video.write(picture(i))
    frames = read_frames(tmp_path / "v.mp4", "c", CLOCK)
    next(frames)
    frames.close()
