from __future__ import annotations

from collections import Counter

from tools.synthcity.identity import draw_identity, fleet, lookalike_of
from tools.synthcity.shapes import SHAPES, VEHICLE_CLASSES, shapes_of


def test_every_class_has_several_shapes() -> None:
    assert len(VEHICLE_CLASSES) >= 8
    assert all(len(shapes_of(name)) >= 2 for name in VEHICLE_CLASSES)
    assert {shape.vehicle_class for shape in SHAPES.values()} == set(VEHICLE_CLASSES)


def test_a_seed_is_a_vehicle() -> None:
    assert draw_identity(7) == draw_identity(7)
    assert len({draw_identity(seed).plate for seed in range(200)}) == 200


def test_a_lookalike_differs_only_in_its_marks() -> None:
    first = draw_identity(3, "sedan")
    second = lookalike_of(first, 4)
    same = ("shape", "scale", "colour", "paint", "metallic", "style", "wheel", "trim", "rack")
    assert all(getattr(first, name) == getattr(second, name) for name in same)
    assert first.plate != second.plate


def test_a_fleet_has_the_asked_share_of_lookalikes() -> None:
    def looks(share: float) -> int:
        return len({(who.shape, who.paint, who.style, who.wheel) for who in fleet(1, 400, share)})

    assert looks(0.0) > 395
    assert 230 < looks(0.4) < 260


def test_colours_and_classes_are_those_of_the_road() -> None:
    vehicles = [draw_identity(seed) for seed in range(3000)]
    colours = Counter(who.colour for who in vehicles)
    classes = Counter(who.vehicle_class for who in vehicles)
    neutral = sum(colours[name] for name in ("white", "black", "grey", "silver"))
    assert 0.68 < neutral / 3000 < 0.82
    assert classes.most_common(1)[0][0] == "sedan"
    assert min(classes.values()) > 30
