"""The server of ``mtmc view``: pages, data and clean videos of one run.

Every route names a thing by a number (a camera, a passage, a vehicle) or by a fixed name. No part of a request
becomes a path of the file system.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mtmc.errors import ConfigError, MtmcError
from mtmc.scene.edit import StaleScene
from mtmc.types import CLASSES, COLORS, Array
from mtmc.view.bodies import sent_bytes, sent_json
from mtmc.view.exports import ExportKind, zipped
from mtmc.view.ground_map import planes_of
from mtmc.view.journal import ACTIONS, EDGE_LIMIT_PX, Box, StaleSequence
from mtmc.view.mistakes import mistakes_of
from mtmc.view.pictures import decode_picture
from mtmc.view.place import PlaceEditor
from mtmc.view.place_routes import place_routes
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import FRAMES_PER_CHUNK, ViewedRun
from mtmc.view.search import MAX_PICTURE_BYTES, Search
from mtmc.view.security import Guard
from mtmc.view.session import Session, Snapshot
from mtmc.view.sheets import sheet_image, sheet_of
from mtmc.view.untracked import Untracked

__all__ = ["make_app"]

_MAX_QUESTIONS = 100
_MAX_MATCHES = 60  # of a search
_MAX_PART_BYTES = 1 << 20  # of a video, sent at once
_MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def make_app(session: Session, proxies: Proxies, *, hosts: frozenset[str] | None, token: str = "") -> Starlette:
    """The ASGI application.

    Args:
        session: The run and its journal.
        proxies: Its clean videos.
        hosts: What ``Host`` may say; None for anything, which needs a token.
        token: What a browser has to show; "" for nothing.
    """
    api = _Api(session, proxies)
    routes = [
        Route("/", _static("index.html")),
        *(Route(f"/static/{name}", _static(name)) for name in _static_names()),
        Route("/api/run", api.run),
        Route("/api/passages", api.passages),
        Route("/api/vehicles", api.vehicles),
        Route("/api/vehicles/{vehicle:int}/links", api.links),
        Route("/api/links", api.link),
        Route("/api/cameras/{camera:int}/boxes", api.boxes),
        Route("/api/cameras/{camera:int}/ground", api.ground),
        Route("/api/cameras/{camera:int}/untracked", api.untracked),
        Route("/api/cameras/{camera:int}/proxy", api.proxy),
        Route("/api/cameras/{camera:int}/video.mp4", api.video),
        Route("/api/passages/{passage:int}/crop.jpg", api.crop),
        Route("/api/passages/{passage:int}/sheet", api.sheet),
        Route("/api/passages/{passage:int}/sheet.jpg", api.sheet_picture),
        Route("/api/passages/{passage:int}/similar", api.similar),
        Route("/api/search", api.search, methods=["POST"]),
        Route("/api/map", api.map),
        Route("/api/questions", api.questions),
        Route("/api/journal", api.journal),
        Route("/api/journal", api.answer, methods=["POST"]),
        Route("/api/scores", api.scores),
        Route("/api/mistakes", api.mistakes),
        Route("/api/track1.txt", api.export),
        *place_routes(PlaceEditor(session.given)),
        Route("/api/truth.zip", api.truth),
        Route("/api/crops.zip", api.crops),
    ]
    handlers: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        HTTPException: _http_error,
        MtmcError: _mtmc_error,
    }
    middleware = [Middleware(Guard, hosts=hosts, token=token)]
    return Starlette(routes=routes, exception_handlers=handlers, middleware=middleware)


class _Derived:
    """What is computed from the tracklets once, until they change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def passages(self) -> bytes:
        return _json_bytes({**self.snapshot.viewed.columns(), "tracklets": self.snapshot.tracklets})

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each passage by its tracklet's camera, number, first and last frame, as pages write them."""
        viewed = self.snapshot.viewed
        tracklets = [passage.tracklet for passage in viewed.passages]
        return {
            f"{camera}-{t.track_id}.{t.frame[0]}-{t.frame[-1]}": k
            for k, (camera, t) in enumerate(zip(viewed.camera.tolist(), tracklets, strict=True))
        }

    @cached_property
    def planes(self) -> list[dict[str, Any]]:
        return [asdict(plane) for plane in planes_of(self.snapshot.viewed)]

    @cached_property
    def search(self) -> Search:
        return Search(self.snapshot.viewed)


