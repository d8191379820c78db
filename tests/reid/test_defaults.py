"""The defaults of the methods in one table beside the papers; and the values that they accept.

Where a paper is silent or contradicts its program, the comment says whose value it is. Values not named by either are
those of the baseline that the papers start from: Luo et al., "Bag of tricks and a strong baseline", 2019. What the
shipped configurations say beside each printed value is in test_papers.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reid.methods import METHODS, viewpoints
from reid.methods.ssbver import teacher_temperature

#: Convolutional networks: the published schedules.
CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    # Luo et al.: Adam, 3.5e-4 after a rise of ten epochs, a tenth of it from epochs 40 and 70 of 120.
    "baseline": {
        "epochs": 120,
        "batch": 64,
        "images_per_identity": 4,
        "optimizer": "adam",
        "learning_rate": 3.5e-4,
        "new_layers": 1.0,
        "weight_decay": 5e-4,
        "warm_up_epochs": 10,
        "warm_up_start": 0.01,
        "decay": "steps",
        "milestones": (40, 70),
        "step_factor": 0.1,
    },
    # The paper's 60 epochs of shuffled batches of 256 at 0.01; Nesterov, decay and the rate of the neck: its program.
    "ssml": {
        "epochs": 60,
        "batch": 256,
        "images_per_identity": 0,
        "optimizer": "sgd",
        "nesterov": True,
        "learning_rate": 0.01,
        "new_layers": 10,
        "weight_decay": 5e-4,
        "warm_up_epochs": 0,
        "decay": "steps",
        "milestones": (40,),
        "step_factor": 0.1,
    },
    # 120 epochs, the rate rises in ten; 32 identities by 4, 5e-4 and its decay at 40, 70, 100: the program's.
    "ssbver": {
        "epochs": 120,
        "batch": 128,
        "images_per_identity": 4,
        "optimizer": "adam",
        "learning_rate": 5e-4,
        "new_layers": 1.0,
        "weight_decay": 1e-3,
        "warm_up_epochs": 10,
        "warm_up_start": 0.01,
        "decay": "steps",
        "milestones": (40, 70, 100),
        "step_factor": 0.1,
    },
    # VeRi-776: 7 identities by 4, Adam without a rise, a tenth at 20, 40 and 60 of 80.
    "sgfd": {
        "epochs": 80,
        "batch": 28,
        "images_per_identity": 4,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "new_layers": 1.0,
        "weight_decay": 5e-4,
        "warm_up_epochs": 0,
        "decay": "steps",
        "milestones": (20, 40, 60),
        "step_factor": 0.1,
    },
    # 130 shuffled epochs of 32; Nesterov, five times the rate for new layers and its decay every 40: the program.
    "slsr": {
        "epochs": 130,
        "batch": 32,
        "images_per_identity": 0,
        "optimizer": "sgd",
        "nesterov": True,
        "learning_rate": 0.01,
        "new_layers": 5,
        "weight_decay": 5e-4,
        "warm_up_epochs": 0,
        "decay": "steps",
        "milestones": (40, 80, 120),
        "step_factor": 0.1,
    },
}
CONVOLUTIONAL["val"] = CONVOLUTIONAL["baseline"]  # the paper names no schedule

#: Transformers, for which SSBVER alone has a schedule: AdamW, 1e-4 to 1.6e-5 by a cosine.
SSBVER_TRANSFORMER: dict[str, Any] = {
    "epochs": 120,
    "optimizer": "adamw",
    "learning_rate": 1e-4,
    "new_layers": 1.0,
    "weight_decay": 1e-4,
    "warm_up_epochs": 10,
    "decay": "cosine",
    "cosine_end": 0.16,
}
#: The other methods keep the length and batches of their own schedule, with the optimizer of a transformer.
GENTLE: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 5e-5,
    "weight_decay": 1e-4,
    "warm_up_epochs": 5,
    "decay": "cosine",
    "cosine_end": 0.0,
}
_KEPT = ("epochs", "batch", "images_per_identity", "new_layers")


def _kept(method: str) -> dict[str, Any]:
    return {name: CONVOLUTIONAL[method][name] for name in _KEPT}


TRANSFORMER: dict[str, dict[str, Any]] = {
    "baseline": {**SSBVER_TRANSFORMER, "batch": 64, "images_per_identity": 4},
    "val": {**SSBVER_TRANSFORMER, "batch": 64, "images_per_identity": 4},
    "ssbver": {**SSBVER_TRANSFORMER, "batch": 128, "images_per_identity": 4},
    "ssml": {**_kept("ssml"), **GENTLE},
    "sgfd": {**_kept("sgfd"), **GENTLE},
    "slsr": {**_kept("slsr"), **GENTLE},
}

#: Options: the default; then, for numbers, the least value that is accepted and one beyond it that is not.
OPTIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "baseline": {
        "size_hw": ((256, 256),),
        "last_stride": (1, 1, 0),
        "recipe": ("baseline",),
        "smoothing": (0.1, 0, -0.1),
        "margin": (None, 0.01, 0),
        "triplet_on": ("pooled",),
        "triplet_weight": (1.0, 0, -1),
    },
    "ssml": {
        "size_hw": ((256, 128),),
        "last_stride": (1, 1, 0),
        "crop": ("resized",),  # the program's crop is for standing persons
        "threshold": (0.6, 0.01, 0),  # τ
        "share": (0.01, 0.001, 0),  # γ
        "weight": (0.4, 0, -0.1),  # σ, best in table II and in the program; 0.2 in the text
        "reduction": ("mean",),  # the program's
        "mining": ("paper",),
        "mine_from_epoch": (6, 0, -1),  # "after 5 epochs"
        "mine_every": ("step",),
        "dictionary_start": ("features",),  # D⁰ = z⁰
        "renew_every": (5, 1, 0),
        "renew_as": ("test",),
        "with_gallery": (False,),
    },
    "ssbver": {
        "size_hw": ((256, 256),),
        "last_stride": (1, 1, 0),
        "local_views": (4, 0, -1),  # L, best in figure 8
        "local_size_hw": ((112, 112),),
        "weight": (0.005, 0, -1),  # λ_s, the program's
        "objective": ("cross_entropy",),
        "outputs": (1024, 2, 1),  # E, the program's for VeRi-776
        "hidden": (2048, 2, 1),
        "smoothing": (0.2, 0, -0.1),
        "margin": (None, 0.01, 0),  # soft, equation 1
        "triplet_on": ("pooled",),
        "student_temperature": (0.1, 0.01, 0),  # τ_s
        "teacher_temperatures": ((0.0005, 0.001),),  # τ_t, linear in the first ten epochs
        "temperature_epochs": (10, 1, 0),
        "center_momentum": (0.9, 0, -0.1),
        "average_momentum": (0.9995, 0, -0.1),
        "drop_path": (0.1, 0, -0.1),
        "stem_relu": (True,),
    },
    "val": {
        "size_hw": ((256, 256),),
        "last_stride": (1, 1, 0),
        "views": (2, 1, 0),  # V, best of 2, 4 and 8
        "scale": (48.0, 0.1, 0),  # γ
        "margin": (0.5, 0, -0.1),  # m
        "detach_weights": (True,),
        "reunion_weight": (1.0, 0, -1),  # λ
        "neck": (True,),
        "triplet_weight": (0.0, 0, -1),
        "annotation": (None,),
        "labels": (None,),
        "unknown": ("nearest",),
        "classifier_epochs": (30, 1, 0),
    },
    "sgfd": {
        "size_hw": ((256, 256),),
        "last_stride": (1, 1, 0),
        "branches": ("attention",),
        "smoothing": (0.1, 0, -0.1),
        "margin": (0.5, 0.01, 0),  # VeRi-776
        "triplet_on": ("pooled",),
        "rotation_weight": (1.0, 0, -1),  # λ, best of 0.1, 1 and 2
        "rotations": ("one",),  # of the four, as the program
        "window": (7, 3, 2),  # K, best of 7, 11 and 15
        "exponent": ("scaled",),  # the program's
        "gain": ("one",),
        "encoder": ("resnet18",),
        "encoder_weights": (None,),
    },
    "slsr": {
        "size_hw": ((256, 256),),
        "last_stride": (2, 1, 0),
        "generated": (12_000, 0, -1),  # Market-1501 and DukeMTMC
        "targets": ("cluster",),  # equations 9 and 10
        "clusters": (3, 1, 0),  # k, best of 2 to 5
        "feature_epochs": (40, 1, 0),
        "gan_epochs": (30, 1, 0),
        "gan_batch": (64, 2, 1),
        "gan_width": (64, 1, 0),
        "gan_side": (128,),
        "noise_layer": ("none",),
        "flip_test": (True,),
    },
}
#: The greatest value that is accepted, and one beyond it that is not.
GREATEST: list[tuple[str, str, Any, Any]] = [
    *((method, "last_stride", 2, 3) for method in OPTIONS),
    *((method, "smoothing", 0.99, 1) for method in ("baseline", "ssbver", "sgfd")),
    ("ssml", "threshold", 0.99, 1),
    ("ssml", "share", 1, 1.1),
    ("ssbver", "center_momentum", 1, 1.1),
    ("ssbver", "average_momentum", 1, 1.1),
    ("ssbver", "drop_path", 0.99, 1),
    ("val", "margin", 1, 1.1),
]


def test_the_methods_are_those_of_the_table() -> None:
    assert set(METHODS) == set(OPTIONS) == set(CONVOLUTIONAL) == set(TRANSFORMER)
    for name, entry in METHODS.items():
        assert entry.config.__module__ == entry.method.__module__ == f"reid.methods.{name}"
        assert set(entry.config.schedules) == {"cnn", "transformer"}


@pytest.mark.parametrize("method", OPTIONS)
def test_schedules_are_the_published_ones(method: str) -> None:
    for family, table in (("cnn", CONVOLUTIONAL), ("transformer", TRANSFORMER)):
        schedule = METHODS[method].config.schedules[family]  # type: ignore[index]
        assert {name: getattr(schedule, name) for name in table[method]} == table[method], family


@pytest.mark.parametrize("method", OPTIONS)
def test_options_default_to_the_published_values(method: str) -> None:
    config = METHODS[method].config()
    assert {name: getattr(config, name) for name in OPTIONS[method]} == {
        name: default for name, (default, *_) in OPTIONS[method].items()
    }
    # A default is a value that may be given as well.
    assert METHODS[method].config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("method", "name", "accepted", "refused"),
    [
        *((m, name, *rest) for m, fields in OPTIONS.items() for name, (_, *rest) in fields.items() if rest),
        *GREATEST,
    ],
)
def test_numbers_have_bounds(method: str, name: str, accepted: Any, refused: Any) -> None:
    config = METHODS[method].config
    assert getattr(config.model_validate({name: accepted}), name) == accepted
    with pytest.raises(ValidationError):
        config.model_validate({name: refused})


@pytest.mark.parametrize(
    ("method", "name", "choices"),
    [
        ("baseline", "recipe", ["baseline", "video", "street"]),
        ("baseline", "triplet_on", ["pooled", "embedding"]),
        ("ssml", "crop", ["resized", "none"]),
        ("ssml", "reduction", ["mean", "sum"]),
        ("ssml", "mining", ["paper", "released"]),
        ("ssml", "mine_every", ["step", "epoch"]),
        ("ssml", "dictionary_start", ["features", "zeros"]),
        ("ssml", "renew_as", ["test", "train"]),
        ("ssbver", "objective", ["cross_entropy", "rmse"]),
        ("val", "views", [1, 2, 4, 8]),
        ("val", "reunion", ["pair_mean_sum", "pair_mean_mean", "literal"]),
        ("val", "unknown", ["nearest", "classify"]),
        ("sgfd", "branches", ["global", "attention"]),
        ("sgfd", "exponent", ["scaled", "raw"]),
        ("sgfd", "rotations", ["one", "all"]),
        ("sgfd", "gain", ["one", "places"]),
        ("sgfd", "encoder", ["resnet18", "resnet18_x0_25"]),
        ("slsr", "targets", ["cluster", "all"]),
        ("slsr", "gan_side", [32, 64, 128]),
        ("slsr", "noise_layer", ["none", "feature", "output"]),
    ],
)
def test_every_named_choice_is_accepted(method: str, name: str, choices: list[Any]) -> None:
    config = METHODS[method].config
    assert [getattr(config.model_validate({name: choice}), name) for choice in choices] == choices
    with pytest.raises(ValidationError):
        config.model_validate({name: "something else"})


def test_the_temperature_of_the_teacher_may_rise_at_once() -> None:
    at_once = METHODS["ssbver"].config.model_validate({"temperature_epochs": 1})
    assert teacher_temperature(at_once, 1) == pytest.approx(0.001)  # type: ignore[arg-type]


def test_viewpoints_are_numbered_as_in_the_published_annotation() -> None:
    """0 front, 1 rear, 2 left, 3 left-front, 4 left-rear, 5 right, 6 right-front, 7 right-rear."""
    front, rear, left, left_front, left_rear, right, right_front, right_rear = range(8)
    halves, quarters = viewpoints.SUBCLASS[2], viewpoints.SUBCLASS[4]
    assert {halves[v] for v in (front, left_front, right_front)} == {0}
    assert {halves[v] for v in (rear, left_rear, right_rear)} == {1}
    assert {halves[v] for v in (left, right)} == {-1}
    assert (quarters[front], quarters[rear]) == (0, 1)
    assert {quarters[v] for v in (left, left_front, left_rear)} == {2}
    assert {quarters[v] for v in (right, right_front, right_rear)} == {3}
    assert viewpoints.SUBCLASS[8] == tuple(range(8))
    assert set(viewpoints.SUBCLASS[1]) == {0}
    swapped = {left: right, left_front: right_front, left_rear: right_rear}
    mirrored = [{**swapped, **{b: a for a, b in swapped.items()}}.get(v, v) for v in range(8)]
    assert list(viewpoints.MIRRORED[8]) == mirrored
    assert [viewpoints.MIRRORED[count] for count in (1, 2, 4)] == [(0,), (0, 1), (0, 1, 3, 2)]
