"""Jobs: the list, and where one stands."""

from starlette.requests import Request
from starlette.responses import Response

from events.identifiers import is_identifier
from infra.api import reading, writes
from infra.api.problems import Refusal
from schemas import queries
from schemas.filters import JobFilter, NoParameters
from schemas.openapi import Operation
from schemas.responses import JobPage, JobView

from . import Endpoint


async def list_jobs(request: Request) -> Response:
    asked = reading.parameters(request, JobFilter)
    async with reading.connection(request) as connection:
        page = await queries.list_jobs(connection, asked)
    return reading.json(page)


async def job_status(request: Request) -> Response:
    reading.parameters(request, NoParameters)
    job_id = request.path_params["job_id"]
    found = None
    if is_identifier(job_id):
        async with reading.connection(request) as connection:
            found = await queries.get_job(connection, job_id)
    if found is None:
        raise _unknown()
    return reading.json(found)


def _unknown() -> Refusal:
    topics = [str(topic) for topic in writes.job_topics()]
    return Refusal(
        404,
        "job_unknown",
        "no job has this id: a job begins as an event on one of the request topics and is seen here "
        "as soon as the projector has read it",
        topics=topics,
    )


ENDPOINTS = (
    Endpoint(Operation("/api/ml/jobs", "listJobs", "Jobs, newest first", JobPage, JobFilter), list_jobs),
    Endpoint(
        Operation(
            "/api/ml/jobs/{job_id}/status", "getJobStatus", "Where a job stands", JobView, NoParameters, missing=(404,)
        ),
        job_status,
    ),
)
