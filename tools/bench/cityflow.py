"""CityFlow without pixels: tracking on S03's own detections, association on S01's own tracklets.

    python -m tools.bench.cityflow DATA                   # DATA/S03/{det,gt_v1,mtsc}, DATA/roi; DATA/S01, clocks, …
    python -m tools.bench.cityflow DATA --only S01        # association alone: see cityflow_s01.py
    python -m tools.bench.association DATA                # association of S01, S03 and S04: corrections one by one
    python -m tools.bench.cityflow DATA --config configs/run/cityflow_s03.yaml -o track.max_age_s=3

S03: one setting for six cameras × three detectors. IDF1, IDP and IDR of each camera by itself at IoU ≥ 0.5; all
tracks count as predictions, though the ground truth lacks parked and small vehicles and those that only one camera
saw. Beside it the IDF1 of the tracks that come with the data (Deep SORT).
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from mtmc.clean import clean
from mtmc.config import RunConfig, load_config
from mtmc.detect.filters import filter_detections
from mtmc.evaluate import Scores, score
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, read_roi
from mtmc.track import track
from mtmc.types import Detections
from tools.bench.cityflow_s01 import rows

#: Effective frames per second; c015 was recorded more slowly.
CAMERAS = {"c010": 10, "c011": 10, "c012": 10, "c013": 10, "c014": 10, "c015": 8}
DETECTORS = ("mask_rcnn", "ssd512", "yolo3")
PRESET = Path(__file__).resolve().parents[2] / "configs" / "run" / "cityflow_s03.yaml"


def measure(data: Path, camera_id: str, detector: str, config: RunConfig) -> tuple[Scores, Scores]:
    """Scores of our tracks, and of those that come with the data."""
    truth = read_mot(data / "S03" / "gt_v1" / f"{camera_id}.txt")
    given = read_mot(data / "S03" / "mtsc" / camera_id / f"mtsc_deepsort_{detector}.txt")
    roi = read_roi(data / "roi" / f"{camera_id}.png")
    height, width = roi.shape
    camera = Camera(camera_id, int(camera_id[1:]), Clock(CAMERAS[camera_id]), size_wh=(width, height))
    found = read_mot(data / "S03" / "det" / camera_id / f"det_{detector}.txt")
    frames = ((i, filter_detections(d, config.detect.filter, (width, height), roi)) for i, d in _by_frame(found))
    tracklets = clean(track(frames, camera_id, camera.clock, config.track), camera, config.clean, roi)
    ours = Table.concatenate(
        [Table.of(0, np.full(len(t), t.track_id), t.frame, t.xyxy, score=t.score) for t in tracklets]
    )
    return score(truth, ours, metrics=("identity",)), score(truth, given, metrics=("identity",))


def _by_frame(table: Table) -> Iterator[tuple[int, Detections]]:
    """Every frame up to the last that has boxes, with its boxes."""
    table = table[np.argsort(table.frame, kind="stable")]
    bounds = np.searchsorted(table.frame, np.arange(table.frame.max(initial=-1) + 2))
    for frame, (start, stop) in enumerate(pairwise(bounds)):
        yield frame, Detections.of(table.xyxy[start:stop], np.clip(table.score[start:stop], 0, 1))


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data",
        type=Path,
        help="folder with S01/, S03/, roi/, calibration/, cam_*/ and ground_truth_train_v2.txt",
    )
    parser.add_argument("--config", type=Path, action="append", help=f"instead of {PRESET.name}")
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", choices=("S01", "S03"), help="one of the two tables")
    args = parser.parse_args()
    if args.only != "S01":
        print_tracking(args)
    if args.only != "S03":
        print_association(args.data)


def print_association(data: Path) -> None:
    """The table of S01."""
    print(f"{'S01, association':52}{'IDF1':>7}{'IDP':>7}{'IDR':>7}")
    for row in rows(data):
        print(f"{row.name:52}{row.scores.idf1:7.3f}{row.scores.idp:7.3f}{row.scores.idr:7.3f}", flush=True)


def print_tracking(args: argparse.Namespace) -> None:
    """The table of S03."""
    config = load_config(args.config or [PRESET], args.override)
    print(f"{'camera':7}{'detector':11}{'IDF1':>7}{'IDP':>7}{'IDR':>7}{'given':>8}")
    found = []
    for camera_id in CAMERAS:
        for detector in DETECTORS:
            ours, given = measure(args.data, camera_id, detector, config)
            found.append((ours.idf1, ours.idp, ours.idr, given.idf1))
            print(f"{camera_id:7}{detector:11}" + "{:7.3f}{:7.3f}{:7.3f}{:8.3f}".format(*found[-1]), flush=True)
    print(f"{'mean':18}" + "{:7.3f}{:7.3f}{:7.3f}{:8.3f}".format(*np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
