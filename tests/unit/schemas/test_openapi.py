"""The document is made from models and route table: valid, and nothing of it is missing."""

from openapi_spec_validator import validate
from pydantic import BaseModel

from schemas.filters import JobFilter, ListFilter
from schemas.openapi import Operation, document


class Thing(BaseModel):
    id: str


def test_one_operation_is_described_whole() -> None:
    made = document(
        [Operation("/things/{thing_id}", "getThing", "A thing", Thing, JobFilter, missing=(404,))], version="1"
    )
    validate(made)
    operation = made["paths"]["/things/{thing_id}"]["get"]
    assert sorted(operation["responses"]) == ["200", "401", "403", "404", "422", "500", "503"]
    assert "security" not in operation, "what is said for all holds"
    named = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert named["thing_id"]["required"] is True
    assert named["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert named["status"]["schema"] == {"$ref": "#/components/schemas/JobStatus"}
    assert all(parameter["description"] for name, parameter in named.items() if name != "thing_id")


def test_an_open_operation_needs_no_token_and_refuses_none() -> None:
    made = document([Operation("/up", "getUp", "Up", Thing, public=True, reads=False)], version="1")
    operation = made["paths"]["/up"]["get"]
    assert operation["security"] == []
    assert sorted(operation["responses"]) == ["200", "500"]


def test_models_of_parameters_are_no_schemas_of_their_own() -> None:
    made = document([Operation("/things", "listThings", "Things", Thing, ListFilter)], version="1")
    assert sorted(made["components"]["schemas"]) == ["Problem", "Thing"]
