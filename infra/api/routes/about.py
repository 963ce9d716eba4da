"""The service about itself: where things are, whether it is up, whether it can answer. Open to everybody."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from events.topics import Topic
from infra.api import reading
from infra.api.version import VERSION
from schemas import queries
from schemas.openapi import Operation
from schemas.responses import Directory, Health

from . import Endpoint

_PROBE_TIMEOUT_S = 2.0


async def index(request: Request) -> Response:
    return reading.json(
        Directory(
            name="OmniScope ML",
            version=VERSION,
            documentation="/openapi.json",
            links={
                "jobs": "/api/ml/jobs",
                "models": "/api/ml/models/list",
                "datasets": "/api/ml/datasets",
                "health": "/healthz",
                "readiness": "/readyz",
            },
            requests=f"Work is asked for by events, for example on the Kafka topic {Topic.AUTOML}",
        )
    )


async def healthz(request: Request) -> Response:
    return reading.json(Health(status="up"))


async def readyz(request: Request) -> Response:
    async with reading.connection(request, _PROBE_TIMEOUT_S) as connection:
        await queries.probe(connection)
    return reading.json(Health(status="ready"))


async def openapi(request: Request) -> Response:
    return JSONResponse(request.app.state.document)


ENDPOINTS = (
    Endpoint(Operation("/", "getDirectory", "Where things are", Directory, public=True, reads=False), index),
    Endpoint(Operation("/healthz", "getHealth", "The process is up", Health, public=True, reads=False), healthz),
    Endpoint(
        Operation("/readyz", "getReadiness", "The database answers and has its tables", Health, public=True), readyz
    ),
    Endpoint(Operation("/openapi.json", "getDocument", "This document", None, public=True, reads=False), openapi),
)
