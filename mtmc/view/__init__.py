"""A finished run in the browser: all cameras in step, why each link was made, and corrections of identities.

::

    run_data.py     cameras, passages and boxes as the pages need them
    proxies.py      clean videos that a browser can seek in
    journal.py      answers on disk
    corrections.py  what the answers demand; stable numbers of vehicles
    repairs.py      tracklets cut, given boxes, deleted, of another class
    untracked.py    detections that no tracklet holds
    association.py  association solved again under corrections
    questions.py    which links to ask about
    sheets.py       contact sheets of tracklets
    exports.py      ground truth and training crops of the corrected result
    ground_map.py   ground planes, and where each camera sees vehicles
    mistakes.py     wrong and missing links by ground truth
    search.py       tracklets that look like one of them, or like a picture
    session.py      a user's work on one run
    place.py        what scene.yaml says of the place, and changes of it
    security.py     access to the server
    server.py       the routes; place_routes.py those of the place editor, bodies.py what pages send
    static/         the pages: ES modules, no build step
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from mtmc.errors import ConfigError, MissingDependency, MtmcError
from mtmc.pipeline.outputs import VIEW_FOLDER
from mtmc.pipeline.results import load_run
from mtmc.view.exports import ExportKind
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import view_of
from mtmc.view.session import Session

__all__ = ["export_run", "serve_run"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve_run(
    run: Path,
    *,
    folder: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str = "",
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the pages of a finished run until the process is interrupted.

    Args:
        run: The folder that ``mtmc run`` wrote.
        folder: Where clean videos, the journal and the corrected result are kept; ``run/view`` if None.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        token: What a browser has to show; one is made up where other machines reach the server and none is given.
        announce: Gets the address as soon as the server can be reached.

    Raises:
        MissingDependency: Starlette or uvicorn is not installed.
        ConfigError: The address cannot be listened on, or ``folder`` is that of the run.
        MtmcError: The run or its journal cannot be read.
    """
    try:
        import uvicorn

        from mtmc.view.security import loopback_names
        from mtmc.view.server import make_app
    except ImportError as error:
        raise MissingDependency.of(error.name or "starlette", "view", "mtmc view") from None

    session = _session(run, folder)
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    is_local = host in _LOOPBACK
    token = token or ("" if is_local else secrets.token_urlsafe(16))
    proxies = Proxies(session.viewed.cameras, session.folder / "proxies")
    app = make_app(session, proxies, hosts=loopback_names(port) if is_local else None, token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{port}/" + (f"?token={token}" if token else ""))
    try:
        server.run(sockets=[listener])
    finally:
        proxies.close()


def export_run(
    run: Path, folder: Path | None = None, kind: ExportKind = "track1", *, only_checked: bool = False
) -> Path:
    """Write the corrected result of a run; returns the file or folder, see :meth:`mtmc.view.session.Session.export`.

    Raises:
        ConfigError: Only checked vehicles are asked for, and there are none, or ``folder`` is that of the run.
        MtmcError: The run or its journal cannot be read, or the result cannot be written.
    """
    return _session(run, folder).export(kind, only_checked=only_checked)


def _session(run: Path, folder: Path | None) -> Session:
    viewed = view_of(load_run(run))
    if not viewed.passages:
        raise MtmcError("the run found no vehicle, so there is nothing to view", path=run)
    if folder is not None and folder.resolve() == run.resolve():
        raise ConfigError(
            f"--folder {folder} is that of the run, whose track1.txt would be replaced",
            remedy="leave --folder out, which writes into RUN/view, or choose another one",
        )
    return Session(viewed, run / VIEW_FOLDER if folder is None else folder)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port} ({error})", remedy="choose another --host or --port"
        ) from None
