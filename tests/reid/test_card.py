"""Cards: strict reading, writing, and where they are looked for."""

from __future__ import annotations

import json

import pytest

from reid.card import METADATA_KEY, Card, find_card, parse_card, read_card, write_card
from reid.errors import WeightsError

GOOD = {"size_hw": [256, 128], "dim": 512}


def test_what_is_written_comes_back(tmp_path):
    card = Card(
        size_hw=(208, 208),
        dim=64,
        name="cars",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        color="bgr",
        backbone="timm:resnet18",
        match_similarity=0.6,
        trained_on="VeRi-776",
        scores={"VeRi-776 mAP": 0.8},
        license="MIT",
        source="https://example.org",
    )
    write_card(card, tmp_path / "cars.json")
    assert read_card(tmp_path / "cars.json") == card


def test_defaults_stay_unwritten_and_come_back(tmp_path):
    write_card(Card(size_hw=(8, 8), dim=3), tmp_path / "card.json")
    assert "backbone" not in json.loads((tmp_path / "card.json").read_text())
    assert read_card(tmp_path / "card.json") == Card(size_hw=(8, 8), dim=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sise_hw": [1, 1]}, "unknown key sise_hw; did you mean size_hw?"),
        ({"size_hw": 256}, r"size_hw: expected two whole numbers of pixels from 1, \[height, width\], got 256"),
        ({"size_hw": [256, 0]}, "size_hw: expected"),
        ({"dim": True}, "dim: expected a whole number from 1, got true"),
        ({"std": [1, 0, 1]}, "std: expected three numbers above 0"),
        ({"mean": [1, 0]}, "mean: expected three numbers"),
        ({"interpolation": "nearest"}, 'interpolation: expected "linear" or "cubic", got "nearest"'),
        ({"color": "gray"}, 'color: expected "rgb" or "bgr", got "gray"'),
        ({"match_similarity": 2}, "match_similarity: expected"),
        ({"scores": {"mAP": "high"}}, "scores: expected an object of numbers"),
        ({"license": 3}, "license: expected a text, got 3"),
    ],
)
def test_a_mistake_is_named(change, message):
    with pytest.raises(WeightsError, match=message):
        parse_card({**GOOD, **change})


def test_a_missing_key_is_named():
    with pytest.raises(WeightsError, match="expected a key dim"):
        parse_card({"size_hw": [1, 1]})


def test_a_file_that_is_no_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "card.json"
    path.write_text('{\n"dim": 3,\n}')
    with pytest.raises(WeightsError, match=r"card\.json:\d: expected JSON"):
        read_card(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="no text"):
        read_card(path)
    with pytest.raises(WeightsError, match="cannot read"):
        read_card(tmp_path / "none.json")


def test_cards_are_looked_for_in_order(tmp_path):
    def card(dim):
        return json.dumps({**GOOD, "dim": dim})

    weights = tmp_path / "osnet_x0_25_msmt17.onnx"
    packaged = find_card(weights)
    assert packaged is not None
    assert (packaged.dim, packaged.size_hw) == (512, (256, 128))

    inside = {METADATA_KEY: card(1)}
    assert find_card(weights, metadata=inside).dim == 1
    weights.with_suffix(".json").write_text(card(2))
    assert find_card(weights, metadata=inside).dim == 2
    explicit = tmp_path / "other.json"
    explicit.write_text(card(3))
    assert find_card(weights, explicit, inside).dim == 3

    assert find_card(tmp_path / "unknown.onnx") is None
    (tmp_path / "card.json").write_text(card(4))
    assert find_card(tmp_path).dim == 4
