"""The addresses of the read API, one table: routes and document are both made from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.api import auth
from schemas.openapi import Operation

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and what answers there."""

    operation: Operation
    handler: Handler

    def route(self) -> Route:
        handler = self.handler if self.operation.public else _guarded(self.handler)
        return Route(self.operation.path, handler, methods=["GET"], name=self.operation.name)


def _guarded(handler: Handler) -> Handler:
    async def checked(request: Request) -> Response:
        await auth.authorize(request)
        return await handler(request)

    return checked
