"""The OpenAPI 3.1 document of the read API, made from its route table and its models: it cannot drift from them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from events.identifiers import PATTERN

from .responses import Problem

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PROBLEMS = {
    401: ("Unauthorized", "No token, or one that is not accepted."),
    403: ("Forbidden", "The token does not carry the scope ml:read."),
    404: ("NotFound", "Nothing is known under this id."),
    410: ("Gone", "It was there once and has been deleted."),
    422: ("InvalidParameter", "A query parameter is unknown or has no usable value; `parameter` names it."),
    500: ("InternalError", "A fault of this service; the log tells more under the request's id."),
    503: (
        "Unavailable",
        "The database, or who issues the tokens, does not answer; Retry-After says when to ask again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET. `query` is the model of its query parameters (None: not looked at); `public` needs no token.

    `missing` lists the statuses that say an id leads nowhere.
    """

    path: str
    name: str
    summary: str
    answer: type[BaseModel] | None
    query: type[BaseModel] | None = None
    public: bool = False
    reads: bool = True
    missing: tuple[int, ...] = ()

    @property
    def problems(self) -> tuple[int, ...]:
        """The statuses besides 200 that it may answer."""
        tokens = () if self.public else (401, 403)
        checked = () if self.query is None else (422,)
        return (*tokens, *self.missing, *checked, 500, *((503,) if self.reads else ()))


def document(operations: Iterable[Operation], *, version: str) -> Schema:
    """The document for these operations, as JSON data."""
    operations = tuple(operations)
    asked = {op.query for op in operations if op.query is not None}
    answered = {op.answer for op in operations if op.answer is not None} | {Problem}
    by_name = sorted(asked, key=lambda m: m.__name__), sorted(answered, key=lambda m: m.__name__)
    refs, definitions = models_json_schema(
        [*((m, "validation") for m in by_name[0]), *((m, "serialization") for m in by_name[1])], ref_template=_REF
    )
    schemas = definitions["$defs"]
    parameters = {m: _query_parameters(schemas.pop(_name(refs[m, "validation"]))) for m in by_name[0]}
    return {
        "openapi": "3.1.0",
        "info": _info(version),
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": {op.path: {"get": _operation(op, parameters[op.query] if op.query else [])} for op in operations},
        "components": {
            "schemas": schemas,
            "responses": {name: _problem(text) for name, text in _PROBLEMS.values()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _info(version: str) -> Schema:
    return {
        "title": "OmniScope ML",
        "version": version,
        "summary": "Where machine-learning jobs stand and what came of them",
        "description": "Read-only. Work is asked for by Kafka events; this tells what became of it.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _operation(op: Operation, query: list[Schema]) -> Schema:
    schema = {"type": "object"} if op.answer is None else {"$ref": _REF.format(model=op.answer.__name__)}
    found: Schema = {
        "operationId": op.name,
        "summary": op.summary,
        "parameters": [*_path_parameters(op.path), *query],
        "responses": {
            "200": {"description": "Found.", "content": {"application/json": {"schema": schema}}},
            **{str(code): {"$ref": f"#/components/responses/{_PROBLEMS[code][0]}"} for code in op.problems},
        },
    }
    return {**found, "security": []} if op.public else found


def _path_parameters(path: str) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": PATTERN}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(model: Schema) -> list[Schema]:
    return [_query_parameter(name, field) for name, field in model.get("properties", {}).items()]


def _query_parameter(name: str, field: Schema) -> Schema:
    said = {key: value for key, value in field.items() if key not in ("title", "description", "default", "anyOf")}
    # «Not asked» is no value that could be sent, so null is no part of the parameter's schema.
    for choice in field.get("anyOf", ()):
        said |= choice if choice != {"type": "null"} else {}
    if field.get("default") is not None:
        said["default"] = field["default"]
    return {"name": name, "in": "query", "description": field["description"], "schema": said}


def _problem(description: str) -> Schema:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model=Problem.__name__)}}},
    }


def _name(ref: Schema) -> str:
    return str(ref["$ref"]).rsplit("/", 1)[-1]
