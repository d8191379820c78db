"""Sessions against a plain onnxruntime call, and the sentences for files that are no models."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reid.errors import ConfigError, ReidError, WeightsError
from reid.runtime import open_session

ENGINES = ("onnxruntime", "openvino")


def scaled_mean_model(path: Path, kind: int = TensorProto.FLOAT) -> Path:
    """y = 2 x and m = mean over the pixels of x, for any batch and size."""
    two = helper.make_tensor("two", kind, [], [2.0])
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["y"]),
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("y", kind, ["n", 3, "h", "w"]),
            helper.make_tensor_value_info("m", kind, ["n", 3, 1, 1]),
        ],
        [two],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "{0: 'car'}"})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_computes_and_describes_the_model(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    session = open_session(scaled_mean_model(tmp_path / "m.onnx"), runtime=engine)
    assert session.runtime == engine
    assert session.inputs[0].name == "x"
    assert session.inputs[0].shape == (None, 3, None, None)
    assert session.output_names == ("y", "m")
    assert session.metadata["names"] == "{0: 'car'}"
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 5, 4), (1, 3, 8, 8)):
        x = rng.random(shape, np.float32)
        y, m = session(x)
        np.testing.assert_allclose(y, 2 * x, rtol=1e-6)
        np.testing.assert_allclose(m[..., 0, 0], x.mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_of_one_call_survive_the_next(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    session = open_session(scaled_mean_model(tmp_path / "m.onnx"), runtime=engine)
    first = session(np.ones((1, 3, 2, 2), np.float32))[0]
    session(np.zeros((1, 3, 2, 2), np.float32))
    assert (first == 2).all()


def test_a_half_precision_model_takes_and_gives_float32(tmp_path: Path) -> None:
    session = open_session(scaled_mean_model(tmp_path / "h.onnx", TensorProto.FLOAT16))
    outputs = session(np.ones((1, 3, 2, 2), np.float32))
    assert [o.dtype for o in outputs] == [np.float32, np.float32]


def test_signals_are_handled_after_another_thread_drops_a_model(tmp_path: Path) -> None:
    """In a process of its own, since a handler without memory for its stack ends it by SIGSEGV."""
    pytest.importorskip("openvino")
    program = (
        "import signal, sys, threading; from reid.runtime import open_session\n"
        "sessions = [open_session(sys.argv[1], runtime='openvino')]\n"
        "dropping = threading.Thread(target=sessions.clear); dropping.start(); dropping.join()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled')); signal.raise_signal(signal.SIGUSR1)"
    )
    command = [sys.executable, "-X", "faulthandler", "-c", program, str(scaled_mean_model(tmp_path / "m.onnx"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_openvino_reads_its_own_folder_and_auto_knows_it(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(str(scaled_mean_model(tmp_path / "m.onnx")))
    openvino.save_model(model, str(tmp_path / "ir" / "m.xml"))
    session = open_session(tmp_path / "ir")
    assert session.runtime == "openvino"
    assert session.metadata["names"] == "{0: 'car'}"
    assert session(np.ones((1, 3, 2, 2), np.float32))[0].max() == 2
    with pytest.raises(ConfigError, match="cannot read OpenVINO's format"):
        open_session(tmp_path / "ir", runtime="onnxruntime")


@pytest.mark.parametrize("engine", ENGINES)
def test_missing_and_damaged_files(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    with pytest.raises(WeightsError, match="no such model file"):
        open_session(tmp_path / "none.onnx", runtime=engine)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model " * 50)
    with pytest.raises(WeightsError, match=r"damaged\.onnx: expected a model that can be opened"):
        open_session(damaged, runtime=engine)
    with pytest.raises(WeightsError, match=r"one OpenVINO \.xml file, found 0"):
        open_session(tmp_path, runtime=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_images_of_the_wrong_shape_name_the_file(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    session = open_session(scaled_mean_model(tmp_path / "m.onnx"), runtime=engine)
    with pytest.raises(WeightsError, match=r"m\.onnx: the model fails on a batch of shape \(1, 4, 2, 2\)"):
        session(np.ones((1, 4, 2, 2), np.float32))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"runtime": "tensorrt"}, "runtime: expected one of auto, onnxruntime, openvino, got 'tensorrt'"),
        ({"precision": "fp8"}, "precision: expected one of"),
        ({"device": "tpu"}, "device: expected one of"),
        ({"threads": 0}, "threads: expected 1 or more"),
        ({"runtime": "onnxruntime", "precision": "bf16"}, "set precision to fp32"),
        ({"runtime": "openvino", "device": "cuda"}, "openvino does not run on cuda"),
    ],
)
def test_impossible_choices(tmp_path: Path, choice: dict[str, object], words: str) -> None:
    if choice.get("runtime") == "openvino":
        pytest.importorskip("openvino")
    with pytest.raises(ConfigError, match=words):
        open_session(scaled_mean_model(tmp_path / "m.onnx"), **choice)  # type: ignore[arg-type]


def test_bf16_runs_or_is_refused_never_ignored(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = scaled_mean_model(tmp_path / "m.onnx")
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert open_session(path, precision="bf16").runtime == "openvino"
    else:
        with pytest.raises(ConfigError, match="does not compute in bf16"):
            open_session(path, precision="bf16")


def test_errors_survive_the_way_home_from_a_worker() -> None:
    error = WeightsError("expected a model", path="a.onnx", remedy="export it again")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is WeightsError
    assert str(back) == str(error) == "a.onnx: expected a model; export it again"
    assert isinstance(back, ReidError)
    assert (back.path, back.remedy) == ("a.onnx", "export it again")
