"""Explanations: those of a model, and one."""

from starlette.requests import Request
from starlette.responses import Response

from events.identifiers import is_identifier
from events.topics import Topic
from infra.api import reading
from infra.api.problems import Refusal
from schemas import queries
from schemas.filters import ExplanationFilter, NoParameters
from schemas.openapi import Operation
from schemas.responses import ExplanationPage, ExplanationResults

from . import Endpoint


async def of_model(request: Request) -> Response:
    asked, model_id = reading.parameters(request, ExplanationFilter), request.path_params["model_id"]
    if not is_identifier(model_id):
        return reading.json(ExplanationPage(items=[], next=None))
    async with reading.connection(request) as connection:
        page = await queries.list_explanations(connection, model_id, asked)
    return reading.json(page)


async def one(request: Request) -> Response:
    reading.parameters(request, NoParameters)
    explanation_id, found = request.path_params["explanation_id"], None
    if is_identifier(explanation_id):
        async with reading.connection(request) as connection:
            found = await queries.get_explanation(connection, explanation_id)
    if found is None:
        raise Refusal(
            404,
            "explanation_unknown",
            f"no explanation has this id: it is there when its job has completed and {Topic.EXPLANATIONS} has told so; "
            "/api/ml/jobs shows how far its job is",
        )
    return reading.json(found)


ENDPOINTS = (
    Endpoint(
        Operation(
            "/api/ml/models/{model_id}/explanations",
            "listExplanations",
            "What was explained of a model, newest first",
            ExplanationPage,
            ExplanationFilter,
        ),
        of_model,
    ),
    Endpoint(
        Operation(
            "/api/ml/explanations/{explanation_id}",
            "getExplanation",
            "Everything known about an explanation",
            ExplanationResults,
            NoParameters,
            missing=(404,),
        ),
        one,
    ),
)
