"""One record of the log → what it changes in the tables. Pure: the same record always means the same writes."""

from collections.abc import Callable

from events.dead_letters import DeadLetter
from events.errors import InvalidEvent
from events.topics import JOB_KIND_OF_TOPIC, Topic
from events.vocabulary import Identified, identify, validate
from schemas.projection import datasets, jobs, models
from schemas.projection.dead_letters import buried
from schemas.projection.place import Record
from schemas.projection.registers import Write
from schemas.projection.told import Told

#: What each outcome does to the tables, by the event's name.
_OUTCOMES: dict[str, Callable[[Told], list[Write]]] = {
    "ml.job.started": jobs.started,
    "ml.job.progressed": jobs.progressed,
    "ml.job.completed": jobs.completed,
    "ml.job.failed": jobs.failed,
    "ml.job.cancelled": jobs.cancelled,
    "ml.job.cancellation-refused": jobs.cancellation_refused,
    "ml.model.completed": models.model_completed,
    "ml.model.registered": models.model_registered,
    "ml.model.promoted": models.model_promoted,
    "ml.model.deleted": models.model_deleted,
    "ml.model.deletion-refused": lambda told: [],
    "ml.explanation.completed": models.explanation_completed,
    "ml.dataset.registered": datasets.registered,
    "ml.dataset.rejected": datasets.rejected,
}

_REQUEST_TOPICS = {*JOB_KIND_OF_TOPIC, Topic.DATASETS_UPLOADED}
#: Requests about what is there already: whoever carries them out says so in an outcome.
_COMMAND_TOPICS = {Topic.CANCELLATION, Topic.MODEL_DELETION, Topic.MODEL_PROMOTION}


def project(record: Record) -> list[Write] | DeadLetter:
    """What `record` changes; idempotent, and right in any order.

    An outcome that cannot be read comes back as a dead letter. A request that cannot be read changes nothing:
    the agent that it is meant for puts it aside.
    """
    topic = record.place.topic
    if topic in _COMMAND_TOPICS:
        return []
    if topic in _REQUEST_TOPICS:
        return _request(record)
    try:
        return buried(record) if topic == Topic.DEAD_LETTERS else _outcome(record)
    except InvalidEvent as error:
        return record.dead_letter(error.reason.value, error.message)


def _request(record: Record) -> list[Write]:
    try:
        found = _identified(record)
    except InvalidEvent:
        return []
    # Not validated: a request that is wrong still owns its job, which will end as failed.
    told = Told(found.event, found.event.data, found.key, record.place)
    if found.type.kind is None:
        return datasets.uploaded(told)
    return jobs.requested(told, found.type.kind)


def _outcome(record: Record) -> list[Write]:
    found = _identified(record)
    return _OUTCOMES[found.type.name](Told(found.event, validate(found), found.key, record.place))


def _identified(record: Record) -> Identified:
    return identify(record.place.topic, record.key, record.value, record.headers)
