"""Running an exported model: one callable, whichever engine is behind it.

ONNX Runtime reads ``.onnx``; OpenVINO reads ``.onnx`` and its own ``.xml`` (or a folder that holds one). Both are
held to exactly the number of threads they are given: a machine runs many cameras at once, and a pool of all cores
per model makes each of them slower.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.errors import ConfigError, MissingDependency, WeightsError

__all__ = ["DEVICES", "PRECISIONS", "RUNTIMES", "Port", "Session", "open_session"]

RUNTIMES = ("auto", "onnxruntime", "openvino")
PRECISIONS = ("fp32", "bf16")
DEVICES = ("cpu", "cuda")

_FLOAT: np.dtype[Any] = np.dtype(np.float32)
_ORT_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}

#: Input arrays by name → outputs.
Run = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]


class Port(NamedTuple):
    """An input of a model: its name, its shape with None where any size goes, and its number type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """An opened model; call it with a batch of images. Use it from one thread at a time.

    Attributes:
        path: The file it came from.
        runtime: ``onnxruntime`` or ``openvino``.
        inputs: What goes in, the images first: (N, C, H, W), or (N, H, W, C).
        output_names: What comes out, in the order of the call's result.
        metadata: What the exporter wrote into the file.
    """

    path: Path
    runtime: str
    inputs: tuple[Port, ...]
    output_names: tuple[str, ...]
    metadata: dict[str, str]
    run: Run

    def __call__(self, images: NDArray[Any], others: Mapping[str, NDArray[Any]] | None = None) -> list[NDArray[Any]]:
        """The model's outputs for ``images``, which are cast to its input type; halves become float32.

        Args:
            images: (N, C, H, W), or (N, H, W, C) where the model takes that.
            others: What goes into the model's other inputs, by name.

        Raises:
            WeightsError: The model refuses the images or fails on them.
        """
        values = {self.inputs[0].name: images, **(others or {})}
        try:
            outputs = self.run({p.name: np.ascontiguousarray(values[p.name], p.dtype) for p in self.inputs})
        except Exception as error:  # the engines raise RuntimeError and their own classes alike
            raise WeightsError(
                f"the model fails on a batch of shape {images.shape}: {_first_line(error)}",
                path=self.path,
                remedy=f"its input is {self.inputs[0].name} {self.inputs[0].shape}",
            ) from error
        return [o.astype(np.float32) if o.dtype == np.float16 else o for o in outputs]


def open_session(
    path: str | os.PathLike[str],
    *,
    runtime: str = "auto",
    device: str = "cpu",
    precision: str = "fp32",
    threads: int = 1,
    other_inputs: Collection[str] = (),
) -> Session:
    """Open an exported model.

    ``auto`` means OpenVINO for its own format and for bf16 on the CPU, ONNX Runtime otherwise. At fp32 on one thread
    the two cost the same within a tenth (``tools/bench/detect.py``), ONNX Runtime opens several times faster
    and is always installed.

    Args:
        path: An ``.onnx`` file, an OpenVINO ``.xml`` file or a folder that holds exactly one.
        runtime: One of :data:`RUNTIMES`.
        device: ``cpu``, ``cuda`` or ``cuda:1`` (CUDA needs the package onnxruntime-gpu).
        precision: ``fp32``, or ``bf16`` on a CPU that computes in it (with OpenVINO). It is an error elsewhere rather
            than a silent fp32, so that a configuration means the same arithmetic wherever it runs.
        threads: Exactly how many threads compute.
        other_inputs: Names of inputs that the model may have beside the images.

    Raises:
        WeightsError: The file is missing or is not a model.
        ConfigError: The device, precision or runtime does not exist here.
        MissingDependency: OpenVINO is asked for and is not installed.
    """
    _check_choice("runtime", runtime, RUNTIMES)
    _check_choice("precision", precision, PRECISIONS)
    _check_choice("device", device.partition(":")[0], DEVICES)
    if threads < 1:
        raise ConfigError(f"threads: expected 1 or more, got {threads}")
    file = _find_file(Path(path))
    if runtime == "auto":
        native = file.suffix == ".xml" or (device == "cpu" and precision == "bf16")
        runtime = "openvino" if native else "onnxruntime"
    session = _OPENERS[runtime](file, device, precision, threads)
    if len([port for port in session.inputs if port.name not in other_inputs]) != 1:
        names = ", ".join(port.name for port in session.inputs)
        raise WeightsError(f"expected a model with one input, got {len(session.inputs)} ({names})", path=file)
    images_first = sorted(session.inputs, key=lambda port: port.name in other_inputs)
    return replace(session, inputs=tuple(images_first))


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{what}: expected one of {', '.join(choices)}, got {value!r}")


