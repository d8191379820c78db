"""Backbones: published sizes, any image size, cutting at stride 8, weights from files."""

from __future__ import annotations

import copy
import logging
import re
import zipfile
from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.errors import ConfigError, WeightsError
from reid.networks import BACKBONES, build, family_of
from reid.networks.convolutional import resnet
from reid.networks.narrow import narrow_resnet
from reid.networks.timm import timm_backbone

TINY_TIMM = ["timm:vit_tiny_patch16_224", "timm:swin_tiny_patch4_window7_224", "timm:convnext_atto"]


def parameters(name: str) -> float:
    with torch.device("meta"):
        net = BACKBONES[name](name)
    return round(sum(p.numel() for p in net.parameters()) / 1e6, 2)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet50", 23.51), ("resnet50_ibn_a", 23.51), ("densenet121", 6.95), ("resnet18_x0_25", 0.7)],
)
def test_parameter_counts(name: str, millions: float) -> None:
    assert parameters(name) == millions


def test_osnet_has_the_published_size() -> None:
    """2.2 million parameters, and at each width what the layers of the paper's table 1 come to."""

    def light(c: int) -> int:
        return c * c + 9 * c + 2 * c

    def gate(c: int) -> int:
        inner = max(1, c // 16)
        return c * inner + inner + inner * c + c

    def block(a: int, b: int) -> int:
        c = b // 4
        shortcut = a * b + 2 * b if a != b else 0
        return a * c + 2 * c + (1 + 2 + 3 + 4) * light(c) + gate(c) + c * b + 2 * b + shortcut

    for name, width in (("osnet_x1_0", 1.0), ("osnet_x0_5", 0.5), ("osnet_x0_25", 0.25)):
        first, *rest = (int(c * width) for c in (64, 256, 384, 512))
        layers = [49 * 3 * first + 2 * first]
        for a, b in pairwise([first, *rest]):
            layers += [block(a, b), block(b, b), b * b + 2 * b]
        layers += [rest[-1] * 512 + 512, 2 * 512]
        with torch.device("meta"):
            assert sum(p.numel() for p in BACKBONES[name](name).parameters()) == sum(layers)
    assert parameters("osnet_x1_0") == pytest.approx(2.2, abs=0.05)


def by_hand(block: Any, x: torch.Tensor) -> torch.Tensor:
    """An omni-scale block with running statistics, from its weights alone."""

    def norm(x: torch.Tensor, layer: Any) -> torch.Tensor:
        scale = layer.weight / (layer.running_var + layer.eps).sqrt()
        return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]

    def pointwise(x: torch.Tensor, layer: Any) -> torch.Tensor:
        mixed = torch.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], x)
        return mixed if layer.bias is None else mixed + layer.bias[:, None, None]

    def light(x: torch.Tensor, layers: Any) -> torch.Tensor:
        mixed, weight = torch.nn.functional.pad(pointwise(x, layers[0]), (1, 1, 1, 1)), layers[1].weight
        height, width = x.shape[2:]
        taps = [
            weight[:, 0, i, j][:, None, None] * mixed[:, :, i : i + height, j : j + width]
            for i in range(3)
            for j in range(3)
        ]
        return norm(sum(taps), layers[2]).clamp(min=0)

    def gated(x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        inner = pointwise(mean, block.gate.weigh[1]).clamp(min=0)
        return x / (1 + (-pointwise(inner, block.gate.weigh[3])).exp())

    reduced = norm(pointwise(x, block.reduce[0]), block.reduce[1]).clamp(min=0)
    mixed = torch.zeros(())
    for count, stream in enumerate(block.streams, start=1):
        assert len(stream) == count
        seen = reduced
        for layers in stream:
            seen = light(seen, layers)
        mixed = mixed + gated(seen)
    expanded = norm(pointwise(mixed, block.expand[0]), block.expand[1])
    same = isinstance(block.shortcut, torch.nn.Identity)
    assert same == (x.shape[1] == expanded.shape[1])
    return (expanded + (x if same else norm(pointwise(x, block.shortcut[0]), block.shortcut[1]))).clamp(min=0)


def test_omni_scale_blocks_by_hand() -> None:
    """One to four 3 × 3 convolutions in a row, weighed by one gate, summed, and beside a shortcut."""
    torch.manual_seed(0)
    body = BACKBONES["osnet_x0_25"]("osnet_x0_25").eval().body
    x = torch.randn(2, 16, 6, 5)
    with torch.no_grad():
        for layer in body.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                for value in (layer.weight, layer.bias, layer.running_mean):
                    value.normal_()
                layer.running_var.uniform_(0.5, 2)
        for block in body[0][2:4]:
            expected = by_hand(block, x)
            torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)
            x = expected


