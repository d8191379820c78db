"""What post-processing pays on CityFlow: factors found on S03, everything tried on S01.

    python -m tools.bench.postprocess DATA          # DATA as the challenge published it: gt v1 and v2, roi, S01, S03

For the given Deep SORT tracks of S03 (three detectors) and of S01 (one frame behind its ground truth) IDF1 is plain,
IoU ≥ 0.5, with each tracklet under the true identity that it overlaps most, so that only boxes matter; tracklets of
nobody are left out, as the single-camera filter would do. The submission for S01 is scored officially.
Factors are the mean, over the detectors, of what calibration finds with the six cameras of S03 taken together. S01's
own labels choose nothing; what calibration would say of it is printed last, to see how far factors carry over.

The first table says how much larger the annotated boxes (version 2) are than those of each detector, and how many
of them reach an IoU of 0.5: unchanged, with the preset ``cityflow``, and, on S03, with scale and limit chosen on the
five other cameras. The published Faster R-CNN tracks were expanded before they were published.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np

from mtmc.config import load_config
from mtmc.evaluate import evaluate_tables, score
from mtmc.evaluate.match import overlapping_pairs
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.geometry.boxes import iou_pairs
from mtmc.geometry.clock import Clock
from mtmc.postprocess import PostprocessConfig, calibrate, postprocess_boxes
from mtmc.postprocess.calibrate import mutual_best
from mtmc.postprocess.expand import clip_to_image, expand_boxes
from mtmc.scene import Camera, Scene, read_roi
from mtmc.types import Array
from tools.bench.cityflow import DETECTORS

S01, S03 = tuple(range(1, 6)), tuple(range(10, 16))
S04 = tuple(range(16, 41))
_SCALES = (1.0, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4)
_LIMITS_PX = (None, 20.0, 30.0, 40.0, 60.0)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data: Path = parser.parse_args().data
    sources = dict(_sources(data))
    print_ratios(data, sources)
    rois = {c: read_roi(data / "roi" / f"c{c:03d}.png", official=True) for c in (*S01, *S03)}
    cameras = [Camera(f"c{c:03d}", c, Clock(10.0), size_wh=roi.shape[::-1]) for c, roi in rois.items()]
    scene = Scene("cityflow", data, tuple(cameras))
    training, test = {name: sources[f"S03 {name}"] for name in DETECTORS}, sources["S01 faster_rcnn"]
    submission = read_track1(data / "submissions" / "S01_a.txt")
    preset = load_config([Path("cityflow")]).postprocess
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
            "preset cityflow": preset,
            "preset cityflow, boxes as they are": preset.model_copy(update={"box_scale": 1.0}),
        }
        print(f"\nground truth {version}{'':<23}" + "".join(f"{name:>11}" for name in (*DETECTORS, "S01", "S01_a")))
        for name, config in steps.items():
            cells = [_oracle(gt03, _postprocessed(tracks, scene, config)) for tracks in training.values()]
            cells.append(_oracle(gt01, _postprocessed(test, scene, config)))
            cells.append(_official(gt01, _postprocessed(submission, scene, config), rois))
            print(f"  {name:<34}" + "".join(f"{100 * cell:>11.2f}" for cell in cells), flush=True)
        own = ", ".join(f"c{c:03d} {w:.2f}×{h:.2f}" for c, (w, h) in calibrate(gt01, test).items())
        print(f"  calibration on S01 itself would say: tracks {own}")


def print_ratios(data: Path, sources: Mapping[str, Table]) -> None:
    """The table of the size of boxes."""
    truth = read_track1(data / "ground_truth_train_v2.txt")
    sizes = {c: read_roi(data / "roi" / f"c{c:03d}.png").shape[::-1] for c in (*S01, *S03, *S04)}
    share = [_area_share(truth[truth.camera == c].xyxy, sizes[c]) for c in sizes]
    print(f"{np.mean(np.concatenate(share) < 0.002):.1%} of the annotated boxes are below 0.2 % of the image")
    print(f"{'boxes':18}{'pairs':>8}{'width':>8}{'height':>8}{'as is':>8}{'preset':>8}{'left out':>10}")
    pairs = {name: _pairs(tracks, truth, sizes) for name, tracks in sources.items()}
    for name, of_camera in pairs.items():
        boxes, true_boxes, size_wh = (np.concatenate(parts) for parts in zip(*of_camera.values(), strict=True))
        ratio = np.median((true_boxes[:, 2:] - true_boxes[:, :2]) / (boxes[:, 2:] - boxes[:, :2]), axis=0)
        matched = [
            (_iou((boxes, true_boxes, size_wh), *choice) >= 0.5).mean() for choice in ((1.0, None), (1.3, 40.0))
        ]
        held_out = f"{_left_out(pairs, name):10.3f}" if name.split()[1] in DETECTORS else ""
        print(f"{name:18}{len(boxes):8}{ratio[0]:8.2f}{ratio[1]:8.2f}{matched[0]:8.3f}{matched[1]:8.3f}{held_out}")


def _sources(data: Path) -> Iterator[tuple[str, Table]]:
    """Tracks by scene and detector, frames as in the ground truth."""
    of_s01 = _joined([read_mot(data / "S01" / "mtsc_deep_sort" / f"c{c:03d}.txt", c) for c in S01])
    yield "S01 faster_rcnn", of_s01.with_columns(frame=of_s01.frame + 1)
    for scene, cameras in (("S03", S03), ("S04", S04)):
        folders = {c: data / f"{scene}_tracklets" / scene / f"c{c:03d}" / "mtsc" for c in cameras}
        tracks = _joined([read_mot(next(folder.glob("*.txt")), c) for c, folder in folders.items()])
        yield f"{scene} faster_rcnn", tracks.with_columns(frame=tracks.frame + 1)
    for name in DETECTORS:
        files = {c: data / "S03" / "mtsc" / f"c{c:03d}" / f"mtsc_deepsort_{name}.txt" for c in S03}
        yield f"S03 {name}", _joined([read_mot(file, c) for c, file in files.items()])


#: Boxes of a camera, their partners in the ground truth, and the image size of each: float64 (P, 4), (P, 4), (P, 2).
Pairs = tuple[Array, Array, Array]


def _pairs(tracks: Table, truth: Table, sizes: dict[int, tuple[int, int]]) -> dict[int, Pairs]:
    found = {}
    for camera in np.unique(tracks.camera).tolist():
        boxes, true_boxes = mutual_best(tracks[tracks.camera == camera], truth[truth.camera == camera])
        found[camera] = boxes, true_boxes, np.tile(np.array(sizes[camera], float), (len(boxes), 1))
    return found


def _iou(pairs: Pairs, scale: float, limit_px: float | None) -> Array:
    boxes, true_boxes, size_wh = pairs
    expanded = expand_boxes(boxes, np.full((len(boxes), 2), scale), limit_px)
    return iou_pairs(clip_to_image(expanded, size_wh), true_boxes)


def _left_out(pairs: dict[str, dict[int, Pairs]], name: str) -> float:
    """Share of a detector's boxes that match, with scale and limit chosen on the other cameras, all detectors."""
    matched = []
    for camera, of_camera in pairs[name].items():
        others = [
            p
            for source, found in pairs.items()
            if source.split()[1] in DETECTORS
            for c, p in found.items()
            if c != camera
        ]
        choice = max(
            product(_SCALES, _LIMITS_PX), key=lambda c: float(np.concatenate([_iou(p, *c) for p in others]).mean())
        )
        matched.append(_iou(of_camera, *choice) >= 0.5)
    return float(np.concatenate(matched).mean())


def _area_share(xyxy: Array, size_wh: tuple[int, int]) -> Array:
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]) / np.prod(size_wh))


def _joined(tables: list[Table]) -> Table:
    """One table, identities apart by camera; rows of a tracklet are neighbors."""
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
