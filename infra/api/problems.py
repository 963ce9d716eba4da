"""Every error of the API is a problem document (RFC 9457): what is wrong, and what to do about it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas.responses import Problem

from . import writes

MEDIA_TYPE = "application/problem+json"
_READS = "GET, HEAD"


class Refusal(Exception):
    """The request is answered with a problem. `reason` is for programs, `detail` for people.

    `more` are further members of the document: `parameter`, `topics`.
    """

    def __init__(
        self, status: int, reason: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        self.more = more


def answer(request: Request, refusal: Refusal) -> Response:
    """The response that tells `refusal`."""
    problem = Problem(
        title=HTTPStatus(refusal.status).phrase,
        status=refusal.status,
        detail=refusal.detail,
        instance=request.url.path,
        reason=refusal.reason,
        request_id=getattr(request.state, "request_id", ""),
        **refusal.more,
    )
    return Response(
        problem.model_dump_json(exclude_none=True), refusal.status, headers=refusal.headers, media_type=MEDIA_TYPE
    )


async def on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return answer(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an address or a method that is not there."""
    assert isinstance(error, HTTPException)
    if writes.attempted(request.method, request.url.path):
        return answer(request, read_only(request))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return answer(
            request,
            Refusal(405, "method_not_allowed", "this address answers GET and HEAD only", headers={"Allow": _READS}),
        )
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer(request, Refusal(404, "no_such_address", "nothing is served here: /openapi.json lists what is"))
    return answer(request, Refusal(error.status_code, "refused", error.detail, headers=error.headers))


def read_only(request: Request) -> Refusal:
    """For whoever tries to change something here: where to send it instead."""
    topics = writes.topics_for(request.method, request.url.path)
    return Refusal(
        405,
        "read_only",
        f"this API only reads: publish the request as a CloudEvent to the Kafka topic {' or '.join(topics)}",
        headers={"Allow": _READS},
        topics=topics,
    )


def internal_error() -> Refusal:
    """A fault of ours. What it was stands in the log under the request's id, and only there."""
    return Refusal(500, "internal_error", "this is a fault of the service: tell its operator the request_id")
