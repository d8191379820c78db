"""Memory is used again, and never while somebody still looks at it."""

from __future__ import annotations

import gc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtmc.video.buffer_pool import BufferPool


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def picture(value: int) -> np.ndarray:
    return np.full((6, 4, 3), value, np.uint8)


def test_memory_is_used_again():
    pool = BufferPool()
    first = pool.copy(picture(1))
    where = address(first)
    del first
    gc.collect()
    assert address(pool.copy(picture(2))) == where


def test_a_copy_of_a_turned_picture_is_contiguous_and_writable():
    turned = np.rot90(np.arange(72, dtype=np.uint8).reshape(6, 4, 3))
    copy = BufferPool().copy(turned)
    assert (copy == turned).all()
    assert copy.flags.c_contiguous
    copy[0] = 0


def test_another_size():
    pool = BufferPool()
    pool.copy(picture(1))
    assert pool.copy(np.ones((2, 2, 3), np.uint8)).shape == (2, 2, 3)


@given(st.lists(st.tuples(st.sampled_from(["array", "view", "transposed", "nothing"]), st.integers(0, 5))))
def test_what_is_kept_does_not_change(steps):
    pool, kept = BufferPool(), {}
    for value, (keep, slot) in enumerate(steps):
        copy = pool.copy(picture(value % 256))
        if keep != "nothing":
            kept[slot] = (value % 256, {"array": copy, "view": copy[1:3], "transposed": copy.T[1]}[keep])
        assert all((array == want).all() for want, array in kept.values())
