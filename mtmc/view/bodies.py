"""What a page sends with a request, read up to a limit."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

__all__ = ["sent_bytes", "sent_json"]

_MAX_JSON_BYTES = 1 << 20


async def sent_bytes(request: Request, media_type: str, most: int) -> bytes:
    """The bytes that a page sent, as a type that no form of a foreign page can send.

    Raises:
        HTTPException: They are of another type, more than ``most``, or end too early.
    """
    if request.headers.get("content-type", "").partition(";")[0] != media_type:
        raise HTTPException(415, f"expected {media_type}")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise HTTPException(413, f"expected at most {most >> 20} MiB")
    except ClientDisconnect:
        raise HTTPException(400, "the request broke off") from None
    return bytes(body)


async def sent_json(request: Request) -> dict[str, Any]:
    """The JSON object that a page sent.

    Raises:
        HTTPException: It is no JSON object, or too long.
    """
    try:
        data = json.loads(await sent_bytes(request, "application/json", _MAX_JSON_BYTES))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise HTTPException(422, "expected a JSON object")
    return data
