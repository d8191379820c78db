"""Loading embedders of every kind. The tiny networks average each channel, so their embeddings are known by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reid.card import METADATA_KEY, Card, write_card
from reid.data.augment import resize
from reid.data.images import read_image
from reid.errors import ConfigError, WeightsError
from reid.inference import Embedder, load_embedder, measure_dim

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.125)
CARD = Card(size_hw=(6, 4), dim=3, name="means", mean=MEAN, std=STD)


def pictures(count, size_hw=(6, 4)):
    return np.random.default_rng(5).integers(0, 256, (count, *size_hw, 3), np.uint8)


def channel_means(images, channels=(0, 1, 2)):
    """What a network of channel means gives, in float64."""
    means = images.astype(float).mean(axis=(1, 2))[:, channels] / 255
    return (means - MEAN) / STD


def write_onnx(path, batch="n", size_hw=(6, 4), metadata=None):
    nodes = [helper.make_node("ReduceMean", ["images"], ["embedding"], axes=[2, 3], keepdims=0)]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, *size_hw])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("exact", [False, True])
def test_flip_test_is_the_mean_of_both_ways_round(exact):
    """A network that sees the left column alone: together with the mirror image it sees the mean of both edges."""
    embedder = Embedder(CARD, lambda images: images[:, :, :, 0].mean(axis=2), batch=3, exact=exact)
    images = pictures(7)
    edges = images[:, :, [0, -1]].astype(float)
    flipped = embedder.with_flip_test()
    np.testing.assert_allclose(flipped(images), channel_means(edges), atol=1e-5)
    np.testing.assert_allclose(flipped(images[:, :, ::-1]), flipped(images), atol=1e-6)
    np.testing.assert_allclose(embedder(images), channel_means(edges[:, :, :1]), atol=1e-5)
    assert (flipped.card, flipped.batch, flipped.dim) == (embedder.card, 3, 3)


@pytest.mark.parametrize("batch", ["n", 1, 5])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_onnx_gives_the_channel_means_in_any_batch(tmp_path, batch, runtime):
    path = write_onnx(tmp_path / "means.onnx", batch)
    write_card(CARD, tmp_path / "means.json")
    embedder = load_embedder(path, runtime=runtime)
    assert (embedder.name, embedder.size_hw, embedder.dim) == ("means", (6, 4), 3)
    images = pictures(37)
    given = embedder(images)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, channel_means(images), rtol=0, atol=1e-5)
    assert embedder(images[:0]).shape == (0, 3)


def test_bgr_networks_get_their_channels_in_their_order(tmp_path):
    path = write_onnx(tmp_path / "means.onnx")
    write_card(Card(size_hw=(6, 4), dim=3, mean=MEAN, std=STD, color="bgr"), tmp_path / "means.json")
    images = pictures(3)
    np.testing.assert_allclose(load_embedder(path)(images), channel_means(images, (2, 1, 0)), rtol=0, atol=1e-5)


def test_a_card_inside_an_onnx_file_is_found(tmp_path):
    path = write_onnx(tmp_path / "means.onnx", metadata={METADATA_KEY: '{"size_hw": [6, 4], "dim": 3, "name": "in"}'})
    assert load_embedder(path).name == "in"


def test_weights_without_a_card_say_how_to_write_one(tmp_path):
    with pytest.raises(WeightsError, match=r"means\.onnx: these weights have no card.*reid card .*means\.onnx"):
        load_embedder(write_onnx(tmp_path / "means.onnx"))


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (Card(size_hw=(4, 6), dim=3), r"the card says images of 4x6 pixels.*takes float32 \(None, 3, 6, 4\)"),
        (Card(size_hw=(6, 4), dim=4), r"the card says embeddings of 4 numbers.*gives \(1, 3\)"),
    ],
)
def test_a_card_of_another_network_is_an_error(tmp_path, card, message):
    write_card(card, tmp_path / "card.json")
    with pytest.raises(WeightsError, match=message):
        load_embedder(write_onnx(tmp_path / "means.onnx"), card=tmp_path / "card.json")


def test_pictures_of_another_kind_are_a_mistake_of_the_caller(tmp_path):
    embedder = Embedder(CARD, lambda images: images.mean(axis=(2, 3)))
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 6, 4, 3\), got uint8 \(2, 4, 6, 3\)"):
        embedder(pictures(2, (4, 6)))
    with pytest.raises(ValueError, match="got float32"):
        embedder(pictures(2).astype(np.float32))


def test_nonsense_is_an_error():
    with pytest.raises(WeightsError, match="means: the network gives NaN or infinity"):
        Embedder(CARD, lambda images: np.full((len(images), 3), np.nan))


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        load_embedder(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no such model file"):
        load_embedder(tmp_path / "none.onnx")
    path = tmp_path / "old.pth"
    path.write_bytes(b"x")
    write_card(CARD, tmp_path / "old.json")
    with pytest.raises(WeightsError, match=r"expected \.onnx, .* got \.pth; export"):
        load_embedder(path)
    with pytest.raises(ConfigError, match="runs in torch, not in openvino"):
        load_embedder(path, runtime="openvino")
    with pytest.raises(WeightsError, match="expected a TorchScript module"):
        load_embedder(path.rename(tmp_path / "old.torchscript"))


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_torchscript_gives_the_channel_means(torch, tmp_path):
    path = tmp_path / "means.torchscript"
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    torch.jit.trace(module, torch.zeros(1, 3, 6, 4)).save(str(path))
    write_card(CARD, tmp_path / "means.json")
    images = pictures(40)
    np.testing.assert_allclose(load_embedder(path)(images), channel_means(images), rtol=0, atol=1e-5)
    half = load_embedder(path, precision="bf16")(images)
    np.testing.assert_allclose(half, channel_means(images), rtol=0, atol=0.05)
    assert measure_dim(path, CARD) == 3


def test_a_checkpoint_is_a_state_of_the_backbone_its_card_names(torch, tmp_path):
    from safetensors.torch import save_file

    from reid.networks import build

    torch.manual_seed(3)
    network = build("timm:resnet10t", sizes=[(64, 32)]).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    card = Card(size_hw=(64, 32), dim=512, backbone="timm:resnet10t")
    write_card(card, tmp_path / "card.json")

    images = pictures(3, (64, 32))
    scaled = (images / 255.0 - card.mean) / card.std
    with torch.inference_mode():
        expected = network(torch.tensor(scaled.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy()

    folder = load_embedder(tmp_path)
    np.testing.assert_allclose(folder(images), expected, rtol=1e-3, atol=1e-4)
    write_card(Card(size_hw=(64, 32), dim=512), tmp_path / "card.json")
    with pytest.raises(WeightsError, match="names a backbone"):
        load_embedder(tmp_path)
    write_card(Card(size_hw=(64, 32), dim=512, backbone="resnet18"), tmp_path / "card.json")
    with pytest.raises(WeightsError, match=r"model\.safetensors: expected weights of resnet18"):
        load_embedder(tmp_path)


def test_named_networks_bring_their_card(torch, tmp_path):
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    torch.manual_seed(3)
    network = timm.create_model("resnet10t").eval()  # with its classifier, as published files are
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    embedder = load_embedder(f"timm:resnet10t:{tmp_path / 'model.safetensors'}")
    assert (embedder.size_hw, embedder.dim, embedder.name) == ((176, 176), 512, "resnet10t")

    images = pictures(2, (176, 176))
    scaled = torch.tensor(((images / 255.0 - embedder.card.mean) / embedder.card.std).transpose(0, 3, 1, 2))
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(scaled.float()), pre_logits=True).numpy()
    np.testing.assert_allclose(embedder(images), expected, rtol=1e-3, atol=1e-4)


def test_weights_out_of_reach_are_an_error_with_a_way_out(torch, monkeypatch):
    timm = pytest.importorskip("timm")
    assert load_embedder("timm:resnet10t?pretrained=false").dim == 512
    with pytest.raises(ConfigError, match="resnet1000"):
        load_embedder("timm:resnet1000")
    with pytest.raises(ConfigError, match=r"expected timm:resnet10t\?pretrained=false"):
        load_embedder("timm:resnet10t?pretrained=no")

    def unreachable(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match="local file"):
        load_embedder("timm:resnet18")


def test_import_loads_neither_torch_nor_a_runtime():
    code = (
        "import sys, reid.inference, reid.cli; "
        "heavy = {'torch', 'timm', 'onnxruntime', 'openvino', 'cv2', 'pyarrow'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_osnet_knows_cars_it_never_learned(shared):
    crops = shared("data/reid_crops")
    embedder = load_embedder(shared("data/weights/osnet_x0_25_msmt17.onnx"))
    first = sorted(crops.glob("car_*_cam1.jpg"))
    rows = [
        embedder(np.stack([resize(read_image(path), embedder.size_hw) for path in paths]))
        for paths in (first, [path.with_name(path.name.replace("cam1", "cam2")) for path in first])
    ]
    one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows)
    assert ((one @ two.T).argmax(axis=1) == np.arange(len(one))).mean() >= 0.45
