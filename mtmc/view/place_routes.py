"""The routes of the place editor."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mtmc.view.bodies import sent_bytes, sent_json
from mtmc.view.place import MAX_PICTURE_BYTES, PlaceEditor

__all__ = ["place_routes"]


def place_routes(editor: PlaceEditor) -> list[Route]:
    """The routes below ``/api/place``."""

    async def content(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(editor.content))

    async def save(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(editor.save, await sent_json(request)))

    async def fit(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(editor.fit, await sent_json(request)))

    async def add_picture(request: Request) -> Response:
        data = await sent_bytes(request, "application/octet-stream", MAX_PICTURE_BYTES)
        return JSONResponse(await run_in_threadpool(editor.add_picture, data))

    async def picture(request: Request) -> Response:
        jpeg = await run_in_threadpool(editor.picture, request.path_params["picture"])
        if jpeg is None:
            raise HTTPException(404, "no such picture")
        return Response(jpeg, media_type="image/jpeg")

    return [
        Route("/api/place", content),
        Route("/api/place", save, methods=["POST"]),
        Route("/api/place/homography", fit, methods=["POST"]),
        Route("/api/place/pictures", add_picture, methods=["POST"]),
        Route("/api/place/pictures/{picture:int}.jpg", picture),
    ]
