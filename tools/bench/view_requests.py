"""Hostile requests to ``mtmc view``: whatever arrives, nothing outside the run is read and nothing is lost.

    python -m tools.bench.view_requests RUN --requests 10000 --seed 0

RUN is the folder of a finished run. Its journal is kept elsewhere, the scene's folder is one of links, and a canary
file lies beside both. Requests are random: paths that leave the folder, methods, hosts and origins of other pages,
headers and bodies that are malformed, changed, or cut off. Every status must be below 500 and no answer may hold the
canary, the server must go on, files other than those that it may write must stay, and the journal must hold the
answers that were acknowledged, and none but these and those of connections that broke off.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn

from mtmc.pipeline.results import load_run
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import ViewedRun, view_of
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session

__all__ = ["Served", "attack", "main", "served"]

CANARY = b"canary-7f3a91"
_TIMEOUT_S = 20.0
_ROUTES = (
    "/",
    "/static/app.js",
    "/api/run",
    "/api/passages",
    "/api/vehicles",
    "/api/vehicles/1/links",
    "/api/links?a=0&b=1",
    "/api/cameras/0/boxes?first=0",
    "/api/cameras/0/untracked?first=0",
    "/api/cameras/0/proxy",
    "/api/cameras/0/video.mp4",
    "/api/passages/0/crop.jpg",
    "/api/passages/0/sheet",
    "/api/passages/0/sheet?of=0.0-1.0-9",
    "/api/passages/0/sheet.jpg",
    "/api/questions",
    "/api/journal",
    "/api/place",
    "/api/place/homography",
    "/api/place/pictures",
    "/api/place/pictures/0.jpg",
)
_METHODS = ("GET",) * 8 + ("POST",) * 8 + ("HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "\x00", "G" * 300)
_WAYS_OUT = ("../", "..%2f", "%2e%2e/", "..\\", "....//", "%252e%252e%252f", "/", "\x00", "%00", "file:///", "~/")
_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    1e308,
    "",
    "0",
    "../..",
    "\ud800",
    "<script>",
    [],
    {},
    [[]],
)


@dataclass(frozen=True, slots=True)
class Served:
    """A run that is served from a folder of its own.

    Attributes:
        port: Of 127.0.0.1.
        folder: What must not be read lies in it, and the run's and the scene's folder below.
        session: The server's side.
        errors: What the server has logged.
    """

    port: int
    folder: Path
    session: Session
    errors: list[str]


@contextmanager
def served(viewed: ViewedRun, folder: Path) -> Iterator[Served]:
    """Serve a run whose files lie below a folder."""
    (folder / "secret.txt").write_bytes(CANARY)
    session = Session(viewed, folder / "view")
    proxies = Proxies(viewed.cameras, folder / "view" / "proxies")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make_app(session, proxies, hosts=loopback_names(port))
    errors: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    logging.getLogger("uvicorn.error").addHandler(handler)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield Served(port, folder, session, errors)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        proxies.close()
        logging.getLogger("uvicorn.error").removeHandler(handler)


def attack(target: Served, count: int, seed: int) -> Counter[int]:
    """Send random requests; returns how many got each status, 0 for a connection that was closed.

    Raises:
        AssertionError: A request did harm.
    """
    rng = random.Random(seed)
    before = _untouchable(target.folder)
    written = target.session.state()[0]
    broken_off = 0
    statuses: Counter[int] = Counter()
    for number in range(count):
        request, is_whole = _request(rng, target)
        status, body = _answer(target.port, request, is_whole)
        assert status < 500, (number, request[:500], body[:500])
        assert CANARY not in body, (number, request[:500])
        is_answer = request.startswith((b"POST /api/journal ", b"POST /api/journal?"))
        written += is_answer and status == 200
        broken_off += is_answer and status == 0
        statuses[status] += 1
    last = f"GET /api/run HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nConnection: close\r\n\r\n"
    status, _ = _answer(target.port, last.encode(), is_whole=True)
    assert status == 200, "the server no longer answers"
    assert not target.errors, target.errors[:3]
    assert _untouchable(target.folder) == before, "files have changed that no request may change"
    journal = target.session.state()[0]
    assert written <= journal <= written + broken_off, "the journal holds other answers than were acknowledged"
    return statuses


def _request(rng: random.Random, target: Served) -> tuple[bytes, bool]:
    """One request, and whether the server can tell where it ends."""
    path = rng.choice(_ROUTES)
    method = rng.choice(_METHODS)
    if rng.random() < 0.4:
        path = _astray(rng, path)
    headers = {"Host": f"127.0.0.1:{target.port}", "Connection": "close"}
    body = b""
    if method == "POST" or rng.random() < 0.05:
        kind, body = _body(rng, path, target)
        headers |= {"Content-Type": kind, "Content-Length": str(len(body))}
    odd = _odd_headers(rng) if rng.random() < 0.3 else {}
    headers |= odd
    lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    request = "\r\n".join(lines).encode("utf-8", "replace") + body
    is_whole = not odd and method in _METHODS[:16]
    if rng.random() < 0.05:
        is_whole = False
        request = request[: rng.randrange(1, len(request))]
    if rng.random() < 0.03:
        is_whole = False
        place = rng.randrange(len(request))
        request = request[:place] + rng.randbytes(rng.randrange(1, 9)) + request[place + 1 :]
    return request, is_whole


def _astray(rng: random.Random, path: str) -> str:
    out = rng.choice(_WAYS_OUT) * rng.randrange(1, 7)
    goal = rng.choice(("secret.txt", "etc/passwd", "view/journal.jsonl", "run.json", "scene.yaml", "\u2028"))
    parts = path.split("/")
    place = rng.randrange(1, len(parts) + 1)
    choice = rng.randrange(4)
    if choice == 0:
        return "/".join([*parts[:place], out + goal])
    if choice == 1:
        return "/".join([*parts[:place], quote(out + goal, safe=""), *parts[place:]])
    if choice == 2:
        return path + "?" + rng.choice(("first", "token", "file", "x")) + "=" + quote(out + goal)
    return "/".join(
        [*parts[:place], str(rng.choice((-1, 10**20, "1e9", "0x1", "٣", "%0a", "a" * 5000))), *parts[place:]]
    )


def _odd_headers(rng: random.Random) -> dict[str, str]:
    odd = {
        "Host": rng.choice(("evil.example", "", "127.0.0.1", "[::1", "a" * 9000)),
        "Origin": rng.choice(("null", "http://evil.example", "file://", "\u2028")),
        "Sec-Fetch-Site": rng.choice(("cross-site", "same-site", "?")),
        "Range": rng.choice(("bytes=0-", "bytes=-1", "bytes=9-1", "bytes=0-9999999999999999", "lines=1")),
        "Cookie": "mtmc_view=" + rng.choice(("", "x" * 5000, '";=', "\x01")),
        "Content-Length": rng.choice(("-1", "0", "1", "99999999999", "x")),
        "Transfer-Encoding": rng.choice(("chunked", "gzip, chunked", "?")),
        "Expect": "100-continue",
        "Upgrade": "websocket",
    }
    return {key: odd[key] for key in rng.sample(sorted(odd), rng.randrange(1, 4))}


def _body(rng: random.Random, path: str, target: Served) -> tuple[str, bytes]:
    """A body that comes near to what a page sends, and its type."""
    if rng.random() < 0.15:
        return rng.choice(("application/octet-stream", "text/plain", "")), rng.randbytes(rng.randrange(200))
    square = [[0, 0], [9, 0], [9, 9], [0, 9]]
    data: dict[str, Any] = {
        "sequence": target.session.state()[0],
        "action": rng.choice(("same", "different", "merge", "split", "boxes", "check", "undo")),
        **{key: [rng.randrange(8), rng.randrange(8)] for key in ("pair", "vehicles")},
        "passages": [rng.randrange(8) for _ in range(rng.randrange(3))],
        "boxes": [[rng.randrange(2000), 1, 1, 9.5, rng.choice((9, 1, 1e300))]],
        "camera": rng.randrange(3),
        "undoes": rng.randrange(5),
    }
    if "place" in path:
        zone = {"name": rng.choice(("a", "<img src=x onerror=alert(1)>", "'")), "polygon": square}
        data = {
            "digest": rng.choice((_digest(target), "")),
            "changes": {"cameras": [{"id": 0, "zones": [zone], "start_s": rng.random()}]},
            "source": square,
            "target": [[2 * x, 3 * y] for x, y in square],
            "camera": 0,
        }
    for _ in range(rng.randrange(3)):
        data[rng.choice(sorted(data))] = rng.choice(_VALUES)
    text = json.dumps(data).encode()
    return "application/json", text[: rng.randrange(len(text))] if rng.random() < 0.1 else text


def _digest(target: Served) -> str:
    file = target.session.viewed.run.given.root / "scene.yaml"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _answer(port: int, request: bytes, is_whole: bool) -> tuple[int, bytes]:
    """Status and whole answer of a request; status 0 where the connection ends without one."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection:
        try:
            connection.sendall(request)
            if not is_whole:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except (ConnectionError, TimeoutError):
            pass
    words = received[:12].split()
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), received


def _untouchable(folder: Path) -> dict[str, str]:
    """Hashes of the files that no request may change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        may_change = path.name.startswith(("scene.yaml", "map-")) or "_roi-" in path.name or inner.parts[0] == "view"
        if path.is_file() and not may_change:
            found[str(inner)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _linked(source: Path, target: Path) -> None:
    """A folder with links to all that lies in another one; scene.yaml is a copy."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name.startswith("scene.yaml"):
            shutil.copy(entry, target / entry.name)
        else:
            (target / entry.name).symlink_to(entry.resolve())


def main() -> None:
    """Attack a run and print how many requests got each status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = load_run(arguments.run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.path.realpath(name))
        _linked(run.given.root, folder / "scene")
        run = replace(run, given=replace(run.given, root=folder / "scene"))
        with served(view_of(run), folder) as target:
            begin = time.perf_counter()
            statuses = attack(target, arguments.requests, arguments.seed)
    seconds = time.perf_counter() - begin
    print(f"{arguments.requests} requests in {seconds:.0f} s, by status: {dict(sorted(statuses.items()))}")


if __name__ == "__main__":
    main()
