"""Datasets: the list."""

from starlette.requests import Request
from starlette.responses import Response

from infra.api import reading
from schemas import queries
from schemas.filters import DatasetFilter
from schemas.openapi import Operation
from schemas.responses import DatasetPage

from . import Endpoint


async def list_datasets(request: Request) -> Response:
    asked = reading.parameters(request, DatasetFilter)
    async with reading.connection(request) as connection:
        page = await queries.list_datasets(connection, asked)
    return reading.json(page)


ENDPOINTS = (
    Endpoint(
        Operation("/api/ml/datasets", "listDatasets", "Datasets, newest first", DatasetPage, DatasetFilter),
        list_datasets,
    ),
)
