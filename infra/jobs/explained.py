"""Explanations that are there already: the same model, rows and method are not explained twice.

models/<model_id>/explanations/<key>.json   what was told of the latest; the key follows from all that decides it
models/<model_id>/explanations/made/<explanation_id>.json   where the files of each lie, to be removed with the model
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from events.explanations import ExplanationCompleted
from events.identifiers import explanation_id_of
from events.outcomes import JobCompleted
from events.requests import ExplanationRequested, JobRequested
from events.vocabulary import content_hash

from . import tombstones
from .arbiter import Outcome
from .loans import Loans
from .ports import Store

_COMPLETED, _DONE = "ml.explanation.completed", "ml.job.completed"
#: What of a request changes no number and no picture.
_INDIFFERENT = {"job_id", "created_by", "name", "timeout_s", "resources"}


@dataclass(frozen=True, slots=True)
class Known:
    """An explanation of an earlier job; `summary` is what that job said at its end."""

    summary: str
    explanation: ExplanationCompleted

    def as_of(self, job_id: str) -> ExplanationCompleted:
        """The same one, told of another job: its files are the earlier one's."""
        return self.explanation.model_copy(
            update={"explanation_id": explanation_id_of(job_id), "job_id": job_id, "created_at": datetime.now(UTC)}
        )


async def recall(store: Store, request: JobRequested, loans: Loans) -> Known | None:
    """What the request asks for, if it was explained before and its files are still what they were."""
    if not isinstance(request, ExplanationRequested):
        return None
    try:
        found = json.loads(await store.get(_place(request.model_id, asked_sha256(request, loans))) or b"null")
        known = found and Known(found["summary"], ExplanationCompleted.model_validate(found["explanation"]))
    except (ValueError, LookupError, TypeError):
        return None  # damaged: it is made anew, and written again
    return known if known and await _is_whole(store, known.explanation) else None


async def remember(store: Store, outcome: Outcome) -> None:
    """Writes down what a decided end tells of an explanation that this very job has made, if it has.

    One whose model was deleted since is told again, and its files do not stay.
    """
    told = {recorded.event.name: recorded.event.data for recorded in outcome.events}
    if _COMPLETED not in told:
        return
    made = ExplanationCompleted.model_validate(told[_COMPLETED])
    if not (made.asked_sha256 and made.explanation_id in made.artifacts_path.split("/")):
        return
    if await tombstones.ended_as(store, made.model_id) is None:
        summary = JobCompleted.model_validate(told[_DONE]).summary
        record = json.dumps({"summary": summary, "explanation": told[_COMPLETED]})
        files = json.dumps({"explanation": {"artifacts_path": made.artifacts_path}})
        await store.put(_place(made.model_id, f"made/{made.explanation_id}"), files.encode())
        await store.put(_place(made.model_id, made.asked_sha256), record.encode())
        if await tombstones.ended_as(store, made.model_id) is None:
            return
    # It went before its explanation could be written down, or in this moment: whoever removed it knew nothing of this.
    await store.delete_all(made.artifacts_path)
    await store.delete(_place(made.model_id, f"made/{made.explanation_id}"))
    await store.delete(_place(made.model_id, made.asked_sha256))


def asked_sha256(request: ExplanationRequested, loans: Loans) -> str:
    """Of all that decides an explanation: equal for equal ones."""
    asked = request.model_dump(mode="json", exclude=_INDIFFERENT)
    files = {name: facts.get("files") for name, facts in loans.models}
    return content_hash({**asked, "files": files, "version": version("omniscope-ml")})


def _place(model_id: str, key: str) -> str:
    return f"models/{model_id}/explanations/{key}.json"


async def _is_whole(store: Store, explanation: ExplanationCompleted) -> bool:
    """Whether every file is there with the bytes that were recorded."""
    for path, sha256 in explanation.files.items():
        found = await store.get(f"{explanation.artifacts_path}/{path}")
        if found is None or await asyncio.to_thread(_sha256, found) != sha256:
            return False
    return True


def _sha256(found: bytes) -> str:
    return hashlib.sha256(found).hexdigest()
