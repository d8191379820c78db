"""What post-processing pays on CityFlow: factors found on S03, everything tried on S01.

    python -m tools.bench.postprocess DATA          # DATA as the challenge published it: gt v1 and v2, roi, S01, S03

For the given Deep SORT tracks of S03 (three detectors) and of S01 (one frame behind its ground truth) IDF1 is plain,
IoU ≥ 0.5, with each tracklet under the true identity that it overlaps most, so that only boxes matter; tracklets of
nobody are left out, as the single-camera filter would do. The submission for S01 is scored officially.
Factors are the mean, over the detectors, of what calibration finds with the six cameras of S03 taken together. S01's
own labels choose nothing; what calibration would say of it is printed last, to see how far factors carry over.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
from pathlib import Path

import numpy as np

from mtmc.evaluate import evaluate_tables, score
from mtmc.evaluate.match import overlapping_pairs
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.geometry.clock import Clock
from mtmc.postprocess import PostprocessConfig, calibrate, postprocess_boxes
from mtmc.scene import Camera, Scene, read_roi

S01, S03 = tuple(range(1, 6)), tuple(range(10, 16))
DETECTORS = ("mask_rcnn", "ssd512", "yolo3")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data: Path = parser.parse_args().data
    rois = {c: read_roi(data / "roi" / f"c{c:03d}.png", official=True) for c in (*S01, *S03)}
    cameras = [Camera(f"c{c:03d}", c, Clock(10.0), size_wh=roi.shape[::-1]) for c, roi in rois.items()]
    scene = Scene("cityflow", data, tuple(cameras))
    training = {
        name: _joined([read_mot(data / "S03" / "mtsc" / f"c{c:03d}" / f"mtsc_deepsort_{name}.txt", c) for c in S03])
        for name in DETECTORS
    }
    test = _joined([read_mot(data / "S01" / "mtsc_deep_sort" / f"c{c:03d}.txt", c) for c in S01])
    test = test.with_columns(frame=test.frame + 1)
    submission = read_track1(data / "submissions" / "S01_a.txt")
    for version in ("v1", "v2"):
        truth = read_track1(data / f"ground_truth_train_{version}.txt")
        gt01, gt03 = (truth[np.isin(truth.camera, numbers)] for numbers in (S01, S03))
        factor = round(float(np.mean([_pooled(gt03, tracks) for tracks in training.values()])), 2)
        steps = {
            "as they are": PostprocessConfig(min_displacement=0, clip=False, max_truncation=1),
            "clip": PostprocessConfig(min_displacement=0, max_truncation=1),
            "at most 0.5 cut off": PostprocessConfig(min_displacement=0),
            "parked left out (default)": PostprocessConfig(),
            f"grow by {factor}": PostprocessConfig(box_scale=factor),
            f"grow by {factor}, at most 40 px": PostprocessConfig(box_scale=factor, max_expansion_px=40),
            "at least 0.2 % of the image": PostprocessConfig(min_area_share=0.002),
            "duplicates at 0.8": PostprocessConfig(duplicate_iou=0.8),
        }
        print(f"\nground truth {version}{'':<23}" + "".join(f"{name:>11}" for name in (*DETECTORS, "S01", "S01_a")))
        for name, config in steps.items():
            cells = [_oracle(gt03, _postprocessed(tracks, scene, config)) for tracks in training.values()]
            cells.append(_oracle(gt01, _postprocessed(test, scene, config)))
            cells.append(_official(gt01, _postprocessed(submission, scene, config), rois))
            print(f"  {name:<34}" + "".join(f"{100 * cell:>11.2f}" for cell in cells), flush=True)
        own = ", ".join(f"c{c:03d} {w:.2f}×{h:.2f}" for c, (w, h) in calibrate(gt01, test).items())
        print(f"  calibration on S01 itself would say: tracks {own}")


def _joined(tables: list[Table]) -> Table:
    """One table, identities apart by camera; rows of a tracklet are neighbours."""
    parts = [t.with_columns(id=t.id + 100_000 * t.camera, track_id=t.id + 100_000 * t.camera) for t in tables]
    table = Table.concatenate(parts)
    return table[np.lexsort((table.frame, table.id))]


def _pooled(gt: Table, tracks: Table) -> float:
    """One factor for all cameras, laid end to end."""
    end_to_end = [t.with_columns(frame=t.frame + 100_000 * t.camera, camera=t.camera * 0) for t in (gt, tracks)]
    return float(np.mean(calibrate(*end_to_end)[0]))


def _postprocessed(table: Table, scene: Scene, config: PostprocessConfig) -> Table:
    table = table.with_columns(track_id=table.id * 100 + table.camera)
    table = table[np.lexsort((table.frame, table.track_id))]
    sizes = {camera.id: camera.size_wh for camera in scene.cameras if camera.size_wh is not None}
    xyxy, keep = postprocess_boxes(table, scene, config, sizes)
    return table.with_columns(xyxy=xyxy)[keep]


def _oracle(gt: Table, tracks: Table) -> float:
    """IDF1 with each tracklet under the identity that it overlaps most; those of nobody left out."""
    pairs = overlapping_pairs(gt, tracks, 0.5)
    votes, count = np.unique(
        np.stack([tracks.id[pairs.predicted], gt.id[pairs.truth]], axis=1), axis=0, return_counts=True
    )
    best = np.lexsort((-votes[:, 1], count))
    named = dict(votes[best].tolist())
    ids = np.array([named.get(i, -1) for i in tracks.id.tolist()], np.int64)
    return score(gt, tracks.with_columns(id=ids)[ids >= 0], metrics=("identity",)).idf1


def _official(gt: Table, answer: Table, rois: dict[int, np.ndarray]) -> float:
    answer = answer.with_columns(xyxy=np.floor(answer.xyxy + 0.5))
    return evaluate_tables(gt, answer, rois, protocol="aicity", metrics=("identity",), skip_missing=True).overall.idf1


if __name__ == "__main__":
    main()
