"""Average precision against hand-computed tables, a twin that counts one by one, and COCO's own program."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from tools.detector.ap import (
    COCO_THRESHOLDS,
    Picture,
    average_precision,
    best_confidence,
    match,
    recall_precision,
)

NONE = np.zeros((0, 4))


def picture(found: list[list[float]], score: list[float], truth: list[list[float]]) -> Picture:
    return Picture(np.array(found).reshape(-1, 4), np.array(score), np.array(truth).reshape(-1, 4), NONE)


def random_pictures(seed: int, count: int = 12) -> list[Picture]:
    """Crowded pictures: near misses, doubles, false alarms, equal scores, boxes in ignore regions."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        corner = rng.uniform(0, 200, (rng.integers(0, 9), 2))
        truth = np.concatenate([corner, corner + rng.uniform(15, 60, corner.shape)], axis=1)
        corner = rng.uniform(0, 200, (rng.integers(0, 4), 2))
        ignored = np.concatenate([corner, corner + rng.uniform(15, 80, corner.shape)], axis=1)
        near = np.concatenate([truth, truth[::2], ignored])
        near = near + rng.uniform(-7, 7, near.shape)
        corner = rng.uniform(0, 200, (rng.integers(0, 5), 2))
        wrong = np.concatenate([corner, corner + rng.uniform(15, 60, corner.shape)], axis=1)
        found = np.concatenate([near, wrong])
        pictures.append(Picture(found, rng.integers(1, 60, len(found)) / 60, truth, ignored))
    return pictures


def naive_ap(pictures: list[Picture], threshold: float) -> float:
    """One detection at a time, precision at each of 101 recalls as the largest further on."""

    def overlap(a: list[float], b: list[float], own: bool) -> float:
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        if wide <= 0 or high <= 0:
            return 0.0
        area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
        return wide * high / (area_a if own else area_a + area_b - wide * high)

    rows: list[tuple[float, int, int, bool]] = []
    total = 0
    for number, p in enumerate(pictures):
        total += len(p.truth)
        used: set[int] = set()
        ranked = sorted(range(len(p.score)), key=lambda i: (-p.score[i], i))
        for place, i in enumerate(ranked[:100]):
            box = p.found[i].tolist()
            best, best_iou = -1, threshold
            for j, truth in enumerate(p.truth.tolist()):
                iou = overlap(box, truth, own=False)
                if j not in used and iou >= best_iou:
                    best, best_iou = j, iou
            if best >= 0:
                used.add(best)
            elif any(overlap(box, region, own=True) >= threshold for region in p.ignored.tolist()):
                continue
            rows.append((p.score[i], number, place, best >= 0))
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    points, hits = [], 0
    for k, row in enumerate(rows, start=1):
        hits += row[3]
        points.append((hits / total, hits / k))
    return float(
        np.mean([max((p for r, p in points if r >= level), default=0.0) for level in np.linspace(0, 1, 101)])
    )


def test_by_hand() -> None:
    # Hit, false alarm, hit; one of three vehicles is missed. Recall 1/3 at precision 1, recall 2/3 at 2/3:
    # levels 0.00…0.33 (34 of them) read 1, levels 0.34…0.66 (33) read 2/3, the rest 0.
    a, b, c, nowhere = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [80, 80, 90, 90]
    pictures = [picture([a, nowhere, b], [0.9, 0.8, 0.7], [a, b, c])]
    assert average_precision(pictures, 0.5) == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert recall_precision(pictures, 0.5, 0.75) == pytest.approx((1 / 3, 1 / 2))


def test_perfect_and_useless() -> None:
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10]]
    assert average_precision([picture(boxes, [0.5, 0.4], boxes)], 0.95) == 1.0
    assert average_precision([picture([], [], boxes)], 0.5) == 0.0
    assert np.isnan(average_precision([picture(boxes, [0.5, 0.4], [])], 0.5))


def test_a_second_detection_of_a_vehicle_is_a_false_alarm() -> None:
    box = [0, 0, 10, 10]
    _, result = match(picture([box, box], [0.4, 0.9], [box]), 0.5)
    assert result.tolist() == [1, 0]


def test_ignore_regions_take_any_number_of_detections_but_never_a_hit() -> None:
    region, car = [0, 0, 100, 100], [10, 10, 30, 30]
    found = [[12, 10, 32, 30], [50, 50, 60, 60], [70, 70, 80, 80], [90, 90, 140, 140]]
    p = Picture(
        np.array(found, float), np.array([0.9, 0.8, 0.7, 0.6]), np.array([car], float), np.array([region], float)
    )
    assert match(p, 0.5)[1].tolist() == [1, -1, -1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_twin(seed: int) -> None:
    pictures = random_pictures(seed)
    for threshold in (0.5, 0.75, 0.95):
        assert average_precision(pictures, threshold) == pytest.approx(naive_ap(pictures, threshold), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluator = pytest.importorskip("pycocotools.cocoeval")
    pictures = random_pictures(seed + 100)
    truth, found = [], []
    for image, p in enumerate(pictures, start=1):
        for crowd, boxes in ((0, p.truth), (1, p.ignored)):
            for x1, y1, x2, y2 in boxes.tolist():
                box, size = [x1, y1, x2 - x1, y2 - y1], (x2 - x1) * (y2 - y1)
                row = {"id": len(truth) + 1, "image_id": image, "category_id": 1, "bbox": box}
                truth.append({**row, "area": size, "iscrowd": crowd})
        for (x1, y1, x2, y2), score in zip(p.found.tolist(), p.score.tolist(), strict=True):
            found.append({"image_id": image, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        api = coco.COCO()
        images = [{"id": i + 1} for i in range(len(pictures))]
        api.dataset = {"images": images, "annotations": truth, "categories": [{"id": 1}], "info": {}}
        api.createIndex()
        run = evaluator.COCOeval(api, api.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    ours = [average_precision(pictures, threshold) for threshold in COCO_THRESHOLDS]
    assert ours[0] == pytest.approx(run.stats[1], abs=1e-9)
    assert np.mean(ours) == pytest.approx(run.stats[0], abs=1e-9)


def test_best_confidence_lies_between_wrong_and_right() -> None:
    box, nowhere = [0, 0, 10, 10], [80, 80, 90, 90]
    confidence, f1 = best_confidence([picture([box, nowhere], [0.8, 0.4], [box])])
    assert f1 == 1.0
    assert 0.4 < confidence <= 0.8
