"""Models: the list, and the results of one."""

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from events.identifiers import is_identifier
from events.topics import Topic
from infra.api import reading
from infra.api.problems import Refusal
from schemas import queries
from schemas.filters import ModelFilter, NoParameters
from schemas.openapi import Operation
from schemas.responses import ModelPage, ModelResults

from . import Endpoint


async def list_models(request: Request) -> Response:
    asked = reading.parameters(request, ModelFilter)
    async with reading.connection(request) as connection:
        page = await queries.list_models(connection, asked)
    return reading.json(page)


async def model_results(request: Request) -> Response:
    reading.parameters(request, NoParameters)
    model_id = request.path_params["model_id"]
    found = None
    if is_identifier(model_id):
        async with reading.connection(request) as connection:
            found = await _results(connection, model_id)
    if found is None:
        raise Refusal(
            404,
            "model_unknown",
            f"no model has this id: a model is there when its job has completed and {Topic.MODELS} has told so; "
            "/api/ml/jobs shows how far its job is",
        )
    return reading.json(found)


async def _results(connection: AsyncConnection, model_id: str) -> ModelResults | None:
    try:
        return await queries.get_model(connection, model_id)
    except queries.ModelDeleted as error:
        raise Refusal(410, "model_deleted", f"this model was {error}; what it was stays in the log") from error


ENDPOINTS = (
    Endpoint(
        Operation("/api/ml/models/list", "listModels", "Models, newest first", ModelPage, ModelFilter), list_models
    ),
    Endpoint(
        Operation(
            "/api/ml/models/{model_id}/results",
            "getModelResults",
            "Everything known about a model",
            ModelResults,
            NoParameters,
            missing=(404, 410),
        ),
        model_results,
    ),
)
