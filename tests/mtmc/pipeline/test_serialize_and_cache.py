"""What goes into the cache comes out, bit for bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.errors import MtmcError
from mtmc.pipeline import serialize
from mtmc.pipeline.cache import StageCache, cache_key, file_sha256
from mtmc.types import Detections, Passage, Tracklet
from tests.builders import tracklet


def random_detections(rng: np.random.Generator, rows: int, dim: int) -> Detections:
    return Detections.of(
        rng.random((rows, 4)), rng.random(rows), rng.integers(0, 5, rows), rng.random((rows, dim), np.float32)
    )


def same(a: object, b: object) -> bool:
    """Equality of two values of a core type, column by column, dtype included."""
    for name in type(a).__slots__:
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(left, np.ndarray):
            if left.dtype != right.dtype or not np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
                return False
        elif isinstance(left, Tracklet):
            if not same(left, right):
                return False
        elif left != right:
            return False
    return True


@given(rows=st.lists(st.integers(0, 4), max_size=6), dim=st.integers(0, 3), seed=st.integers(0, 99))
def test_detections_round_trip(rows: list[int], dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [random_detections(rng, n, dim) for n in rows]
    again = serialize.unpack_detections(serialize.pack_detections(frames))
    assert len(again) == len(frames)
    assert all(same(a, b) for a, b in zip(frames, again, strict=True))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_passages_and_pictures_round_trip(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(count)
    passages = []
    for i in range(count):
        one = tracklet(track_id=i + 1, length=3 + i, appearance=rng.random((3 + i, 2), np.float32))
        vector = rng.standard_normal(8).astype(np.float32)
        ground = np.full((len(one), 2), np.nan) if i else rng.random((len(one), 2))
        passages.append(Passage(one, vector / np.linalg.norm(vector), "", "west" if i else "", ground))
    pictures = {i + 1: rng.integers(0, 255, (4 + i, 7, 3), np.uint8) for i in range(count)}
    cache = StageCache(tmp_path)
    cache.save("embed", "c001", "k", {**serialize.pack_passages(passages), **serialize.pack_thumbnails(pictures)})
    arrays = cache.load("embed", "c001", "k")
    assert arrays is not None
    again = serialize.unpack_passages(arrays, "c001")
    assert len(again) == count
    assert all(same(a, b) for a, b in zip(passages, again, strict=True))
    found = serialize.unpack_thumbnails(arrays)
    assert found.keys() == pictures.keys()
    assert all(np.array_equal(found[i], pictures[i]) for i in pictures)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        StageCache(tmp_path / name).save("track", "c001", "k", {"x": np.arange(5), "y": np.zeros((0, 4))})
    assert file_sha256(tmp_path / "a") == file_sha256(tmp_path / "b")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file", b"not a zip"])
def test_a_damaged_result_is_made_again(tmp_path: Path, damage: bytes) -> None:
    cache = StageCache(tmp_path)
    cache.save("track", "c001", "k", {"x": np.arange(5)})
    cache.path("track", "c001", "k").write_bytes(damage)
    assert cache.load("track", "c001", "k") is None


def test_a_full_disk_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = StageCache(tmp_path)
    cache.save("track", "c001", "k", {"x": np.arange(5)})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(MtmcError, match=r"No space left on device.*free some space"):
        cache.save("track", "c001", "k", {"x": np.arange(6)})
    arrays = cache.load("track", "c001", "k")
    assert arrays is not None
    assert arrays["x"].tolist() == [0, 1, 2, 3, 4]
    assert len(list((tmp_path / "track").iterdir())) == 1


def test_keys_depend_on_values_alone() -> None:
    assert cache_key(a=1, b=[1, 2]) == cache_key(b=[1, 2], a=1)
    assert cache_key(a=1) != cache_key(a=2) != cache_key(b=1)


def test_fingerprints_of_folders_see_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.png").write_bytes(b"one")
    before = file_sha256(tmp_path / "x")
    (tmp_path / "x" / "1.png").rename(tmp_path / "x" / "2.png")
    assert file_sha256(tmp_path / "x") != before
    assert file_sha256(tmp_path / "nothing") == ""
    assert file_sha256(None) == ""
