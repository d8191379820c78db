"""The MOT challenge's folders, against TrackEval's own reading of them, and motmetrics beside our scores."""

from __future__ import annotations

import builtins
import contextlib
import io
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmc.errors import ConfigError, MissingDependency
from mtmc.evaluate import evaluate_files, evaluate_tables
from mtmc.evaluate.reference import reference_scores
from mtmc.formats.table import Table

Oracle = Callable[..., dict[str, float]]
SEQUENCES = ("MOT17-02", "MOT17-04")


def line(frame: int, identity: int, box: np.ndarray, *rest: object) -> str:
    return ",".join([str(frame), str(identity), *(f"{v:.2f}" for v in box), *(str(value) for value in rest)])


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Two sequences with the same identities, walkers and distractors, and a tracker that follows both with noise."""
    rng = np.random.default_rng(5)
    for sequence in SEQUENCES:
        start, step = rng.uniform(0, 300, (8, 2)), rng.uniform(-4, 4, (8, 2))
        classes = [1, 1, 1, 1, 2, 8, 7, 12]
        truth, found = [], []
        for frame in range(1, 31):
            for k, kind in enumerate(classes):
                box = np.r_[start[k] + step[k] * frame, 40, 80]
                counts = int(kind == 1 and not (k == 3 and frame > 20))
                truth.append(line(frame, k + 1, box, counts, kind, 1))
                if rng.random() < 0.85:
                    identity = k + 1 + 10 * (frame > 15 and k < 2)
                    found.append(line(frame, identity, box + rng.normal(0, 5, 4), 1, -1, -1, -1))
            found.append(line(frame, 99, np.r_[rng.uniform(0, 300, 2), 40, 80], 1, -1, -1, -1))
        folder = tmp_path / "gt" / sequence
        (folder / "gt").mkdir(parents=True)
        (folder / "gt" / "gt.txt").write_text("\n".join(truth) + "\n")
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={sequence}\nimDir=img1\nframeRate=30\nseqLength=30\nimWidth=640\nimHeight=480\nimExt=.jpg\n"
        )
        data = tmp_path / "trackers" / "ours" / "data"
        data.mkdir(parents=True, exist_ok=True)
        (data / f"{sequence}.txt").write_text("\n".join(found) + "\n")
    return tmp_path


def trackeval_of(folder: Path) -> dict[str, dict[str, float]]:
    """Scores of each sequence and of all by TrackEval, means over thresholds, read by TrackEval itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        trackeval = pytest.importorskip("trackeval")
        settings: dict[str, Any] = {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": "MOT17",
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(SEQUENCES, 30),
            "PRINT_CONFIG": False,
        }
        data = trackeval.datasets.MotChallenge2DBox(settings)
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False})]
        metrics.append(trackeval.metrics.Identity({"PRINT_CONFIG": False}))
        found: dict[str, dict[str, float]] = {}
        raw = {
            name: data.get_preprocessed_seq_data(data.get_raw_seq_data("ours", name), "pedestrian")
            for name in SEQUENCES
        }
        for metric in metrics:
            each = {name: metric.eval_sequence(raw[name]) for name in SEQUENCES}
            for name, values in (*each.items(), ("all", metric.combine_sequences(each))):
                found.setdefault(name, {}).update({key: float(np.mean(value)) for key, value in values.items()})
    return found


FIELDS = {"idf1": "IDF1", "idp": "IDP", "idr": "IDR", "idtp": "IDTP", "idfp": "IDFP", "idfn": "IDFN"}
FIELDS |= {"hota": "HOTA", "deta": "DetA", "assa": "AssA"}


def test_the_challenges_folders_score_as_trackeval_scores_them(benchmark: Path) -> None:
    want = trackeval_of(benchmark)
    result = evaluate_files(benchmark / "gt", benchmark / "trackers" / "ours")
    assert result.protocol == "mot"
    assert list(result.names.values()) == list(SEQUENCES)
    number = {name: number for number, name in result.names.items()}
    assert any("match distractors of the ground truth" in note for note in result.notes)
    for name in (*SEQUENCES, "all"):
        scores = result.overall if name == "all" else result.per_camera[number[name]]
        for field, theirs in FIELDS.items():
            assert getattr(scores, field) == pytest.approx(want[name][theirs], abs=1e-9), (name, field)
    # CLEAR is counted as motmetrics does; here the two agree on misses and false positives.
    assert result.overall.mota == pytest.approx(want["all"]["MOTA"], abs=0.01)


