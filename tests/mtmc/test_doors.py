"""The errors of reid come out as those of mtmc, with the same words."""

from __future__ import annotations

import pytest

from mtmc import errors
from mtmc.doors import reid_errors
from reid import errors as reid_side


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (reid_side.ConfigError, errors.ConfigError),
        (reid_side.DataError, errors.FormatError),
        (reid_side.WeightsError, errors.WeightsError),
        (reid_side.MissingDependency, errors.MissingDependency),
        (reid_side.ReidError, errors.MtmcError),
    ],
)
def test_every_kind_of_error_is_translated(inner: type[reid_side.ReidError], outer: type[errors.MtmcError]) -> None:
    original = inner("expected this, got that", path="a.onnx", line=3, remedy="do something")
    with pytest.raises(outer) as caught, reid_errors():
        raise original
    assert type(caught.value) is outer
    assert str(caught.value) == str(original) == "a.onnx:3: expected this, got that; do something"
    assert (caught.value.path, caught.value.line, caught.value.remedy) == ("a.onnx", 3, "do something")


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError), reid_errors():
        raise KeyError("ours")
