from __future__ import annotations

import numpy as np

from tools.synthcity.realism import Realism, count_found

CAR, VAN, FAR = [100.0, 100, 200, 160], [300.0, 100, 420, 200], [10.0, 10, 30, 25]


def test_detections_are_counted_once() -> None:
    truth = np.array([CAR, VAN, FAR])
    found = np.array([[102.0, 101, 200, 160], [100, 100, 200, 158], [500, 300, 560, 340]])
    result, hit = count_found(truth, np.ones(3, bool), found)
    assert hit.tolist() == [True, False, False]
    assert result == Realism(found=1, total=2, found_large=1, total_large=2, extra=1)


def test_what_is_hidden_does_not_count() -> None:
    result, hit = count_found(np.array([CAR, VAN]), np.array([False, True]), np.array([CAR, VAN]))
    assert hit.all()
    assert (result.found, result.total) == (1, 1)


def test_nothing_to_find_and_nothing_found() -> None:
    result, _ = count_found(np.zeros((0, 4)), np.zeros(0, bool), np.zeros((0, 4)))
    assert result == Realism()
    assert str(result + Realism(1, 2, 0, 0, 3)).startswith("1/2 = 0.500")
