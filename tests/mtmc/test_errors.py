"""One tree of errors and settings for both packages."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mtmc import errors, settings
from reid import errors as reid_errors
from reid import settings as reid_settings


def test_what_reid_raises_is_an_error_of_mtmc() -> None:
    for kind in (reid_errors.ConfigError, reid_errors.DataError, reid_errors.WeightsError):
        assert issubclass(kind, errors.MtmcError)
        assert getattr(errors, kind.__name__) is kind
    assert errors.MissingDependency is reid_errors.MissingDependency
    assert settings.read_yaml is reid_settings.read_yaml


@pytest.mark.parametrize("kind", [errors.SceneError, errors.FormatError, errors.VideoError, errors.MtmcError])
def test_an_error_comes_home_from_a_worker_as_it_was(kind: type[errors.MtmcError]) -> None:
    error = kind("expected this, got that", path=Path("a.txt"), line=3, remedy="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "a.txt:3: expected this, got that; mend it"
    assert (again.path, again.line, again.remedy) == (Path("a.txt"), 3, "mend it")


def test_a_settings_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("\ufeffkey: 1\n", encoding="utf-8")
    file = settings.read_yaml(tmp_path / "a.yaml")
    assert (file.data, file.line(("key",))) == ({"key": 1}, 1)
