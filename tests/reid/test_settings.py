"""Strict settings: which key, in which file and line, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid.config import load_config
from reid.errors import ConfigError, DataError, ReidError
from reid.settings import Settings, parse_settings, read_yaml

TRAINING = "method: baseline\nbackbone: resnet50\ndata: {name: folder, root: x}\noutput: y\nschedule:\n  epochs: 5\n"


class Inner(Settings):
    depth: int = 1


class Outer(Settings):
    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()


def read_outer(path: Path) -> Outer:
    file = read_yaml(path)
    return parse_settings(Outer, file.data, file=file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("inner:\n  dept: 2\n", r"a\.yaml:2: unknown key inner\.dept; did you mean depth\?"),
        ("items:\n- {depth: 1}\n- {depth: deep}\n", r"a\.yaml:3: items\.1\.depth: input should be a valid integer"),
        ("depth: 2\n", r"a\.yaml:1: unknown key depth; did you mean inner\.depth\?"),
        ("- 1\n", r"a\.yaml:1: expected 'key: value' lines at the top level, got a list"),
        ("inner: {\n", r"a\.yaml:2: expected YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_outer(path)


def test_an_error_is_of_the_wanted_kind_and_names_the_group() -> None:
    with pytest.raises(DataError, match=r"^unknown key place\.depht; did you mean depth\?"):
        parse_settings(Inner, {"depht": 1}, group="place", error=DataError)


@pytest.mark.parametrize(
    ("assignments", "says"),
    [
        (["seed=-1"], r"^-o seed=-1: seed: input should be greater"),
        (["epochs=3"], r"^-o epochs=3: unknown key epochs; did you mean schedule\.epochs\?"),
        (["schedule.epochs=0"], r"^-o schedule\.epochs=0: schedule\.epochs: input should be greater"),
        (["seed=1", "output.x=1"], r"^-o output\.x=1: output holds a value"),
        (["seed"], r"^-o seed: expected dotted\.key=value; for example"),
        (["data..root=1"], r"^-o data\.\.root=1: expected dotted\.key=value"),
    ],
)
def test_a_mistake_in_an_assignment_names_the_assignment(tmp_path: Path, assignments: list[str], says: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(TRAINING)
    with pytest.raises(ConfigError, match=says):
        load_config(path, assignments)


def test_assignments_replace_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(TRAINING)
    config = load_config(path, ["schedule.epochs=7", "data.root=/cars: new: x", "options.margin=null"])
    assert config.schedule.epochs == 7
    assert config.data[0].root == Path("/cars: new: x")
    path.write_text(TRAINING.replace("epochs: 5", "epoch: 5").replace("backbone", "bacbone"))
    with pytest.raises(ConfigError, match=r"train\.yaml:2: unknown key bacbone; did you mean backbone\?"):
        load_config(path)
    path.write_text(TRAINING.replace("epochs: 5", "epochs: five"))
    with pytest.raises(ConfigError, match=r"train\.yaml:6: schedule\.epochs: input should be a valid integer"):
        load_config(path)


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert read_yaml(tmp_path / "empty.yaml").data == {}
    with pytest.raises(ReidError, match=r"no\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "no.yaml")


def test_a_value_that_contains_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [*a]\n")
    with pytest.raises(ConfigError, match="nested without end; write it out"):
        read_yaml(path)
