"""The pages of the formats name every file, column and key that the code reads or writes, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtmc.detect.card import Card as DetectorCard
from mtmc.evaluate import Scores
from mtmc.formats import mot, track1
from mtmc.scene import sceneyaml
from mtmc.settings import Settings, parse_settings, read_yaml
from mtmc.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from reid.card import Card as EmbedderCard

ROOT = Path(__file__).resolve().parents[1]
INPUTS = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    return re.split(r"\n#+ ", page.split(f"# {title}\n", 1)[1])[0]


def first_cells(text: str, header: str = "") -> set[str]:
    """The names in the first cells of the tables below ``header`` (of the first table, if there are several)."""
    table = text.split(header, 1)[1].lstrip("\n").split("\n\n")[0] if header else text
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def keys_of(model: type[Settings]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("`scene.yaml`", sceneyaml.SceneFile),
        ("Cameras", sceneyaml.CameraEntry),
        ("Links", sceneyaml.LinkEntry),
        ("Plane alignments", sceneyaml.PlaneAlignmentEntry),
        ("Origins", sceneyaml.OriginEntry),
        ("Maps", sceneyaml.MapEntry),
    ],
)
def test_keys_of_a_scene_file(title: str, model: type[Settings]) -> None:
    assert first_cells(section(INPUTS, title)) == keys_of(model)


def test_keys_of_a_zone() -> None:
    [row] = re.findall(r"^\| `zones` \| (.*) \|$", section(INPUTS, "Cameras"), re.M)
    assert keys_of(sceneyaml.ZoneEntry) <= set(re.findall(r"`(\w+)`", row))


def test_the_scene_file_of_the_page_is_one(tmp_path: Path) -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```", INPUTS, re.M | re.S)
    path = tmp_path / "scene.yaml"
    path.write_text(text, encoding="utf-8")
    file = read_yaml(path)
    parse_settings(sceneyaml.SceneFile, file.data, file=file)


def test_videos_and_pictures() -> None:
    plain = section(INPUTS, "Plain folder")
    [videos] = re.findall(r"^\| (`NAME\.avi`.*?) \|", plain, re.M)
    assert set(re.findall(r"\.\w+", videos)) == VIDEO_SUFFIXES
    [pictures] = re.findall(r"^\| `NAME/` with numbered (.*?) \|", plain, re.M)
    assert set(re.findall(r"\.\w+", pictures)) == IMAGE_SUFFIXES


def test_columns_of_text_files() -> None:
    text = section(INPUTS, "Text files of boxes")
    assert f"`{mot.LAYOUT}`" in text
    assert f"`{track1.LAYOUT}`" in text
    named = set(mot.LAYOUT.replace(",-1", "").split(",")) | set(track1.LAYOUT.split())
    assert first_cells(text) == named


def test_keys_of_cards() -> None:
    text = section(INPUTS, "Cards of model files")
    assert first_cells(text, "key of a detector's card") == keys_of(DetectorCard)
    assert first_cells(text, "key of an embedder's card") == {f.name for f in dataclasses.fields(EmbedderCard)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run that the page of the Python interface makes: two cameras with given detections."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    [example, *_] = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    folder = tmp_path_factory.mktemp("api")
    subprocess.run([sys.executable, "-c", example], cwd=folder, check=True)
    return folder / "results"


def test_files_of_a_run(run: Path) -> None:
    listed = first_cells(RESULTS, "| file | content |")
    written = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    for path in written:
        name = path.as_posix()
        general = re.sub(r"(east|west)(?=\.\w+$)", "CAMERA", name)
        assert general in listed or name.startswith("cache/"), name


def test_columns_of_tables(run: Path) -> None:
    assert first_cells(section(RESULTS, "`tracks.parquet`")) == set(pq.read_schema(run / "tracks.parquet").names)
    links = set(pq.read_schema(run / "results" / "links.parquet").names)
    assert first_cells(section(RESULTS, "`results/links.parquet`")) == links


def test_arrays_of_passages(run: Path) -> None:
    with np.load(run / "results" / "passages" / "east.npz") as arrays:
        assert first_cells(section(RESULTS, "`results/passages/CAMERA.npz`")) == set(arrays)


def test_keys_of_the_manifest(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert first_cells(section(RESULTS, "`run.json`")) == set(manifest)


def test_scores() -> None:
    text = section(RESULTS, "`scores.json`, `scores.csv`")
    assert first_cells(text, "| column | meaning |") == {"camera", *(f.name for f in dataclasses.fields(Scores))}
