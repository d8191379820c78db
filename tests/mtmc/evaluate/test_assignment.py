import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mtmc.evaluate import assignment
from mtmc.evaluate.assignment import best_matching


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(0, 2**31),
    st.sampled_from([0.3, 0.7, 1.0]),
    st.booleans(),
    st.sampled_from([0, 1 << 24]),
)
def test_total_weight_is_that_of_the_full_table(
    n: int, m: int, seed: int, density: float, ties: bool, cells: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 4, (n, m)).astype(float) if ties else rng.random((n, m))
    i, j = np.nonzero(rng.random((n, m)) < density)
    table = np.zeros((n, m))
    table[i, j] = weight[i, j]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "_DENSE_CELLS", cells)
        chosen = best_matching(i, j, weight[i, j])
    assert len(set(i[chosen])) == len(set(j[chosen])) == len(chosen)
    assert (np.diff(chosen) > 0).all()
    assert table[i[chosen], j[chosen]].sum() == pytest.approx(
        table[linear_sum_assignment(table, maximize=True)].sum()
    )


def test_equal_weights_go_to_the_lower_node() -> None:
    assert best_matching(np.array([0, 0, 0]), np.array([2, 1, 3]), np.array([1.0, 1.0, 1.0])).tolist() == [1]


def test_no_edges() -> None:
    none = np.zeros(0, np.int64)
    assert best_matching(none, none, np.zeros(0)).tolist() == []