class _Api:
    """What the routes answer. Work that takes time runs beside the event loop."""

    def __init__(self, session: Session, proxies: Proxies) -> None:
        self.session, self.proxies = session, proxies
        self._derived = _Derived(session.snapshot())
        self._exporting, self._diagnosing = asyncio.Lock(), asyncio.Lock()
        self._mistakes: bytes | None = None
        self._untracked = Untracked(session.given.run)
        self._key = session.journal.run[:16]  # of the run, in addresses

    @property
    def viewed(self) -> ViewedRun:
        return self.session.viewed

    def _of_tracklets(self) -> _Derived:
        """What depends on the present tracklets."""
        present = self.session.snapshot()
        if self._derived.snapshot.tracklets != present.tracklets:
            self._derived = _Derived(present)
        return self._derived

    async def run(self, request: Request) -> Response:
        run = self.viewed.run
        return JSONResponse(
            {
                "name": run.scene.name,
                "folder": run.out.resolve().name,
                "key": self._key,
                "start_utc": run.scene.start_utc and run.scene.start_utc.isoformat(),
                "cameras": [camera.as_dict() for camera in self.viewed.cameras],
                "frames_per_chunk": FRAMES_PER_CHUNK,
                "classes": CLASSES,
                "colors": COLORS,
                "review_problem": self.session.problem,
                "agrees": self.session.agrees_with_run,
            }
        )

    async def passages(self, request: Request) -> Response:
        derived = self._of_tracklets()
        return Response(await run_in_threadpool(lambda: derived.passages), media_type="application/json")

    async def vehicles(self, request: Request) -> Response:
        await run_in_threadpool(self.session.reload)
        return self._identities()

    async def links(self, request: Request) -> Response:
        now = self.session.snapshot()
        found = await run_in_threadpool(now.association.links_of, now.solution, request.path_params["vehicle"])
        return JSONResponse([asdict(link) for link in found])

    async def link(self, request: Request) -> Response:
        now = self.session.snapshot()
        a, b = (_whole(request.query_params.get(name, "")) for name in ("a", "b"))
        found = await run_in_threadpool(now.association.link, now.solution, a, b)
        return JSONResponse(found and asdict(found))

    async def boxes(self, request: Request) -> Response:
        boxes = self.viewed.boxes[self._camera(request)]
        first = _whole(request.query_params.get("first", "0"))
        return Response(boxes.packed(first), media_type="application/octet-stream")

    async def ground(self, request: Request) -> Response:
        boxes = self.viewed.boxes[self._camera(request)]
        first = _whole(request.query_params.get("first", "0"))
        return Response(boxes.packed_ground(first), media_type="application/octet-stream")

    async def untracked(self, request: Request) -> Response:
        camera = self._camera(request)
        first = _whole(request.query_params.get("first", "0"))
        boxes = await run_in_threadpool(self._untracked.boxes, camera, self.viewed.boxes[camera], first)
        return Response(boxes.packed(first), media_type="application/octet-stream")

    async def map(self, request: Request) -> Response:
        derived = self._of_tracklets()
        return JSONResponse(await run_in_threadpool(lambda: derived.planes))

    async def proxy(self, request: Request) -> Response:
        return JSONResponse(asdict(self.proxies.request(self._camera(request))))

    async def video(self, request: Request) -> Response:
        camera = self._camera(request)
        if self.proxies.state(camera).state != "ready":
            raise HTTPException(404, "the video is not ready")
        path = self.proxies.path(camera)
        size = (await run_in_threadpool(path.stat)).st_size
        first, last = _byte_range(request.headers.get("range", ""), size)
        part = await run_in_threadpool(_read, path, first, last)
        headers = {"content-range": f"bytes {first}-{last}/{size}", "accept-ranges": "bytes"}
        return Response(part, 206, headers, "video/mp4")

    async def crop(self, request: Request) -> Response:
        viewed, passage = self._passage(request)
        tracklet = viewed.passages[passage].tracklet
        result = viewed.run.results[int(viewed.camera[passage])]
        image = result.thumbnails.get(tracklet.track_id)
        if image is None:
            raise HTTPException(404, "the run has no picture of this passage")
        return _jpeg(image)

    async def sheet(self, request: Request) -> Response:
        viewed, passage = self._passage(request)
        return JSONResponse(asdict(sheet_of(viewed.passages[passage].tracklet)))

    async def sheet_picture(self, request: Request) -> Response:
        viewed, passage = self._passage(request)
        index = int(viewed.camera[passage])
        if self.proxies.state(index).state != "ready":
            raise HTTPException(404, "the video is not ready")
        camera, tracklet = viewed.cameras[index], viewed.passages[passage].tracklet
        path = self.proxies.path(index)
        return _jpeg(await run_in_threadpool(sheet_image, path, camera.fps, camera.size_wh, tracklet))

    async def similar(self, request: Request) -> Response:
        derived = self._of_tracklets()
        _, passage = self._passage(request)
        found = await run_in_threadpool(lambda: derived.search.like_passage(passage, _MAX_MATCHES))
        return JSONResponse([asdict(match) for match in found])

    async def search(self, request: Request) -> Response:
        data = await sent_bytes(request, "application/octet-stream", MAX_PICTURE_BYTES)
        derived = self._of_tracklets()
        found = await run_in_threadpool(lambda: derived.search.like_picture(decode_picture(data), _MAX_MATCHES))
        return JSONResponse([asdict(match) for match in found])

    async def questions(self, request: Request) -> Response:
        found = await run_in_threadpool(self.session.questions)
        first = [{**asdict(q), "expected_boxes": q.expected_boxes} for q in found[:_MAX_QUESTIONS]]
        return JSONResponse({"total": len(found), "questions": first})

    async def journal(self, request: Request) -> Response:
        await run_in_threadpool(self.session.reload)
        entries = self.session.entries()
        return JSONResponse([{**asdict(entry), "counts": counts} for entry, counts in entries])

    async def answer(self, request: Request) -> Response:
        data = await sent_json(request)
        [sequence] = _integers(data, "sequence", exactly=1)
        await run_in_threadpool(self._append, sequence, data.get("action"), data)
        return self._identities()

    async def scores(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.session.scores))

    async def mistakes(self, request: Request) -> Response:
        async with self._diagnosing:
            if self._mistakes is None:
                found = await run_in_threadpool(mistakes_of, self.session.given)
                self._mistakes = _json_bytes(None if found is None else [asdict(mistake) for mistake in found])
        return Response(self._mistakes, media_type="application/json")

    async def export(self, request: Request) -> Response:
        path = await run_in_threadpool(self.session.export)
        return FileResponse(path, media_type="text/plain", filename="track1.txt")

    async def truth(self, request: Request) -> Response:
        return await self._zipped("truth", request)

    async def crops(self, request: Request) -> Response:
        return await self._zipped("crops", request)

    async def _zipped(self, kind: ExportKind, request: Request) -> Response:
        """A folder of files as one file; a second request waits for the first."""
        export = partial(self.session.export, kind, only_checked="checked" in request.query_params)
        async with self._exporting:
            folder = await run_in_threadpool(export)
            path = await run_in_threadpool(zipped, folder)
        return FileResponse(path, media_type="application/zip", filename=path.name)

    def _append(self, sequence: int, action: Any, data: Mapping[str, Any]) -> None:
        session = self.session
        session.expect(sequence)
        if action in ("same", "different"):
            first, second = _integers(data, "pair", exactly=2)
            session.answer(sequence, (first, second), action == "same")
        elif action == "merge":
            session.merge(sequence, _integers(data, "vehicles"))
        elif action == "split":
            session.split(sequence, _integers(data, "passages"))
        elif action == "assign":
            session.assign(sequence, _integers(data, "passages"), _integers(data, "number", exactly=1)[0])
        elif action == "cut":
            [passage], [frame] = _integers(data, "passages", exactly=1), _integers(data, "frame", exactly=1)
            session.cut(sequence, passage, frame)
        elif action == "boxes":
            [camera], chosen = _integers(data, "camera", exactly=1), _integers(data, "passages")
            if len(chosen) > 1:
                raise ConfigError("expected one tracklet for the boxes, or none for a new one")
            session.give_boxes(sequence, camera, _boxes(data), *chosen)
        elif action == "delete":
            session.delete(sequence, _integers(data, "passages"))
        elif action == "class":
            session.reclassify(sequence, _integers(data, "passages"), str(data.get("class")))
        elif action == "check":
            session.check(sequence, _integers(data, "passages"))
        elif action == "undo":
            session.undo(sequence, _integers(data, "undoes", exactly=1)[0])
        else:
            raise ConfigError(f"expected one of the actions {', '.join(ACTIONS)}")

    def _identities(self) -> Response:
        now = self.session.snapshot()
        return JSONResponse(
            {
                "sequence": now.sequence,
                "tracklets": now.tracklets,
                "vehicle": now.solution.vehicle.tolist(),
                "checked": sorted(now.checked),
            }
        )

    def _passage(self, request: Request) -> tuple[ViewedRun, int]:
        """A passage by its place, or by the tracklet that a page means (``of``): places change with the tracklets."""
        derived = self._of_tracklets()
        passage: int | None = int(request.path_params["passage"])
        run, named, tracklet = request.query_params.get("of", "").partition(".")
        if named and run == self._key:
            passage = derived.places.get(tracklet)
            if passage is None:
                raise HTTPException(409, "the tracklet has changed meanwhile")
        if (named and run != self._key) or passage is None or passage >= len(derived.snapshot.viewed.passages):
            raise HTTPException(404, "no such passage")
        return derived.snapshot.viewed, passage

    def _camera(self, request: Request) -> int:
        camera = int(request.path_params["camera"])
        if camera >= len(self.viewed.cameras):
            raise HTTPException(404, "no such camera")
        return camera


