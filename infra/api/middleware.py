"""What every response gets, whoever makes it: headers that keep browsers careful, an id, a line in the log.

Plain ASGI, so that nothing is buffered and streams pass through.
"""

import re
import uuid
from time import perf_counter

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import problems

log = structlog.get_logger(__name__)

_CAREFUL = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
#: Asked every few seconds by whatever watches over us: not worth a line each.
_PROBES = frozenset({"/healthz", "/readyz"})


class SecurityHeaders:
    """Adds what is not said yet: a page may bring a policy of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _CAREFUL.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, careful if scope["type"] == "http" else send)


class Tracing:
    """Gives each request an id, writes its line into the log, and turns what nobody caught into a problem.

    The path is logged, never the query or a header: neither a token nor a cursor belongs there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        began = perf_counter()

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, told)
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if status:  # too late to say anything else
                    raise
                await problems.answer(Request(scope), problems.internal_error())(scope, receive, told)
            finally:
                _line(scope, status, perf_counter() - began)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.match(given) else uuid.uuid4().hex


def _line(scope: Scope, status: int, seconds: float) -> None:
    write = log.debug if scope["path"] in _PROBES else log.info
    caller = scope["state"].get("caller")
    write(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 2),
        client=(scope.get("client") or ("",))[0],
        subject=caller.subject if caller else None,
    )