def _find_file(path: Path) -> Path:
    """The model file that ``path`` means."""
    if not path.exists():
        raise WeightsError("there is no such model file", path=path, remedy="give the path of an .onnx or .xml file")
    if not path.is_dir():
        return path
    inside = sorted(path.glob("*.xml"))
    if len(inside) != 1:
        raise WeightsError(f"expected a folder with one OpenVINO .xml file, found {len(inside)}", path=path)
    return inside[0]


def _open_onnxruntime(path: Path, device: str, precision: str, threads: int) -> Session:
    import onnxruntime

    if path.suffix == ".xml":
        raise ConfigError("onnxruntime cannot read OpenVINO's format", path=path, remedy="set runtime to openvino")
    if precision != "fp32":
        raise ConfigError(f"onnxruntime runs a model as exported, not in {precision}", remedy="set precision to fp32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors only: old exports warn once per weight
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = _providers(onnxruntime, device)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise _unreadable(path, error) from error

    def run(values: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        return list(session.run(None, values))

    return Session(
        path=path,
        runtime="onnxruntime",
        inputs=tuple(Port(p.name, _sizes(p.shape), _ORT_TYPES.get(p.type, _FLOAT)) for p in session.get_inputs()),
        output_names=tuple(port.name for port in session.get_outputs()),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        run=run,
    )


def _providers(onnxruntime: Any, device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ConfigError(
            f"device {device}: this onnxruntime was built without CUDA",
            remedy="install onnxruntime-gpu in place of onnxruntime, or set device to cpu",
        )
    index = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]


def _open_openvino(path: Path, device: str, precision: str, threads: int) -> Session:
    try:
        import openvino
    except ImportError as error:
        raise MissingDependency.of("openvino", "openvino", "runtime openvino") from error
    if device != "cpu":
        raise ConfigError(f"openvino does not run on {device}", remedy="set runtime to onnxruntime or device to cpu")
    core = _openvino_core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConfigError("this CPU does not compute in bf16", remedy="set precision to fp32")
    properties = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Without the hint OpenVINO chooses bf16 by itself wherever the CPU has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    try:
        model = _read_openvino(openvino, core, path)
        request = core.compile_model(model, "CPU", properties).create_infer_request()
    except Exception as error:
        raise _unreadable(path, error) from error

    def run(values: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        results = request.infer(values, share_inputs=True)
        return [np.asarray(results[i]) for i in range(len(results))]

    return Session(
        path=path,
        runtime="openvino",
        inputs=tuple(
            Port(
                p.get_any_name(),
                tuple(None if d.is_dynamic else int(d.get_length()) for d in p.partial_shape),
                np.dtype(p.element_type.to_dtype()),
            )
            for p in model.inputs
        ),
        output_names=tuple(port.get_any_name() for port in model.outputs),
        metadata=_openvino_metadata(model),
        run=run,
    )


@cache
def _openvino_core() -> Any:
    """OpenVINO's one core of this process, kept until its end.

    Its CPU plugin gives the thread that loads it a stack for signal handlers and frees that memory with the core. If
    another thread freed it, the next signal to the first thread, such as Ctrl-C, would end the process.
    """
    import openvino

    return openvino.Core()


def _read_openvino(openvino: Any, core: Any, path: Path) -> Any:
    if path.suffix != ".onnx":
        return core.read_model(str(path))
    # Asked by name: otherwise every reader OpenVINO has tries a damaged file and complains on stderr.
    reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(path)))


def _openvino_metadata(model: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for section in ("framework", "model_info"):  # the ONNX reader's place, and that of native exports
        if model.has_rt_info([section]):
            entries = model.get_rt_info([section]).value
            if isinstance(entries, dict):
                found.update({key: str(getattr(entry, "value", entry)) for key, entry in entries.items()})
    return found


def _sizes(shape: list[Any]) -> tuple[int | None, ...]:
    """ONNX Runtime writes a free dimension as its name or as None."""
    return tuple(n if isinstance(n, int) and n > 0 else None for n in shape)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"expected a model that can be opened, got {_first_line(error)}",
        path=path,
        remedy="download or export the file again",
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")


_OPENERS: dict[str, Callable[[Path, str, str, int], Session]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
}
