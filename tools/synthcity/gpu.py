"""OpenGL without a screen: a context on EGL, and programs from the shader files."""

from __future__ import annotations

import gc
import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.errors import MissingDependency
from mtmc.types import Array

__all__ = ["attend", "close", "load_program", "matrix_bytes", "open_context", "set_uniforms"]

_SHADERS = Path(__file__).with_name("shaders")


def open_context() -> Any:
    """A context without a window: the graphics card's where there is one, else Mesa's software rasteriser.

    Raises:
        MissingDependency: moderngl or the EGL libraries are not installed.
    """
    try:
        import moderngl
    except ImportError as error:
        raise MissingDependency.of("moderngl", "synthcity", "rendering") from error
    _load_triton()
    attempts: list[dict[str, Any]] = [{}, {"libegl": "libEGL.so.1", "libgl": "libGL.so.1"}]
    for libraries in attempts:
        try:
            settings: dict[str, Any] = {"standalone": True, "backend": "egl", "require": 330, **libraries}
            context = moderngl.create_context(**settings)
            context.gc_mode = "context_gc"  # what Python forgets waits for attend()
            return context
        except Exception as error:  # the loader raises bare exceptions
            reason = error
    raise MissingDependency(
        f"rendering needs EGL, and no context could be opened ({reason})",
        remedy="apt-get install --no-install-recommends libegl1 libgl1-mesa-dri libgl1 libegl-mesa0",
    )


def _load_triton() -> None:
    """Load Triton's LLVM, which PyTorch brings, before Mesa's.

    Mesa opens its own for all libraries of the process. Triton's, loaded after that, takes symbols of it and crashes;
    ``import torchvision`` is enough.
    """
    with suppress(ImportError):
        importlib.import_module("triton")


def attend(context: Any) -> None:
    """Make a context the current one and free what Python has forgotten of it.

    Numbers of textures and buffers are a context's own: freed while another one is current, they are another's.
    """
    context.__enter__()  # leaving it would make none current
    while context.objects:
        forgotten = context.objects.popleft()
        if hasattr(forgotten, "release"):  # what was released by hand has nothing left to free
            forgotten.release()


def close(context: Any) -> None:
    """Free a context with all that was made in it; nobody may hold on to any of that any more."""
    gc.collect()
    attend(context)
    context.release()


def load_program(context: Any, vertex: str, fragment: str) -> Any:
    """Compile two shader files; ``#include name`` pastes another file in."""
    return context.program(vertex_shader=_source(vertex), fragment_shader=_source(fragment))


def _source(name: str) -> str:
    lines = (_SHADERS / name).read_text(encoding="utf-8").splitlines()
    parts = [_source(line.split()[1]) if line.startswith("#include") else line for line in lines]
    return "\n".join(parts)


def set_uniforms(program: Any, values: dict[str, Any]) -> None:
    """Set those uniforms that the program uses; compilers drop the others."""
    for name, value in values.items():
        if name in program:
            program[name].value = value


def matrix_bytes(matrix: Array) -> bytes:
    """A matrix as OpenGL wants it: float32, columns first."""
    return np.ascontiguousarray(np.asarray(matrix, np.float32).T).tobytes()
