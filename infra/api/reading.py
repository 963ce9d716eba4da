"""What every endpoint needs: its parameters as a model, a connection to read with, its answer as JSON."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import Request
from starlette.responses import Response

from schemas.cursors import InvalidCursor

from .problems import Refusal

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0
RETRY_AFTER_S = 5

Asked = TypeVar("Asked", bound=BaseModel)

#: PostgreSQL's word for a table, and for a column, that is not there. SQLite has it among the operational errors.
_NOT_MIGRATED = ("42P01", "42703")


def json(view: BaseModel) -> Response:
    return Response(view.model_dump_json(), media_type="application/json")


def parameters(request: Request, model: type[Asked]) -> Asked:
    """The query string as `model`.

    Raises:
        Refusal: 422, naming the parameter that is unknown, said twice or out of range.
    """
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    for name in names:
        if name not in model.model_fields:
            known = ", ".join(model.model_fields) or "none"
            raise invalid(name, f"{name[:100]!r} is not a parameter here; there are: {known}")
        if names.count(name) > 1:
            raise invalid(name, f"{name} is given twice: give it once")
    try:
        return model.model_validate_strings(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise invalid(name, f"{name}: {first['msg']}") from error


def invalid(parameter: str, detail: str) -> Refusal:
    return Refusal(422, "parameter_invalid", detail, parameter=parameter[:100])


@asynccontextmanager
async def connection(request: Request, timeout_s: float = TIMEOUT_S) -> AsyncIterator[AsyncConnection]:
    """A connection to read with, for at most `timeout_s` seconds.

    Raises:
        Refusal: 503 where the database does not answer or has no tables yet, 422 for a cursor that is none.
    """
    engine: AsyncEngine = request.app.state.engine
    try:
        async with asyncio.timeout(timeout_s), engine.connect() as open_connection:
            yield open_connection
    except InvalidCursor as error:
        raise invalid("cursor", f"cursor: {error}; leave it out to begin at the newest") from error
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, OSError) as error:
        raise _unavailable(error) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _NOT_MIGRATED:
            raise _unavailable(error) from error
        raise


def _unavailable(error: Exception) -> Refusal:
    # What the driver says may name hosts and statements: that is for the log alone.
    log.warning("database_unavailable", error=f"{type(error).__name__}: {error}")
    return Refusal(
        503,
        "database_unavailable",
        "the database does not answer, or the projector has not made its tables yet: try again shortly",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