@pytest.mark.parametrize("options", [{}, {"last_stride": 2}, {"stem_relu": False}])
def test_a_narrow_network_of_full_width_is_the_resnet_of_torchvision(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs = resnet("resnet18", **options).eval()
    ours = narrow_resnet("resnet18", width=1.0, **options).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 37, 50)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours.split()[0](x), theirs.split()[0](x), atol=1e-4, rtol=1e-4)
    assert ours.split()[2] == theirs.split()[2] == 128


def test_a_narrow_network_begins_with_the_spread_of_its_authors() -> None:
    """He et al.: a deviation of √(2 / n) of n values that a filter's output feeds."""
    torch.manual_seed(0)
    body = BACKBONES["resnet18_x0_25"]("resnet18_x0_25").body
    assert body.layer4[1].conv1.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert body.conv1.weight.std().item() == pytest.approx((2 / (16 * 49)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", [*BACKBONES, *TINY_TIMM])
def test_pools_several_sizes_to_the_declared_channels(name: str) -> None:
    net = build(name, sizes=[(64, 64), (32, 32)]).eval()
    with torch.no_grad():
        for size in (64, 32):
            assert net(torch.zeros(2, 3, size, size)).shape == (2, net.dim)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "resnet18_x0_25", "resnet50_ibn_a", "densenet121", "osnet_x0_25", *TINY_TIMM[1:]),
        *("timm:mobilenetv2_100", "timm:tf_efficientnet_lite0"),
    ],
)
def test_halves_compose_to_the_whole(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, sizes=[(64, 64)]).eval()
    lower, upper, channels = net.split()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        middle = lower(x)
        assert middle.shape == (1, channels, 8, 8)
        assert torch.allclose(copy.deepcopy(upper)(middle), net(x), atol=1e-5)


def test_a_copy_is_independent_of_its_original() -> None:
    net = build("timm:convnext_atto", sizes=[(32, 32)]).eval()
    twin = copy.deepcopy(net)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = net(x)
        for parameter in twin.parameters():
            parameter.zero_()
        assert torch.equal(net(x), before)
        assert not torch.equal(twin(x), before)


def test_strides_and_stem() -> None:
    x = torch.zeros(1, 3, 64, 64)
    assert build("resnet18").features(x).shape[2:] == (4, 4)
    assert build("resnet18", last_stride=2).features(x).shape[2:] == (2, 2)
    assert build("densenet121", last_stride=2).features(x).shape[2:] == (2, 2)
    assert len(build("resnet18", stem_relu=False).body) == 7


@pytest.mark.parametrize("name", ["timm:vgg11_bn", "timm:mobilenetv3_small_050", "timm:efficientnet_b0"])
def test_other_networks_of_timm(name: str) -> None:
    net = build(name, sizes=[(64, 64), (32, 32)], drop_path=0.1).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, net.dim)


def test_a_fresh_network_has_seen_nothing() -> None:
    """That its size is tried out on an image leaves no trace, and it is not fetched unless asked."""
    net = timm_backbone("mobilenetv3_small_050", sizes=[(64, 64)])
    norms = [layer for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert {int(layer.num_batches_tracked) for layer in norms} == {0}
    assert all(layer.running_mean.abs().max() == 0 for layer in norms)
    assert net.training
    assert build("resnet18_x0_25").training


def test_vision_transformer_has_no_map_to_attend_to() -> None:
    net = build(TINY_TIMM[0], sizes=[(32, 32)])
    with pytest.raises(ConfigError, match="no feature map"):
        net.split()
    with pytest.raises(ConfigError, match="no feature map"):
        net.features(torch.zeros(1, 3, 32, 32))


def test_impossible_choices_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown backbone resnet51"):
        build("resnet51")
    with pytest.raises(ConfigError, match=r"timm has no network resnet5x; did you mean (\w*resnet5\w*,? ?){3}\?"):
        build("timm:resnet5x")
    with pytest.raises(ConfigError, match=r"timm has no network nothing_at_all; timm.list_models"):
        build("timm:nothing_at_all")
    with pytest.raises(ConfigError, match="does not take images of 33 × 33"):
        build(TINY_TIMM[0], sizes=[(32, 32), (33, 33)])
    with pytest.raises(ConfigError, match="does not take images of 8 × 8"):
        build("timm:vgg11_bn", sizes=[(8, 8)])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "densenet121", "timm:vit_tiny_patch16_224"])