def test_one_sequence_and_renamed_files_score_alike(benchmark: Path) -> None:
    want = evaluate_files(benchmark / "gt", benchmark / "trackers" / "ours")
    [first, second] = sorted(want.per_camera)
    one = evaluate_files(benchmark / "gt" / SEQUENCES[0], benchmark / "trackers" / "ours" / "data" / "MOT17-02.txt")
    assert one.overall == want.per_camera[first]
    for k, name in enumerate(SEQUENCES, start=1):
        (benchmark / "flat").mkdir(exist_ok=True)
        (benchmark / "mine").mkdir(exist_ok=True)
        shutil.copy(benchmark / "gt" / name / "gt" / "gt.txt", benchmark / "flat" / f"c00{k}.txt")
        shutil.copy(benchmark / "trackers" / "ours" / "data" / f"{name}.txt", benchmark / "mine" / f"c00{k}.txt")
    renamed = evaluate_files(benchmark / "flat", benchmark / "mine", protocol="mot")
    assert renamed.overall == want.overall
    assert renamed.per_camera[2] == want.per_camera[second]
    across = evaluate_files(benchmark / "flat", benchmark / "mine", protocol="plain")
    assert across.overall.idfp > want.overall.idfp  # distractors count, identities go across
    with pytest.raises(ConfigError, match="the mot protocol knows no regions of interest"):
        evaluate_files(benchmark / "flat", benchmark / "mine", protocol="mot", roi=benchmark)


def test_vehicles_are_distractors_in_mot20_only(tmp_path: Path) -> None:
    for name, idfp in (("MOT17-01", 1), ("MOT20-01", 0)):
        folder = tmp_path / name
        (folder / "gt").mkdir(parents=True)
        (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nframeRate=25\n")
        (folder / "gt" / "gt.txt").write_text("1,1,0,0,10,10,1,1,1\n1,2,50,50,10,10,0,6,1\n")
        (tmp_path / f"{name}.txt").write_text("1,1,0,0,10,10,1\n1,2,50,50,10,10,1\n")
        assert evaluate_files(folder, tmp_path / f"{name}.txt").overall.idfp == idfp


def crowd(rng: np.random.Generator) -> tuple[Table, Table]:
    rows = [(c, i, f) for c in (1, 2) for i in range(6) for f in range(12)]
    camera, identity, frame = np.array(rows).T
    left = 30.0 * identity + 6 * frame
    boxes = np.stack([left, left, left + 45, left + 30], axis=1)
    truth = Table.of(camera, identity, frame, boxes)
    renamed = np.where(rng.random(len(rows)) < 0.2, (identity + 1) % 6, identity)
    found = Table.of(camera, renamed, frame, boxes + rng.normal(0, 6, boxes.shape))
    return truth, found[rng.random(len(rows)) < 0.9]


def test_motmetrics_agrees(motmetrics_scores: Oracle) -> None:
    truth, predicted = crowd(np.random.default_rng(1))
    result = evaluate_tables(truth, predicted, reference=True)
    assert result.reference is not None
    for field, theirs in result.reference.items():
        assert getattr(result.overall, field) == pytest.approx(theirs, abs=1e-9), field
    lines = result.text().splitlines()
    assert lines[-9].split() == ["all", "cameras", "mtmc", "motmetrics", "difference"]
    assert [row.split()[0] for row in lines[-8:]] == [
        "IDF1",
        "IDP",
        "IDR",
        "MOTA",
        "IDTP",
        "IDFP",
        "IDFN",
        "switches",
    ]
    percent = f"{100 * result.overall.idf1:.4f}"
    assert lines[-8].split()[1:] == [percent, percent, "0.0000"]
    assert lines[-1].split()[1:] == [str(result.overall.switches)] * 2 + ["0"]
    assert result.as_dict()["reference"]["motmetrics"]["idtp"] == result.overall.idtp
    only = evaluate_tables(truth, predicted, metrics=["identity"], reference=True)
    assert only.text().splitlines()[-1].split()[1] == "–"


def test_the_reference_sees_the_filtered_boxes(motmetrics_scores: Oracle) -> None:
    truth, predicted = crowd(np.random.default_rng(2))
    alone = predicted.with_columns(id=np.where(predicted.camera == 1, predicted.id, predicted.id + 100))
    result = evaluate_tables(truth, alone, protocol="aicity", reference=True)
    assert result.overall.idtp == 0
    assert result.reference is not None
    assert (result.reference["idtp"], result.reference["idfn"]) == (0, len(truth))


def test_a_missing_motmetrics_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "motmetrics":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"needs the package motmetrics; pip install 'mtmc\[reference\]'"):
        reference_scores(*crowd(np.random.default_rng(3)))
