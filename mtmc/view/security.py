"""Who may talk to the server: pages that it served itself, by the right name, with the token where one is set.

Browsers send requests of foreign pages to ``localhost`` too, and a foreign name can be made to resolve to 127.0.0.1
(DNS rebinding). A server on this machine therefore checks the names in ``Host`` and ``Origin``. A server that other
machines reach asks for a token: once in the address, later in a cookie that scripts and foreign pages cannot use.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "loopback_names"]

_COOKIE = "mtmc_view"
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def loopback_names(port: int) -> frozenset[str]:
    """What ``Host`` may say to a server that only this machine reaches."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


class Guard:
    """ASGI middleware that refuses foreign requests.

    Args:
        app: What it protects.
        hosts: What ``Host`` may say; None for anything, which needs a token.
        token: What a browser has to show; "" for nothing.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, token: str = "") -> None:
        if hosts is None and not token:
            raise ValueError("Guard: expected a token where every host name is accepted")
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts is not None and host not in self.hosts:
            await PlainTextResponse("foreign host", 421)(scope, receive, send)
        elif origin is not None and origin != f"{scope['scheme']}://{host}":
            await PlainTextResponse("foreign origin", 403)(scope, receive, send)
        elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and scope["path"] != "/":
            await PlainTextResponse("foreign page", 403)(scope, receive, send)
        elif self.token and not self._shows_token(headers):
            await self._ask_for_token(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _shows_token(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and _equal(cookie.value, self.token)

    async def _ask_for_token(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] != "/" or not _equal(given, self.token):
            answer = PlainTextResponse("open the address that 'mtmc view' has printed, with its token", 401)
            await answer(scope, receive, send)
            return
        redirect = RedirectResponse("/", 303)
        redirect.set_cookie(_COOKIE, self.token, httponly=True, samesite="strict")
        await redirect(scope, receive, send)


def _equal(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return with_headers
