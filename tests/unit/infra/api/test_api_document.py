"""What /openapi.json says is what is served, and what is served is what it says."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route
from support.clients import client_of
from support.rows import NOON, dataset_row, explanation_row, fill, job_row, model_row

from infra.api import tokens
from schemas.tables import datasets, explanations, ml_models, training_jobs

PATHS = {
    "/": "/",
    "/healthz": "/healthz",
    "/readyz": "/readyz",
    "/openapi.json": "/openapi.json",
    "/api/ml/jobs": "/api/ml/jobs",
    "/api/ml/jobs/{job_id}/status": "/api/ml/jobs/done/status",
    "/api/ml/models/list": "/api/ml/models/list",
    "/api/ml/models/{model_id}/results": "/api/ml/models/m/results",
    "/api/ml/models/{model_id}/explanations": "/api/ml/models/m/explanations",
    "/api/ml/explanations/{explanation_id}": "/api/ml/explanations/x",
    "/api/ml/datasets": "/api/ml/datasets",
}


@pytest.fixture
async def document(stranger) -> dict[str, Any]:
    return (await stranger.get("/openapi.json")).json()


def schema_of(document: dict[str, Any], path: str, status: str, media_type: str) -> dict[str, Any]:
    """The schema of an answer, with what it refers to."""
    answer = document["paths"][path]["get"]["responses"][status]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    return {**answer["content"][media_type]["schema"], "components": document["components"]}


async def test_the_document_is_valid_openapi(document) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_routes_and_document_name_the_same(app, document) -> None:
    served = {route.path: route.name for route in app.routes if isinstance(route, Route)}
    assert len(served) == len(app.routes), "every route is in the table"
    assert {path: item["get"]["operationId"] for path, item in document["paths"].items()} == served
    assert served.keys() == PATHS.keys(), "a new address wants its answer checked below"


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_fits_its_schema(client, engine, document, path: str) -> None:
    late = {"started_at": NOON, "completed_at": NOON, "last_heard_at": NOON, "metrics": {"loss": 0.5}, "eta_s": 1.0}
    await fill(
        engine,
        training_jobs,
        job_row("done", status="failed", error_reason="crashed", error="it crashed", **late),
        job_row("new"),
    )
    await fill(engine, ml_models, model_row("m"), model_row("plain", details={}, intervals={}))
    await fill(engine, explanations, explanation_row("x"), explanation_row("y", details={}))
    await fill(engine, datasets, dataset_row("d"), dataset_row("e", status="rejected", error_reason="x", sha256=None))
    answer = await client.get(PATHS[path])
    assert answer.status_code == 200
    Draft202012Validator(schema_of(document, path, "200", "application/json")).validate(answer.json())


async def test_a_schema_can_tell_a_wrong_answer(document) -> None:
    schema = schema_of(document, "/api/ml/jobs/{job_id}/status", "200", "application/json")
    errors = [e.message for e in Draft202012Validator(schema).iter_errors({"job_id": 7, "status": "done"})]
    assert any("7 is not of type 'string'" in message for message in errors)
    assert any("'done' is not one of" in message for message in errors)


@pytest.mark.parametrize("path", PATHS)
async def test_every_promised_problem_fits_its_schema(app, settings, engine, signed, document, path: str) -> None:
    await fill(engine, ml_models, model_row("gone", deleted_at=NOON))
    missing = path.format(job_id="nobody", model_id="nobody", explanation_id="nobody")
    ways = {
        "401": (missing, None),
        "403": (missing, signed(scope="other")),
        "404": (missing, tokens.issue(settings, "ada")),
        "410": (path.format(model_id="gone", job_id="", explanation_id=""), tokens.issue(settings, "ada")),
        "422": (missing + "?nonsense=1", tokens.issue(settings, "ada")),
    }
    for status in document["paths"][path]["get"]["responses"]:
        if status not in ways:
            continue
        address, token = ways[status]
        async with client_of(app, token) as client:
            answer = await client.get(address)
        assert str(answer.status_code) == status
        Draft202012Validator(schema_of(document, path, status, "application/problem+json")).validate(answer.json())


async def test_each_parameter_of_the_document_is_taken(client, document) -> None:
    good = {"limit": "5", "status": "failed", "kind": "automl", "dataset_id": "d", "type": "ensemble"}
    for path in ("/api/ml/jobs", "/api/ml/models/list"):
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"] != "cursor":
                answer = await client.get(path, params={parameter["name"]: good[parameter["name"]]})
                assert answer.status_code == 200, parameter["name"]
