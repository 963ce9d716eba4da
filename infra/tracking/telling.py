"""The two events that the registrar tells. Told again, they are the same events."""

from datetime import datetime

from pydantic import BaseModel

from events.envelope import CloudEvent
from events.identifiers import derived_id
from events.outcomes import ModelPromoted, ModelRegistered
from events.vocabulary import EVENT_OF_MODEL
from infra.jobs.job import SOURCE


def registered_event(fact: ModelRegistered, cause: CloudEvent, at: datetime) -> CloudEvent:
    """One for each run and version of a model: a rebuilt tracking store tells new ones."""
    identity = derived_id("registered", fact.model_id, fact.mlflow_run_id, fact.version)
    return _event(fact, identity, cause, at)


def promoted_event(fact: ModelPromoted, cause: CloudEvent, at: datetime) -> CloudEvent:
    """One for each request. Its time is the broker's time of the request, so that readers see which one was later."""
    return _event(fact, derived_id("promoted", fact.model_id, *cause.identity), cause, at)


def _event(fact: BaseModel, identity: str, cause: CloudEvent, at: datetime) -> CloudEvent:
    known = EVENT_OF_MODEL[type(fact)]
    return CloudEvent(
        id=identity,
        source=SOURCE,
        type=known.type,
        subject=str(getattr(fact, known.key)),
        time=at,
        data=fact.model_dump(mode="json"),
        **cause.extensions,
    )
