"""The detector's network, labels by agreement, tiles, assignment and training, beside naive implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmc.types import CLASSES, Detections, Frame
from tools.detector.augment import TileRule, clip_labels, compose, cut_tile, degrade
from tools.detector.dataset import IGNORED, Labels, list_examples, write_example

torch = pytest.importorskip("torch")

from tools.detector import agreement, losses, network, train  # noqa: E402 - torch comes first

CAR, TRUCK = CLASSES.index("car"), CLASSES.index("truck")


def white_vehicles(folder: Path, count: int = 6) -> None:
    """Noisy dark pictures with one to three bright boxes, labeled as cars."""
    rng = np.random.default_rng(4)
    for number in range(count):
        image = rng.integers(20, 70, (120, 200, 3)).astype(np.uint8)
        boxes = []
        for column in range(1 + number % 3):
            left, top = 15 + 60 * column, int(rng.integers(10, 70))
            image[top : top + 24, left : left + 36] = rng.integers(170, 255, 3)
            boxes.append([left, top, left + 36, top + 24])
        labels = Labels(np.array(boxes, float), np.full(len(boxes), CAR))
        write_example(folder, "train", f"f{number}", image, labels)


# The network


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_network_of_a_file_computes_what_the_file_does(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tools.detector.export import write_onnx

    torch.manual_seed(3)
    path = tmp_path / "yolox_nano.onnx"
    write_onnx(network.YoloxNano(80), path)  # as the YOLOX project exports it, with COCO's eighty labels
    _check_beside_onnxruntime(path, onnxruntime, size=(96, 128), batch=2)


def test_the_network_computes_what_the_published_file_does(shared: Callable[[str], Path]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    path = shared("data/weights/yolox_nano.onnx")
    _check_beside_onnxruntime(path, onnxruntime, size=(416, 416), batch=1)


def _check_beside_onnxruntime(path: Path, onnxruntime, size: tuple[int, int], batch: int) -> None:  # type: ignore[no-untyped-def]
    images = np.random.default_rng(5).uniform(0, 255, (batch, 3, *size)).astype(np.float32)
    [expected] = onnxruntime.InferenceSession(str(path)).run(None, {"images": images})
    kept = [0, 1, 2, 3, 4, *(5 + row for row in (2, 3, 5, 7))]  # car, motorcycle, bus, truck in COCO's order
    with torch.no_grad():
        found = network.load_published(path).exported(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected[..., kept], rtol=1e-4, atol=1e-4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    from mtmc.errors import WeightsError
    from mtmc.zoo.registry import PACKAGE_FOLDER

    pytest.importorskip("onnx")
    with pytest.raises(WeightsError, match="convolution"):
        network.load_published(PACKAGE_FOLDER / "embedder.onnx")
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="ONNX"):
        network.load_published(tmp_path / "a.onnx")
    (tmp_path / "a.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="checkpoint"):
        train.load_network(tmp_path / "a.pt")


def test_interpolated_weights() -> None:
    start, end = {"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([4.0, 2.0])}
    assert network.interpolate(start, end, 0.25)["w"].tolist() == [1.0, 2.0]


def test_the_application_reads_the_exported_boxes_as_training_does(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from mtmc.detect.heads import HEADS

    torch.manual_seed(0)
    images = torch.rand(1, 3, 64, 96) * 255
    model = network.YoloxNano().eval()
    with torch.no_grad():
        raw, exported = model(images), model.exported(images)
    boxes = losses.read_boxes(raw, losses.places_of(64, 96))[0].numpy()
    read = HEADS["yolox"].decode([exported[0].numpy()], np.arange(4), 0.0, (64, 96))
    np.testing.assert_allclose(read.xyxy, boxes, rtol=1e-4, atol=1e-3)


# Tiles


def test_tiles_show_what_their_labels_say() -> None:
    rng = np.random.default_rng(1)
    image = np.zeros((120, 200, 3), np.uint8)
    image[40:70, 60:110] = 255
    labels = Labels(np.array([[60.0, 40, 110, 70]]), np.array([CAR]))
    seen = 0
    for _ in range(40):
        tile, kept = cut_tile(image, labels, TileRule(size=96, widths=(80, 400)), rng)
        assert tile.shape == (96, 96, 3)
        rows, columns = np.nonzero(tile[..., 0] > 180)
        for box, kind in zip(kept.xyxy, kept.class_id, strict=True):
            if kind == CAR:
                drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                np.testing.assert_allclose(box, drawn, atol=2.5)
                seen += 1
    assert seen > 25


def test_little_of_a_vehicle_is_ambiguous() -> None:
    boxes = np.array([[0.0, 0, 20, 20], [-14, 0, 6, 20], [-8, 0, 12, 20], [28, 0, 31.5, 20], [-30, 0, -5, 20]])
    kept = clip_labels(Labels(boxes, np.full(5, CAR)), 32)
    assert kept.class_id.tolist() == [CAR, IGNORED, CAR, IGNORED]


def test_four_tiles_as_one() -> None:
    parts = []
    for value in (1, 2, 3, 4):
        labels = Labels(np.array([[1.0, 2, 5, 6]]), np.array([value]))
        parts.append((np.full((8, 8, 3), value, np.uint8), labels))
    image, labels = compose(parts, 16)
    assert image[[0, 0, 15, 15], [0, 15, 0, 15], 0].tolist() == [1, 2, 3, 4]
    assert labels.xyxy.tolist() == [[1, 2, 5, 6], [9, 2, 13, 6], [1, 10, 5, 14], [9, 10, 13, 14]]
    assert labels.class_id.tolist() == [1, 2, 3, 4]


def test_a_degraded_tile_is_a_picture_of_the_same_size() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    changed = 0
    for _ in range(30):
        worse = degrade(image, rng)
        assert (worse.shape, worse.dtype) == (image.shape, np.uint8)
        changed += not np.array_equal(worse, image)
    assert changed > 20


# Agreement


def proposals(*rows: tuple[float, float, float, float, float, int]) -> agreement.Proposals:
    table = np.array(rows, float).reshape(-1, 6)
    return agreement.Proposals(table[:, :4], table[:, 4], table[:, 5].astype(int))


def test_two_detectors_make_a_vehicle_and_one_makes_an_ambiguous_region() -> None:
    one = proposals((10, 10, 30, 20, 0.6, CAR), (50, 50, 70, 60, 0.9, CAR), (0, 80, 10, 90, 0.2, CAR))
    other = proposals((12, 10, 32, 20, 0.2, TRUCK))
    labels = agreement.agree([one, other], (100, 100))
    order = np.argsort(labels.xyxy[:, 0])
    assert labels.class_id[order].tolist() == [CAR, IGNORED]
    np.testing.assert_allclose(labels.xyxy[order][0], [10.5, 10, 30.5, 20])  # weights 3 : 1


def test_faint_agreement_is_ambiguous() -> None:
    row = (10.0, 10.0, 30.0, 20.0, 0.29, CAR)
    assert agreement.agree([proposals(row), proposals(row)], (100, 100)).class_id.tolist() == [IGNORED]


def test_beside_drawn_boxes_nothing_is_added() -> None:
    drawn = np.array([[10.0, 10, 20, 20], [30, 10, 40, 20], [50, 10, 80, 30]])
    there = proposals((50, 10, 80, 30, 0.8, TRUCK), (10, 10, 20, 20, 0.8, TRUCK), (0, 60, 20, 80, 0.8, CAR))
    labels = agreement.agree([there, there], (100, 100), drawn)
    assert labels.class_id.tolist() == [CAR, CAR, TRUCK, IGNORED]
    np.testing.assert_array_equal(labels.xyxy[:3], drawn)


class _BrightSquares:
    """Finds the bounding box of what is bright, in pictures of any size."""

    stateful = False

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        found = []
        for frame in frames:
            rows, columns = np.nonzero(frame.image[..., 0] > 128)
            boxes = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else []
            found.append(
                Detections(
                    xyxy=np.array(boxes, np.float32).reshape(-1, 4),
                    score=np.full(len(boxes), 0.5, np.float32),
                    class_id=np.full(len(boxes), CAR),
                    appearance=np.zeros((len(boxes), 0), np.float32),
                )
            )
        return found


def test_what_a_seam_cuts_is_found_once_and_whole() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:70, 30:75] = 255  # crosses every seam of 2 × 2 tiles
    frame = Frame("c001", 0, 0.0, image)
    found = agreement.look(agreement.Voter(_BrightSquares()), frame, (2, 2))
    assert found.xyxy.tolist() == [[30, 40, 75, 70]]


def test_tiles_cover_the_picture() -> None:
    covered = np.zeros((90, 160), int)
    for x1, y1, x2, y2 in agreement.tiles_of((160, 90), 3, 2):
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    assert (covered > 1).mean() > 0.2


# Losses


def test_iou_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    other = torch.tensor([[5.0, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(losses.paired_iou(one, other).numpy(), [1 / 3, 0])


def test_places_go_to_the_vehicle_that_they_predict_best() -> None:
    places = losses.places_of(64, 64)
    truth = torch.tensor([[4.0, 4, 28, 28], [36, 36, 60, 60]])
    boxes = torch.zeros(len(places.stride), 4)
    boxes[:] = torch.tensor([100.0, 100, 101, 101])
    near_first = ((places.center - 16).abs() < 8).all(1)
    near_second = ((places.center - 48).abs() < 8).all(1)
    boxes[near_first], boxes[near_second] = truth[0], truth[1]
    allowed = torch.ones(2, 4, dtype=torch.bool)
    place, row = losses.assign(boxes, torch.zeros(len(boxes), 5), truth, allowed, places)
    assert set(place[row == 0].tolist()) <= set(near_first.nonzero()[:, 0].tolist())
    assert set(place[row == 1].tolist()) <= set(near_second.nonzero()[:, 0].tolist())
    assert (row == 0).sum() == (row == 1).sum() == 5  # as many as predictions overlap it: 4 + 1 of the next level


def test_objectness_is_not_trained_in_ambiguous_regions() -> None:
    raw = torch.zeros(1, len(losses.places_of(64, 64).stride), 9)
    nothing = losses.Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    everywhere = losses.Targets(torch.tensor([[-1.0, -1, 65, 65]]), torch.tensor([IGNORED]))
    half = losses.Targets(torch.tensor([[-1.0, -1, 32, 65]]), torch.tensor([IGNORED]))
    values = [
        float(losses.detection_loss(raw, [target], (64, 64))["object"]) for target in (nothing, everywhere, half)
    ]
    places = len(raw[0])
    np.testing.assert_allclose(values, [places * np.log(2), 0, places / 2 * np.log(2)], rtol=1e-5)


def test_a_van_counts_as_the_type_that_the_network_prefers() -> None:
    table = losses.allowed_types()
    van, car = table[CLASSES.index("van")], table[CAR]
    logits = torch.tensor([[0.0, 9, 0, 1], [2.0, 9, 0, 1]])  # car, motorcycle, bus, truck
    wanted = losses._wanted_types(logits, van.expand(2, 4))
    assert wanted.argmax(1).tolist() == [3, 0]
    assert losses._wanted_types(logits, car.expand(2, 4)).argmax(1).tolist() == [0, 0]


# Training


def test_learning_rate_rises_then_falls() -> None:
    assert train.learning_rate(1.0, 0, 0.0) == pytest.approx(1 / 50)
    assert train.learning_rate(1.0, 49, 0.0) == 1.0
    assert train.learning_rate(1.0, 1000, 0.5) == pytest.approx(0.51)
    assert train.learning_rate(1.0, 1000, 2.0) == pytest.approx(0.02)


def test_batches_depend_on_the_seed_alone(tmp_path: Path) -> None:
    white_vehicles(tmp_path)
    plan = train.TrainingPlan(minutes=1, batch=3, tiles=TileRule(size=64, widths=(60, 300)))
    examples = [list_examples(tmp_path, "train")]
    one, same, other = (
        train.draw_batch(examples, np.ones(1), plan, 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one[0], same[0])
    assert not torch.equal(one[0], other[0])
    assert all(torch.equal(a.xyxy, b.xyxy) for a, b in zip(one[1], same[1], strict=True))
    assert one[0].shape == (3, 3, 64, 64)


@pytest.mark.slow
def test_training_lowers_the_loss_and_leaves_the_first_layers(tmp_path: Path) -> None:
    torch.manual_seed(1)
    white_vehicles(tmp_path / "data")
    start = train.save_network(network.YoloxNano(), tmp_path / "start.pt")
    before = train.load_network(start)
    tiles = TileRule(size=64, widths=(120, 240))
    plan = train.TrainingPlan(minutes=10, steps=60, batch=4, peak=0.003, average=0.5, save_minutes=0.01, tiles=tiles)
    last = train.train(start, [train.Part(tmp_path / "data")], tmp_path / "run", plan)
    after = train.load_network(last)

    rng = np.random.default_rng(9)
    images, targets = train.draw_batch([list_examples(tmp_path / "data", "train")], np.ones(1), plan, 0.0, rng)
    with torch.no_grad():
        totals = [
            sum(float(value) for value in losses.detection_loss(model(images), targets, (64, 64)).values())
            for model in (before, after)
        ]
    assert totals[1] < 0.5 * totals[0]
    kept = [torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    frozen = len([*before.backbone.stem.parameters(), *before.backbone.stage2.parameters()])
    assert kept == [True] * frozen + [False] * (len(kept) - frozen)
    assert (tmp_path / "run" / "losses.csv").read_text(encoding="utf-8").startswith("step,minutes")
    assert len(list((tmp_path / "run").glob("after_*.pt"))) >= 1