def test_weights_from_a_file(tmp_path: Path, name: str, suffix: str) -> None:
    from safetensors.torch import save_file

    source = build(name, sizes=[(32, 32)]).eval()
    net = source.body.net if name.startswith("timm") else source.body
    path = tmp_path / f"weights{suffix}"
    state = {k: v.clone() for k, v in net.state_dict().items()}
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
        if name.startswith("timm"):
            torch.save(state, path)
    else:
        save_file(state, path)
    loaded = build(name, sizes=[(32, 32)], weights=path).eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(x), source(x))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(build("resnet18").body.state_dict(), path)
    with pytest.raises(WeightsError, match=r"expected weights of resnet50"):
        build("resnet50", weights=path)
    (tmp_path / "noise.pth").write_bytes(b"noise")
    with pytest.raises(WeightsError, match="unreadable"):
        build("resnet18", weights=tmp_path / "noise.pth")
    with pytest.raises(WeightsError, match="no such file"):
        build("resnet18", weights=tmp_path / "none.pth")


def wrapped(state: dict[str, torch.Tensor], wrapper: str, prefix: str) -> dict[str, Any]:
    """A state as another program saves it, with an optimizer's state and a score of NumPy beside it."""
    inside: Any = {f"{prefix}{name}": value for name, value in state.items()}
    for key in reversed(wrapper.split(".") if wrapper else []):
        inside = {key: inside}
    return {**inside, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "best_map": np.float64(0.5)}


@pytest.mark.parametrize("wrapper", ["", "state_dict", "model_state_dict", "net", "checkpoint.model"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "base.", "model.", "module.net.backbone."])
def test_weights_under_the_names_of_other_programs(tmp_path: Path, wrapper: str, prefix: str) -> None:
    source = build("resnet18_x0_25").body.state_dict()
    torch.save(wrapped({**source, "fc.weight": torch.zeros(5, 2)}, wrapper, prefix), tmp_path / "weights.pth")
    loaded = build("resnet18_x0_25", weights=tmp_path / "weights.pth").body.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in source.items())


def test_of_several_networks_the_most_complete_is_named(tmp_path: Path) -> None:
    state, path = build("resnet18_x0_25").body.state_dict(), tmp_path / "weights.pth"
    half = dict(list(state.items())[:50])
    torch.save({"a": {"conv1.weight": state["conv1.weight"]}, "b": half, "c": {"conv1.weight": 0}}, path)
    with pytest.raises(WeightsError, match=r"its names begin with 'b\.', and \d+ of \d+ are missing, b\.layer"):
        build("resnet18_x0_25", weights=path)


