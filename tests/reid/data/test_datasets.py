"""Every loader on a tiny set of the published layout: what is read, what is checked, how it complains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reid.data import (
    DATASETS,
    DatasetSplit,
    cityflow,
    cuhk03,
    folder,
    load_dataset,
    market,
    vehicleid,
    veri,
    veriwild,
    viper,
)
from reid.data.checks import files
from reid.data.images import read_image
from reid.data.records import DISTRACTOR, JUNK, Record, Track, class_labels
from reid.errors import ConfigError, DataError


def touch(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(root: Path, name: str, text: str, encoding: str = "utf-8") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding=encoding)


def make_veri(root: Path) -> None:
    touch(root, [f"image_train/0001_c00{c}_0001645{c}_0.jpg" for c in (1, 2, 3)])
    touch(root, ["image_query/0002_c001_00030600_0.jpg"])
    touch(root, [f"image_test/0002_c00{c}_0003060{n}_0.jpg" for c in (1, 2) for n in (0, 1)])
    rows = [f"0002_c00{c}_1 " + " ".join(f"0002_c00{c}_0003060{n}_0.jpg" for n in (0, 1)) for c in (1, 2)]
    write(root, "test_track.txt", "\n".join(rows) + "\n")


def make_vehicleid(root: Path) -> None:
    write(root, "train_test_split/train_list.txt", "0000001 10\n0000002 10\n0000003 11\n")
    write(root, "train_test_split/test_list_800.txt", "0000004 20\n0000005 20\n0000006 21\n0000007 21\n")
    touch(root, [f"image/000000{n}.jpg" for n in range(1, 8)])


def make_veriwild(root: Path) -> None:
    info = ["id/image;Camera ID;Time;Model;Type;Color"]
    for vehicle, image, camera in [(1, 11, 5), (1, 12, 6), (2, 21, 7), (2, 22, 8), (2, 23, 9)]:
        info.append(f"{vehicle:05d}/{image:06d};{camera};2018-03-11 08:00:00;m;SUV;white")
        touch(root, [f"images/{vehicle:05d}/{image:06d}.jpg"])
    write(root, "train_test_split/vehicle_info.txt", "\n".join(info))
    write(root, "train_test_split/train_list.txt", "00001/000011\n00001/000012\n")
    write(root, "train_test_split/test_3000_id.txt", "00002/000021\n00002/000022\n00002/000023\n")
    write(root, "train_test_split/test_3000_id_query.txt", "00002/000021\n")


def make_cityflow(root: Path) -> None:
    items = []
    for n, (vehicle, camera) in enumerate((v, c) for v in range(1, 7) for c in (1, 2) for _ in range(3)):
        items.append(f'<Item imageName="{n:06d}.jpg" vehicleID="{vehicle:04d}" cameraID="c{camera:03d}" />')
        touch(root, [f"image_train/{n:06d}.jpg"])
    text = '<?xml version="1.0" encoding="gb2312"?>\n<TrainingImages Version="1.0" 名="车"><Items number="36">'
    write(root, "train_label.xml", text + "\n".join(items) + "</Items></TrainingImages>", "gb2312")


def make_market(root: Path) -> None:
    touch(root, ["bounding_box_train/0002_c1s1_000451_03.jpg", "bounding_box_train/0007_c2s1_000451_03.jpg"])
    touch(root, ["query/0001_c1s1_001051_00.jpg"])
    touch(root, [f"bounding_box_test/{p}_c{c}s1_000001_01.jpg" for p, c in [("0001", 2), ("-1", 3), ("0000", 4)]])
    touch(
        root, [f"gt_bbox/{p}_c{c}s1_00000{n}_00.jpg" for p, c, n in [("0001", 1, 1), ("0001", 1, 2), ("0001", 2, 3)]]
    )


def make_duke(root: Path) -> None:
    touch(root, ["bounding_box_train/0001_c2_f0046182.jpg"])
    touch(root, ["query/0005_c2_f0046985.jpg", "bounding_box_test/0005_c8_f0046985.jpg"])


def make_cuhk03(root: Path) -> None:
    names = [
        f"{pair}_{person:04d}_{view}_0{n}.png" for pair in (1, 2) for person in (1, 2) for view, n in [(1, 0), (2, 5)]
    ]
    touch(root, [f"detected/{name}" for name in names])
    write(root, "splits.json", json.dumps([[[1, 1], [2, 2]], [[1, 2]]]))


def make_viper(root: Path) -> None:
    touch(root, [f"cam_{c}/{i:03d}_{45 * k}.bmp" for k, c in enumerate("ab") for i in range(10)])


def make_folder(root: Path) -> None:
    touch(
        root,
        [f"{v}/{c}/{n}.jpg" for v in ("red", "blue", "green", "black") for c in ("north", "south") for n in range(3)],
    )


def make_synthcity(root: Path) -> None:
    touch(root, [f"crops/train/{v:04d}/c00{c}_{n}.jpg" for v in (1, 2) for c in (1, 2) for n in range(2)])
    touch(root, ["crops/query/0003/c004_0.jpg", "crops/gallery/0003/c005_0.jpg", "crops/gallery/0004/c004_0.jpg"])
    write(root, "crops/index.csv", "path,view,color\ntrain/0001/c001_0.jpg,3,red\n")


MAKE: dict[str, Callable[[Path], None]] = {
    "veri776": make_veri,
    "vehicleid": make_vehicleid,
    "veriwild": make_veriwild,
    "cityflow": make_cityflow,
    "market1501": make_market,
    "dukemtmc": make_duke,
    "cuhk03": make_cuhk03,
    "viper": make_viper,
    "folder": make_folder,
    "synthcity": make_synthcity,
}
#: Images in train, query and gallery of the tiny sets.
SIZES = {
    "veri776": (3, 1, 4),
    "vehicleid": (3, 0, 4),
    "veriwild": (2, 1, 2),
    "cityflow": (24, 4, 8),
    "market1501": (2, 1, 3),
    "dukemtmc": (1, 1, 1),
    "cuhk03": (4, 2, 2),
    "viper": (10, 5, 5),
    "folder": (12, 4, 12),
    "synthcity": (8, 1, 2),
}
HAS_COUNTS = sorted(set(MAKE) - {"folder", "synthcity"})


def test_every_data_set_is_tested() -> None:
    assert set(MAKE) == set(DATASETS) == set(SIZES)


@pytest.mark.parametrize("name", sorted(MAKE))
def test_reads_its_layout(tmp_path: Path, name: str) -> None:
    MAKE[name](tmp_path)
    split = DATASETS[name](tmp_path, check_counts=False)
    assert (len(split.train), len(split.query), len(split.gallery)) == SIZES[name]
    assert all(r.path.is_file() for r in split.train + split.query + split.gallery)
    assert split == DATASETS[name](tmp_path, check_counts=False)


@pytest.mark.parametrize("name", sorted(MAKE))
def test_says_what_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"expected .*found no(thing|ne); \w+") as caught:
        DATASETS[name](tmp_path, check_counts=False)
    assert str(caught.value.path).startswith(str(tmp_path))


@pytest.mark.parametrize("name", HAS_COUNTS)
def test_checks_the_official_counts(tmp_path: Path, name: str) -> None:
    MAKE[name](tmp_path)
    with pytest.raises(DataError, match=r"should have [\d,]+ \w.*\(found [\d,]+\).*set check_counts to false"):
        DATASETS[name](tmp_path)


def test_official_counts_are_the_published_ones() -> None:
    assert veri.OFFICIAL["training images"] == 37_778
    assert veri.OFFICIAL["queries"] == 1_678
    assert veri.OFFICIAL["gallery images"] == 11_579
    assert vehicleid.OFFICIAL == {"training images": 113_346, "training identities": 13_164}
    assert veriwild.OFFICIAL == {"training images": 277_797, "training identities": 30_671}
    assert cityflow.OFFICIAL[2019] == {"labeled images": 36_935, "labeled identities": 333}
    assert market.OFFICIAL_MARKET["gallery images"] == 19_732
    assert market.OFFICIAL_DUKE["training identities"] == 702
    assert cuhk03.OFFICIAL == {"training identities": 1_367, "test identities": 100}
    assert viper.OFFICIAL["identities"] == 632


def test_veri_reads_names_tracks_and_views(tmp_path: Path) -> None:
    make_veri(tmp_path)
    split = veri.load(tmp_path, check_counts=False)
    assert split.train[2] == Record(tmp_path / "image_train/0001_c003_00016453_0.jpg", 1, 3)
    assert split.tracks == (Track(2, 1, (0, 1)), Track(2, 2, (2, 3)))
    write(tmp_path, "keypoint_train.txt", "./image_train/0001_c002_00016452_0.jpg 1 2 -1 -1 6\n")
    assert [r.view for r in veri.with_views(split.train, tmp_path / "keypoint_train.txt")] == [-1, 6, -1]
    write(tmp_path, "keypoint_train.txt", "a.jpg 1 2 3\nb.jpg 1 2 8\n")
    with pytest.raises(DataError, match=r"keypoint_train\.txt:2: expected a viewpoint 0…7"):
        veri.with_views(split.train, tmp_path / "keypoint_train.txt")


def test_veri_names_the_line_of_a_bad_track(tmp_path: Path) -> None:
    make_veri(tmp_path)
    write(tmp_path, "test_track.txt", "0002_c001_1 0002_c001_00030600_0.jpg\n0002_c001_2 0009_c001_00030600_0.jpg\n")
    with pytest.raises(DataError, match=r"test_track\.txt:2: .*unknown picture 0009_c001"):
        veri.load(tmp_path, check_counts=False)


def test_vehicleid_names_missing_pictures(tmp_path: Path) -> None:
    make_vehicleid(tmp_path)
    (tmp_path / "image/0000003.jpg").unlink()
    with pytest.raises(DataError, match=r"0000003\.jpg: the lists name 1 pictures that are not there"):
        vehicleid.load(tmp_path, check_counts=False)
    with pytest.raises(ConfigError, match="800, 1600 or 2400, got 100"):
        vehicleid.load(tmp_path, size=100)


def test_veriwild_takes_cameras_from_the_table(tmp_path: Path) -> None:
    make_veriwild(tmp_path)
    split = veriwild.load(tmp_path, check_counts=False)
    assert [(r.vehicle_id, r.camera_id) for r in split.query + split.gallery] == [(2, 7), (2, 8), (2, 9)]
    write(tmp_path, "train_test_split/train_list.txt", "00001/000011\n00001/000099\n")
    with pytest.raises(DataError, match=r"train_list\.txt:2: expected vehicle/image with a camera"):
        veriwild.load(tmp_path, check_counts=False)


def test_cityflow_holds_out_identities_and_asks_once_per_camera(tmp_path: Path) -> None:
    make_cityflow(tmp_path)
    split = cityflow.load(tmp_path, check_counts=False)
    assert split.name == "cityflow-val"
    tested = {r.vehicle_id for r in split.gallery}
    assert len(tested) == 2
    assert sorted((r.vehicle_id, r.camera_id) for r in split.query) == sorted((v, c) for v in tested for c in (1, 2))
    assert not {r.path for r in split.query} & {r.path for r in split.gallery}
    assert cityflow.load(tmp_path, seed=1, check_counts=False) != split
    write(tmp_path, "train_label.xml", "<Items><Item imageName='a.jpg' vehicleID='x' cameraID='c001' /></Items>")
    with pytest.raises(DataError, match=r"train_label\.xml: expected Items with imageName"):
        cityflow.load(tmp_path)


def test_market_keeps_distractors_and_junk(tmp_path: Path) -> None:
    make_market(tmp_path)
    split = market.load_market(tmp_path, check_counts=False)
    assert sorted(r.vehicle_id for r in split.gallery) == [DISTRACTOR, JUNK, 1]
    several = load_dataset("market1501", tmp_path, multi_query=True, check_counts=False)
    assert (several.name, several.protocol) == ("market1501-multi-query", "market-multi-query")
    assert [(r.vehicle_id, r.camera_id) for r in several.query] == [(1, 1), (1, 1)]
    assert {r.path.parent.name for r in several.query} == {"gt_bbox"}
    assert (several.train, several.gallery) == (split.train, split.gallery)
    touch(tmp_path, ["query/Thumbs.jpg"])
    with pytest.raises(DataError, match="expected a name that starts like 0002_c1"):
        market.load_market(tmp_path)


@pytest.mark.parametrize("camera", [1, 9, 10, 12, 123])
@pytest.mark.parametrize("name", ["{:04d}_c{}s1_000101_00.jpg", "{:04d}_c{}_f0046985.jpg", "{}_c{}.PNG"])
def test_market_reads_the_whole_camera_number(tmp_path: Path, camera: int, name: str) -> None:
    touch(tmp_path, ["bounding_box_train/0001_c1s1_1_00.jpg", "query/0002_c1s1_1_00.jpg"])
    touch(tmp_path, ["bounding_box_test/" + name.format(2, camera)])
    (found,) = market.load_market(tmp_path, check_counts=False).gallery
    assert (found.vehicle_id, found.camera_id) == (2, camera)


@pytest.mark.parametrize("name", ["0002_c1x_1.jpg", "0002_c.jpg", "0002_c²_1.jpg", "x0002_c1_1.jpg"])
def test_market_refuses_other_names(tmp_path: Path, name: str) -> None:
    make_market(tmp_path)
    touch(tmp_path, [f"query/{name}"])
    with pytest.raises(DataError, match="expected a name that starts like"):
        market.load_market(tmp_path, check_counts=False)


def test_identity_0_is_a_distractor_unless_it_is_asked_for(tmp_path: Path) -> None:
    make_market(tmp_path)
    touch(tmp_path, ["bounding_box_train/0000_c1s1_000451_03.jpg"])
    split = market.load_market(tmp_path, check_counts=False)
    assert 0 in {r.vehicle_id for r in split.train}
    assert sorted(r.vehicle_id for r in split.gallery) == [DISTRACTOR, JUNK, 1]
    (tmp_path / "bounding_box_train/0000_c1s1_000451_03.jpg").unlink()
    touch(tmp_path, ["query/0000_c1s1_000451_03.jpg"])
    split = market.load_market(tmp_path, check_counts=False)
    assert sorted(r.vehicle_id for r in split.gallery) == [JUNK, 0, 1]


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("veri776", "image_test/more/0002_c001_00030600_5.jpg"),
        ("market1501", "bounding_box_test/day2/0001_c2s1_000002_01.png"),
        ("folder", "red/loose.jpg"),
        ("synthcity", "crops/gallery/0003_c005_1.jpg"),
    ],
)
def test_pictures_that_would_be_left_out_are_named(tmp_path: Path, name: str, picture: str) -> None:
    MAKE[name](tmp_path)
    touch(tmp_path, [picture])
    with pytest.raises(DataError, match=rf"found 1 at another depth, .*{Path(picture).name} the first; move them"):
        DATASETS[name](tmp_path, check_counts=False)


def test_pictures_of_any_format_count(tmp_path: Path) -> None:
    touch(
        tmp_path, [f"{v}/{c}/1{suffix}" for v in "ab" for c, suffix in (("x", ".JPG"), ("y", ".png"), ("z", ".webp"))]
    )
    assert len(folder.records(tmp_path)) == 6


def test_synthcity_numbers_are_those_at_the_end(tmp_path: Path) -> None:
    touch(tmp_path, [f"crops/{part}/lorry7/north2_c01{n}_0.jpg" for part, n in (("query", 1), ("gallery", 2))])
    touch(tmp_path, ["crops/train/8/c1_0.jpg"])
    split = DATASETS["synthcity"](tmp_path)
    assert [(r.vehicle_id, r.camera_id) for r in split.query + split.gallery] == [(7, 11), (7, 12)]
    touch(tmp_path, ["crops/gallery/car7/c013_0.jpg"])
    with pytest.raises(DataError, match="expected every vehicle to end in a number of its own, got car7 and lorry7"):
        DATASETS["synthcity"](tmp_path)


@pytest.mark.parametrize(
    ("name", "option", "says"),
    [
        ("folder", {"held_out": "half"}, "held_out: input should be a valid number.*got 'half'"),
        ("folder", {"held_out": 1.5}, r"held_out: expected a share of the identities from 0 to 1, got 1\.5"),
        ("vehicleid", {"size": "x"}, "size: input should be a valid integer"),
        ("cuhk03", {"boxes": "drawn"}, "boxes: input should be 'detected' or 'labeled'"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(tmp_path: Path, name: str, option: dict[str, Any], says: str) -> None:
    MAKE[name](tmp_path)
    with pytest.raises(ConfigError, match=says):
        load_dataset(name, tmp_path, **option)


def test_cuhk03_splits(tmp_path: Path) -> None:
    make_cuhk03(tmp_path)
    first, second = (cuhk03.load(tmp_path, split=k, check_counts=False) for k in (0, 1))
    assert {r.vehicle_id for r in first.query} == {10_001, 20_002}
    assert {r.camera_id for r in first.query} == {1}
    assert {r.camera_id for r in first.gallery} == {2}
    assert {r.vehicle_id for r in second.query} == {10_002}
    with pytest.raises(ConfigError, match="expected a split 0 … 1, got 2"):
        cuhk03.load(tmp_path, split=2)


def test_cuhk03_unpacks_the_published_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    pictures = {}
    with h5py.File(tmp_path / "cuhk-03.mat", "w") as file:
        for boxes in ("detected", "labeled"):
            pairs = file.create_dataset(boxes, (1, 2), dtype=h5py.ref_dtype)
            for pair in range(2):
                entries = file.create_dataset(f"{boxes}{pair}", (10, 3), dtype=h5py.ref_dtype)
                pairs[0, pair] = entries.ref
                for number, person in np.ndindex(10, 3):
                    empty = number == 4
                    picture = np.zeros(2, np.uint64) if empty else rng.integers(0, 256, (12, 6, 3), np.uint8)
                    pictures[boxes, pair, person, number] = picture
                    data = file.create_dataset(f"{boxes}_{pair}_{person}_{number}", data=picture.T)
                    entries[number, person] = data.ref
        lists = file.create_dataset("testsets", (1, 2), dtype=h5py.ref_dtype)
        for k, tested in enumerate([[[1, 1], [2, 3]], [[1, 2]]]):
            lists[0, k] = file.create_dataset(f"list{k}", data=np.array(tested, float).T).ref
    split = cuhk03.load(tmp_path, check_counts=False)
    assert (len(split.train), len(split.query), len(split.gallery)) == (4 * 9, 2 * 4, 2 * 5)
    assert {r.vehicle_id for r in split.query} == {10_001, 20_003}
    read = cv2.imread(str(tmp_path / "detected/2_0003_2_07.png"))[..., ::-1]
    np.testing.assert_array_equal(read, pictures["detected", 1, 2, 7])


def test_cuhk03_without_h5py_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    touch(tmp_path, ["cuhk-03.mat"])
    with pytest.raises(Exception, match="unpacking CUHK03 needs the package h5py; pip install h5py"):
        cuhk03.load(tmp_path)


def test_viper_draws_halves(tmp_path: Path) -> None:
    make_viper(tmp_path)
    splits = [viper.load(tmp_path, split=k, check_counts=False) for k in range(3)]
    for split in splits:
        assert [r.vehicle_id for r in split.query] == [r.vehicle_id for r in split.gallery]
        assert len({r.vehicle_id for r in split.train}) == len(split.query) == 5
    assert len({tuple(r.vehicle_id for r in split.query) for split in splits}) > 1


def test_folder_holds_out_identities(tmp_path: Path) -> None:
    make_folder(tmp_path)
    split = folder.load(tmp_path)
    assert len({r.vehicle_id for r in split.train}) == len({r.vehicle_id for r in split.gallery}) == 2
    assert len({(r.vehicle_id, r.camera_id) for r in split.query}) == len(split.query)
    assert len(folder.load(tmp_path, held_out=0.0).train) == len(folder.load(tmp_path, held_out=1.0).gallery) == 24


def test_synthcity_reads_views_and_checks_queries(tmp_path: Path) -> None:
    make_synthcity(tmp_path)
    split = DATASETS["synthcity"](tmp_path)
    assert {r.path.name: r.view for r in split.train if r.vehicle_id == 1}["c001_0.jpg"] == 3
    assert {r.view for r in split.train} == {-1, 3}
    touch(tmp_path, ["crops/query/0004/c004_1.jpg"])
    with pytest.raises(DataError, match=r"c004_1\.jpg: this query is in no other camera"):
        DATASETS["synthcity"](tmp_path)


def test_a_split_shares_no_identity() -> None:
    a, b = Record(Path("a"), 1, 0), Record(Path("b"), 2, 0)
    with pytest.raises(
        DataError, match=r"x: the identity 1 occurs in training and in retrieval.*; take their pictures"
    ):
        DatasetSplit("x", "market", (a, b), (a,), ())
    assert DatasetSplit("x", "market", (a,), (b,), (Record(Path("c"), DISTRACTOR, 0),)).gallery
    with pytest.raises(ValueError, match="track item 1 is outside"):
        DatasetSplit("x", "market", (), (a,), (b,), (Track(2, 0, (1,)),))


def test_class_labels_are_ranks_of_identities() -> None:
    assert class_labels([Record(Path("a"), v, 0) for v in (30, 7, 30, 9)]).tolist() == [2, 0, 2, 1]
    assert class_labels([]).tolist() == []


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    for name in ("0.jpg", "._0.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in files(tmp_path, 1, "1.jpg", "")] == ["0.jpg"]


@pytest.mark.parametrize("view", ["9", "-2", "front", ""])
def test_a_viewpoint_of_synthcity_is_one_of_eight(tmp_path: Path, view: str) -> None:
    MAKE["synthcity"](tmp_path)
    write(tmp_path, "crops/index.csv", f"path,view\ntrain/0001/c001_0.jpg,{view}\n")
    with pytest.raises(DataError, match=rf"index\.csv:2: expected a viewpoint -1…7 in the column view, got '{view}'"):
        DATASETS["synthcity"](tmp_path)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("veri776", "image_train/0001_c001_00016451_0.jpg"),
        ("market1501", "bounding_box_test/0002_c1s1_000451_09.jpg"),
        ("folder", "red/west/9.jpg"),
        ("synthcity", "crops/gallery/0003/c005_9.jpg"),
    ],
)
def test_a_broken_link_is_named(tmp_path: Path, name: str, picture: str) -> None:
    """It would be left out in silence, and with it, where it is the only picture, a whole vehicle."""
    MAKE[name](tmp_path)
    link = tmp_path / picture
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=rf"found 1 links to pictures that are not there, .*{link.name} the first"):
        DATASETS[name](tmp_path, check_counts=False)


def test_a_broken_link_that_a_list_names_is_missing(tmp_path: Path) -> None:
    make_vehicleid(tmp_path)
    link = tmp_path / "image/0000003.jpg"
    link.rename(tmp_path / "moved.jpg")
    link.symlink_to(tmp_path / "moved.jpg")
    assert len(vehicleid.load(tmp_path, check_counts=False).train) == 3
    (tmp_path / "moved.jpg").unlink()
    with pytest.raises(DataError, match="the lists name 1 pictures that are not there"):
        vehicleid.load(tmp_path, check_counts=False)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    """A part of a data set is often made of links to the folders of some vehicles."""
    touch(tmp_path, ["all/red/west/1.jpg", "all/red/east/1.jpg", "part/blue/west/1.jpg"])
    (tmp_path / "part/red").symlink_to(tmp_path / "all/red")
    found = files(tmp_path / "part", 3, "", "")
    assert [path.relative_to(tmp_path / "part").as_posix() for path in found] == [
        "blue/west/1.jpg",
        "red/east/1.jpg",
        "red/west/1.jpg",
    ]
    (tmp_path / "all/red/west/again").symlink_to(tmp_path / "part")
    with pytest.raises(DataError, match="again: this link leads back to a folder that it is in"):
        files(tmp_path / "part", 3, "", "")


def test_a_picture_whose_name_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    assert (read_image(path) == image).all()
    path.write_bytes(b"")
    with pytest.raises(DataError, match="expected a picture, got something else"):
        read_image(path)


@pytest.mark.parametrize("name", ["99999999999999999999_c1s1_1.jpg", "0001_c99999999999999999999s1_1.jpg"])
def test_a_number_too_long_for_an_identity_is_no_market_name(tmp_path: Path, name: str) -> None:
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / name).touch()
    with pytest.raises(DataError, match="expected a name that starts like"):
        load_dataset("market1501", tmp_path, check_counts=False)
