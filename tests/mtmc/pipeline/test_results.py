"""A finished run read again: the same scene, choices, passages and vehicles, videos or no videos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmc.associate.candidates import candidates
from mtmc.associate.graph import candidate_graph
from mtmc.associate.numbering import in_order
from mtmc.config import load_config
from mtmc.errors import MtmcError
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.results import load_run
from mtmc.pipeline.run import run
from mtmc.scene import load_scenes
from mtmc.types import Passage
from tests.builders import traffic_frames, write_video

COLORS = ((220, 40, 40), (40, 60, 220))
SCENE = """
cameras:
  - id: c001
    start_s: 0.25
    zones: [{name: left, polygon: [[0, 0], [40, 0], [40, 120], [0, 120]]}]
    box_scale: [1.1, 1.2]
links:
  - {from: [c001, left], to: [c002, ""], min_s: -9, max_s: 9, typical_s: 1.5}
"""
_RELATED = SCENE.replace("[c001, left]", '[c001, ""]').replace("1.5}", "1.5, spread_s: 0.5, share: 1.0}")


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    for name in ("c001", "c002"):
        write_video(folder / f"{name}.mp4", traffic_frames(40, colors=COLORS))
    (folder / "scene.yaml").write_text(_RELATED)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Passage], list[tuple[int, ...]]]:
    home = tmp_path_factory.mktemp("reload")
    for name in ("c001", "c002"):
        write_video(home / "town" / f"{name}.mp4", traffic_frames(40, colors=COLORS))
    (home / "town" / "scene.yaml").write_text(SCENE)
    [scene] = load_scenes(home / "town")
    config = load_config(overrides=["detect.weights=motion", "clean.filter.enabled=false", "render.videos=false"])
    done = run(scene, config, home / "out", map_cameras=lambda fn, cameras: [fn(c) for c in cameras])
    shutil.move(home / "town", home / "elsewhere")
    identities = [(t.global_id, *(p.tracklet.track_id for p in t.passages)) for t in done.tracks]
    return home / "out", [p for r in done.cameras for p in r.passages], identities


def test_everything_comes_back_without_the_videos(
    finished: tuple[Path, list[Passage], list[tuple[int, ...]]],
) -> None:
    out, passages, identities = finished
    shutil.copytree(out / "cache", out.parent / "cache")
    shutil.rmtree(out / "cache")  # nothing that people need lies there
    loaded = load_run(out)
    shutil.move(out.parent / "cache", out / "cache")
    assert len(loaded.passages) == len(passages) > 0
    for ours, theirs in zip(loaded.passages, passages, strict=True):
        assert ours.tracklet.camera_id == theirs.tracklet.camera_id
        assert (ours.entry, ours.exit) == (theirs.entry, theirs.exit)
        np.testing.assert_array_equal(ours.tracklet.xyxy, theirs.tracklet.xyxy)
        np.testing.assert_array_equal(ours.tracklet.time_s, theirs.tracklet.time_s)
        np.testing.assert_array_equal(ours.embedding, theirs.embedding)
    assert [(t.global_id, *(p.tracklet.track_id for p in t.passages)) for t in loaded.tracks] == identities
    assert loaded.config.detect.weights == "motion"
    first = loaded.scene.camera("c001")
    assert (first.clock.start_s, first.size_wh, first.box_scale) == (0.25, (160, 120), (1.1, 1.2))
    assert loaded.scene.links[0].typical_s == 1.5
    assert loaded.cache.load("track", "c002", loaded.results[1].stage_keys["track"]) is not None


def test_links_and_scene_model_come_back_and_a_reused_association_writes_the_same(town: Path, tmp_path: Path) -> None:
    [scene] = load_scenes(town)
    choices = ["detect.weights=motion", "clean.filter.enabled=false", "render.videos=false"]
    choices.append("associate.graph.learn_travel_times=false")  # four vehicles would not show that the link exists
    run(scene, load_config(overrides=choices), tmp_path)
    files = (tmp_path / "results" / "links.parquet", tmp_path / "results" / "scene_model.npz")
    first = [file.read_bytes() for file in files]
    loaded = load_run(tmp_path)
    assert loaded.links is not None
    assert loaded.scene_model is not None
    assert len(loaded.links) > 0

    # The oracle: identities of the tables, and log odds computed anew from the passages.
    identity = {
        (p.tracklet.camera_id, p.tracklet.track_id): track.global_id
        for track in loaded.tracks
        for p in track.passages
    }
    ordered = in_order(loaded.passages)
    place = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(ordered)}
    config = loaded.config.associate.for_embedder(match_similarity_of(loaded.results))
    fitted, _ = candidate_graph(ordered, loaded.scene, config)
    again = candidates(ordered, loaded.scene, config, loaded.scene_model)
    np.testing.assert_array_equal(again.log_odds, fitted.log_odds)
    links = loaded.links
    for row in range(len(links)):
        a, b = (links.camera_a[row], links.track_a[row]), (links.camera_b[row], links.track_b[row])
        assert links.global_id[row] == (identity[a] if identity[a] == identity[b] else 0)
        assert links.log_odds[row] == fitted.log_odds[fitted.row(place[a], place[b])]

    shutil.rmtree(tmp_path / "results")
    run(scene, load_config(overrides=choices), tmp_path)
    assert [file.read_bytes() for file in files] == first
    run(scene, load_config(overrides=[*choices, "associate.method=hierarchical"]), tmp_path)
    assert not any(file.exists() for file in files)
    other = load_run(tmp_path)
    assert other.links is None
    assert other.scene_model is None


def test_what_is_missing_is_said(finished: tuple[Path, list[Passage], list[tuple[int, ...]]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(MtmcError, match=r"out: found no run\.json, so this is not the folder of a finished run"):
        load_run(out)
    shutil.copytree(finished[0], out)
    shutil.rmtree(out / "results")
    with pytest.raises(MtmcError, match=r"passages of camera c001 are gone.*repeat the run with the same --out"):
        load_run(out)
    manifest = json.loads((out / "run.json").read_text())
    del manifest["place"]
    (out / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(MtmcError, match=r"run\.json: does not describe the place.*older version"):
        load_run(out)
    (out / "run.json").write_text("{")
    with pytest.raises(MtmcError, match=r"run\.json: cannot be read as JSON"):
        load_run(out)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("cameras",), [], "does not hold what a run writes"),
        (("cameras", "c001"), [], "does not hold what a run writes"),
        (("cameras", "c001", "counts"), "many", "does not hold what a run writes"),
        (("cameras", "c001", "counts", "frames"), "many", "does not hold what a run writes"),
        (("cameras", "c001", "seconds"), {"track": 1.0}, "does not hold what a run writes"),
        (("place", "folder"), None, "does not hold what a run writes"),
        (("place", "scene", "planet"), "Mars", "unknown key planet"),
        (("config", "trak"), {}, "unknown key trak"),
    ],
)
def test_a_manifest_that_was_edited(
    finished: tuple[Path, list[Passage], list[tuple[int, ...]]],
    tmp_path: Path,
    keys: Sequence[str],
    value: Any,
    says: str,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    manifest = inner = json.loads((out / "run.json").read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (out / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(MtmcError, match=rf"run\.json: {says}"):
        load_run(out)


def test_damaged_passages_are_not_called_missing(
    finished: tuple[Path, list[Passage], list[tuple[int, ...]]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    path = out / "results" / "passages" / "c001.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(MtmcError, match=r"c001 are gone: results/passages/c001\.npz is damaged; repeat the run"):
        load_run(out)