@pytest.mark.parametrize("package", ["core", "_core"])
def test_scores_of_either_numpy_do_not_keep_a_file_closed(tmp_path: Path, package: str) -> None:
    """NumPy 2 moved the function that rebuilds its numbers; files name the one of the program that wrote them."""
    state, path = build("resnet18_x0_25").body.state_dict(), tmp_path / "weights.pth"
    torch.save({"model": state, "best_map": np.float64(0.5)}, tmp_path / "ours.pth")
    with zipfile.ZipFile(tmp_path / "ours.pth") as ours, zipfile.ZipFile(path, "w") as renamed:
        for entry in ours.infolist():
            content = ours.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = re.sub(rb"numpy\._?core\.multiarray", f"numpy.{package}.multiarray".encode(), content)
                assert f"numpy.{package}.multiarray".encode() in content
            renamed.writestr(entry.filename, content)
    loaded = build("resnet18_x0_25", weights=path).body.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_the_true_reason_of_a_refusal_is_said(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.pth", build("resnet18_x0_25").body.state_dict()

    def refusal(content: Any, backbone: str = "resnet18_x0_25") -> str:
        torch.save(content, path)
        with pytest.raises(WeightsError) as error:
            build(backbone, weights=path)
        return str(error.value)

    assert "more than tensors, a argparse.Namespace among them" in refusal({**state, "args": Namespace(lr=1)})
    assert "more than tensors, a torch.nn.modules.linear.Linear" in refusal(torch.nn.Linear(2, 2))
    assert "found none in a list; save the network's state_dict()" in refusal([1, 2])
    assert "2 times, under 'student.', 'teacher.'" in refusal({"student": state, "teacher": state})
    assert "its names begin with 'model.', and 165 of 265 are missing" in refusal({"model": state}, "resnet50")
    assert "no name ends in 0.0.0.weight; its names are such as conv1.weight" in refusal(state, "osnet_x0_25")
    wide = {**state, "conv1.weight": torch.zeros(64, 3, 7, 7)}
    assert "conv1.weight of resnet18_x0_25 with shape (16, 3, 7, 7), got (64, 3, 7, 7)" in refusal(wide)
    with pytest.raises(WeightsError, match="got a folder"):
        build("resnet18_x0_25", weights=tmp_path)


def test_without_a_connection_one_sentence_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import timm

    def offline(*arguments: Any, **choices: Any) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no route\nto the host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        WeightsError, match=r"^weights of vit_tiny_patch16_224 cannot be fetched, perhaps for want of"
    ):
        build("timm:vit_tiny_patch16_224", pretrained=True)
    assert not caplog.records
    assert logging.getLogger("huggingface_hub").level != logging.ERROR


@pytest.mark.parametrize(
    "name", ["deit_tiny", "swinv2_tiny", "convnextv2_atto", "eva02_tiny", "beit_base", "cait_xxs24", "xcit_nano"]
)
def test_relatives_of_transformers_are_trained_as_transformers(name: str) -> None:
    assert family_of(f"timm:{name}") == family_of(name) == "transformer"


@pytest.mark.parametrize(
    ("name", "size"), [(TINY_TIMM[0], 32), ("timm:convnext_atto", 32), ("timm:eva02_tiny_patch14_224", 28)]
)
def test_a_network_knows_its_family(name: str, size: int) -> None:
    assert build(name, sizes=[(size, size)]).family == family_of(name)


def test_family_from_the_name() -> None:
    assert build("resnet18_x0_25").family == build("timm:resnet10t", sizes=[(32, 32)]).family == "cnn"
    assert family_of("resnet50") == family_of("timm:resnet26") == "cnn"
    assert family_of("vit_base_patch16_224") == family_of("timm:swin_tiny_patch4_window7_224") == "transformer"


@pytest.mark.parametrize("name", ["resnet18_x0_25", "timm:resnet10t", "timm:mobilenetv2_100", "timm:convnext_atto"])
def test_starts_from_an_embedder_of_a_training(name: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    first = build(name, sizes=[(32, 32)])
    state = {f"backbone.{name}": value.contiguous() for name, value in first.state_dict().items()}
    save_file({**state, "neck.weight": torch.ones(first.dim)}, tmp_path / "embedder.safetensors")
    second = build(name, sizes=[(32, 32)], weights=tmp_path / "embedder.safetensors")
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(first.eval()(x), second.eval()(x))


def test_position_embeddings_of_another_size_are_resized(tmp_path: Path) -> None:
    """A ViT of 224 px starts one of 64 px: all but the position embeddings is the same."""
    from safetensors.torch import save_file

    large = build("timm:vit_tiny_patch16_224", sizes=[(224, 224)]).state_dict()
    save_file({f"module.{n}": v.contiguous() for n, v in large.items()}, tmp_path / "vit.safetensors")
    small = build("timm:vit_tiny_patch16_224", sizes=[(64, 64)], weights=tmp_path / "vit.safetensors").state_dict()
    assert small["body.net.pos_embed"].shape == (1, 17, 192)
    assert all(torch.equal(small[n], v) for n, v in large.items() if n != "body.net.pos_embed")


@pytest.mark.parametrize("name", ["timm:mobilenetv2_100", "timm:vit_tiny_patch16_224"])
def test_weights_of_another_network_are_refused_by_timm_networks(name: str, tmp_path: Path) -> None:
    """They would leave the network as it was, noise."""
    torch.save(build("resnet18_x0_25").state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth: expected weights of .*no name ends in"):
        build(name, weights=tmp_path / "other.pth")