# Requests and answers


def _static_names() -> list[str]:
    folder = resources.files("mtmc.view") / "static"
    return sorted(file.name for file in folder.iterdir() if file.name.rpartition(".")[2] in _MEDIA_TYPES)


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = (resources.files("mtmc.view") / "static" / name).read_bytes()
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]

    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return answer


def _integers(data: Mapping[str, Any], name: str, exactly: int | None = None) -> list[int]:
    """One whole number, or a list of them, that a page sent under a name."""
    value = data.get(name)
    values = value if isinstance(value, list) else [value]
    whole = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**31]
    if len(whole) != len(values) or (exactly is not None and len(values) != exactly):
        raise ConfigError(f"expected whole numbers as {name!r}")
    return whole


def _boxes(data: Mapping[str, Any]) -> list[Box]:
    """Boxes that a page sent: lists of a frame and four edges."""
    rows = data.get("boxes")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 5 for row in rows):
        raise ConfigError("expected lists of a frame and four edges as 'boxes'")
    _integers({"boxes": [row[0] for row in rows]}, "boxes")
    edges = [edge for row in rows for edge in row[1:]]
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < EDGE_LIMIT_PX for v in edges):
        raise ConfigError("expected edges of 'boxes' in pixels of a picture")
    return [(frame, float(x1), float(y1), float(x2), float(y2)) for frame, x1, y1, x2, y2 in rows]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HTTPException(422, f"expected a whole number, got {text[:40]!r}")
    return int(text)


def _byte_range(header: str, size: int) -> tuple[int, int]:
    """First and last byte of what is sent: a browser that wants all gets the first part and asks for more.

    A browser has six connections to a server. Whole videos would keep them all busy while they are not shown.
    """
    match = re.fullmatch(r"bytes=(\d{1,15})-(\d{0,15})", header) if header else None
    first, last = (int(match[1]), int(match[2] or size - 1)) if match else (0, size - 1)
    if not first <= last or first >= size:
        raise HTTPException(416, "no such part of the video", {"content-range": f"bytes */{size}"})
    return first, min(last, size - 1, first + _MAX_PART_BYTES - 1)


def _read(path: Path, first: int, last: int) -> bytes:
    with path.open("rb") as file:
        file.seek(first)
        return file.read(last - first + 1)


def _jpeg(image: Array) -> Response:
    """A picture uint8 (H, W, 3), RGB, that stays the same under its address."""
    jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return Response(jpeg.tobytes(), media_type="image/jpeg", headers={"cache-control": "max-age=86400"})


def _json_bytes(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _mtmc_error(request: Request, error: Exception) -> Response:
    stale = isinstance(error, (StaleSequence, StaleScene))
    return JSONResponse({"error": str(error)}, 409 if stale else 422)
