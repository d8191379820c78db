"""Downloading the files of a model: whole and checked, or not at all; what a broken connection left is continued."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtmc.errors import WeightsError
from mtmc.files import atomic_path, explain
from mtmc.progress import Progress, progress_bar
from mtmc.zoo.registry import Model, ModelFile

__all__ = ["check_model", "fetch_model", "file_in_cache", "is_complete"]

_log = logging.getLogger(__name__)

#: Seconds until the first byte of an answer must have come (resolving the name, connecting, waiting), and the longest
#: pause between two blocks of a file. A machine without a network loses no more than the first.
ANSWER_TIMEOUT_S, STALL_TIMEOUT_S = 6.0, 20.0
_BLOCK_BYTES = 1 << 17


def file_in_cache(model: Model, folder: Path) -> Path:
    """Where the main file of a model lies, or would lie, below the folder of downloaded models."""
    return _path_of(model, model.files[0], folder)


def _path_of(model: Model, file: ModelFile, folder: Path) -> Path:
    return folder / f"{model.name}{file.suffix}"


def is_complete(model: Model, folder: Path) -> bool:
    """Whether every file of a model lies in the folder, with the right bytes."""
    return all(_has_bytes(_path_of(model, file, folder), file) for file in model.files)


def check_model(model: Model, folder: Path) -> str:
    """What is wrong with the files of a model in the folder, as a sentence; "" if nothing is.

    A file that is not there is not wrong.
    """
    for file in model.files:
        path = _path_of(model, file, folder)
        if path.is_file() and not _has_bytes(path, file):
            return f"{path}: expected SHA-256 {file.sha256}, got {_sha256(path)}"
    return ""


def fetch_model(model: Model, folder: Path) -> Path:
    """The main file of a model, downloaded if it is not there; its card is written beside it.

    Several processes may ask for one model at a time: the first one downloads, the others wait.

    Raises:
        WeightsError: The network cannot be reached or breaks off, or what came is not the registered file.
        MtmcError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    for file in model.files:
        path = _path_of(model, file, folder)
        with _lock(path):
            if not _has_bytes(path, file):
                _download(file, path)
    main = file_in_cache(model, folder)
    if model.card:
        _write_card(model.card, main.with_suffix(".json"))
    return main


def _has_bytes(path: Path, file: ModelFile) -> bool:
    """Whether a path holds the registered bytes."""
    try:
        state = path.stat()
    except OSError:
        return False
    return state.st_size == file.size_bytes and _known_sha256(path, state.st_mtime_ns) == file.sha256


@lru_cache
def _known_sha256(path: Path, mtime_ns: int) -> str:
    """The hash of a file, computed once per process as long as the file does not change."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Only one process at a time downloads to this path."""
    try:
        stream = path.with_name(f".{path.name}.lock").open("w")
    except OSError as error:
        raise explain(error, path) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _download(file: ModelFile, path: Path) -> None:
    """Download to ``path``; what an earlier attempt left in the part file is continued, not repeated."""
    part = path.with_name(f"{path.name}.part")
    try:
        with progress_bar(path.name, unit="B") as progress:
            _append(file, part, progress)
        found = _sha256(part)
        if found == file.sha256:
            part.replace(path)
            return
        part.unlink()
    except OSError as error:
        raise explain(error, path) from error
    raise WeightsError(
        f"expected SHA-256 {file.sha256} from {file.urls[0]}, got {found}; the file was discarded",
        path=path,
        remedy="try again later: the address may serve another file, or a page of a proxy",
    )


def _append(file: ModelFile, part: Path, progress: Progress) -> None:
    """Write the rest of a file to the part file, from the first address that answers.

    Raises:
        WeightsError: No address answers, or the connection breaks off. The part file stays.
    """
    for url in file.urls[:-1]:
        try:
            _append_from(url, file, part, progress)
            return
        except WeightsError as error:
            _log.info("%s", error)
    _append_from(file.urls[-1], file, part, progress)


def _append_from(url: str, file: ModelFile, part: Path, progress: Progress) -> None:
    done = part.stat().st_size if part.is_file() else 0
    if done >= file.size_bytes:
        if done == file.size_bytes:
            return
        part.unlink()  # longer than the file: of no use
        done = 0
    with _answer(url, done) as answer:
        if done and answer.status != http.client.PARTIAL_CONTENT:
            done = 0  # the server sends the whole file again
        with part.open("ab" if done else "wb") as stream:
            for block in _blocks(answer, url):
                stream.write(block)
                done += len(block)
                if done > file.size_bytes:
                    break
                progress(done, file.size_bytes)
    if done < file.size_bytes:
        raise WeightsError(
            f"the connection broke off after {done} of {file.size_bytes} bytes of {url}",
            remedy="run the same command again: the download goes on from there",
        )


def _blocks(answer: Any, url: str) -> Iterator[bytes]:
    try:
        while block := answer.read(_BLOCK_BYTES):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"the connection to {url} broke off ({error or type(error).__name__})",
            remedy="run the same command again: the download goes on from there",
        ) from error


@contextmanager
def _answer(url: str, start: int) -> Iterator[Any]:
    """The server's answer to a request for a file from byte ``start``, within :data:`ANSWER_TIMEOUT_S`.

    The request is made in a thread of its own, because resolving a name cannot be given a time limit.
    """
    headers = {"User-Agent": "mtmc"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    outcome: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            outcome.put(urllib.request.urlopen(request, timeout=STALL_TIMEOUT_S))
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = outcome.get(timeout=ANSWER_TIMEOUT_S)
    except queue.Empty:
        answer = TimeoutError(f"no answer within {ANSWER_TIMEOUT_S:g} s")
    if isinstance(answer, Exception):
        reason = getattr(answer, "reason", None) or answer
        raise WeightsError(
            f"cannot download {url} ({reason})", remedy="connect to the network, or give the path of a model file"
        ) from answer
    with answer:
        yield answer


def _write_card(card: Mapping[str, Any], path: Path) -> None:
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    with suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
