"""Clocks against a table worked out by hand, and against their own inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.errors import SceneError
from mtmc.geometry.clock import Clock


@pytest.mark.parametrize(
    ("clock", "frame", "seconds"),
    [
        (Clock(fps=10), 0, 0.0),
        (Clock(fps=10), 25, 2.5),
        (Clock(fps=8, start_s=8.492), 16, 10.492),
        (Clock(fps=10, start_s=1.64), -5, 1.14),
        (Clock(fps=10, time_map=((10, 5.0),)), 0, 4.0),
        (Clock(fps=10, time_map=((0, 0.0), (100, 12.0))), 50, 6.0),
        (Clock(fps=10, time_map=((0, 0.0), (100, 12.0))), 110, 13.0),
        (Clock(fps=10, time_map=((0, 0.0), (99, 9.9), (100, 20.0))), 101, 20.1),
    ],
)
def test_hand_computed(clock: Clock, frame: int, seconds: float) -> None:
    assert clock.time_s(np.array([frame]))[0] == pytest.approx(seconds)


@given(
    fps=st.floats(1, 60),
    steps=st.lists(st.tuples(st.integers(1, 500), st.floats(1.1, 5)), max_size=5),
    frame=st.integers(0, 3000),
)
def test_frame_at_inverts_time(fps: float, steps: list[tuple[int, float]], frame: int) -> None:
    knots, at = [(0, 3.0)], (0, 3.0)
    for frames, slowdown in steps:
        at = (at[0] + frames, at[1] + slowdown * frames / fps)
        knots.append(at)
    clock = Clock(fps=fps, time_map=tuple(knots))
    assert clock.frame_at(float(clock.time_s(np.array(frame)))) == frame


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_must_be_positive(fps: float) -> None:
    with pytest.raises(SceneError, match="positive frame rate"):
        Clock(fps=fps)
