"""The topics: names, what each keeps, how large an event may be.

Who may write to a topic is decided by the broker's ACLs, not here.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_EVENT_BYTES = 1_000_000
"""What the broker takes by default, less room for headers."""

LARGE_EVENT_BYTES = 2_000_000
"""For events that hold another one whole: a dead letter, and a job's start and end with its request."""

SEVEN_DAYS_MS = 7 * 24 * 3600 * 1000


class Topic(StrEnum):
    DATASETS_UPLOADED = "omniscope.datasets.uploaded"
    AUTOML = "omniscope.ml.automl.requested"
    DEEP_LEARNING = "omniscope.ml.deep-learning.requested"
    TRANSFER_LEARNING = "omniscope.ml.transfer-learning.requested"
    ENSEMBLE = "omniscope.ml.ensemble.requested"
    EXPLANATION = "omniscope.ml.explanation.requested"
    NOOP = "omniscope.ml.noop.requested"
    CANCELLATION = "omniscope.ml.cancellation.requested"
    MODEL_DELETION = "omniscope.ml.model-deletion.requested"
    MODEL_PROMOTION = "omniscope.ml.model-promotion.requested"
    JOBS = "omniscope.ml.jobs"
    PROGRESS = "omniscope.ml.progress"
    MODELS = "omniscope.ml.models"
    EXPLANATIONS = "omniscope.ml.explanations"
    DATASETS = "omniscope.ml.datasets"
    DEAD_LETTERS = "omniscope.ml.dead-letters"
    LOG = "omniscope.ml.log"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is made: `retention_ms` -1 keeps everything; `partitions` None takes the setting."""

    name: Topic
    retention_ms: int = -1
    max_message_bytes: int | None = None
    partitions: int | None = None


_OUTCOMES = (Topic.JOBS, Topic.MODELS, Topic.EXPLANATIONS, Topic.DATASETS, Topic.DEAD_LETTERS)

_DIFFERENT = {
    **{topic: TopicSpec(topic, max_message_bytes=LARGE_EVENT_BYTES) for topic in _OUTCOMES},
    Topic.PROGRESS: TopicSpec(Topic.PROGRESS, retention_ms=SEVEN_DAYS_MS, max_message_bytes=LARGE_EVENT_BYTES),
    # One record, the first, names the life of this log: a broker that lost its topics starts another.
    Topic.LOG: TopicSpec(Topic.LOG, partitions=1),
}

TOPICS: tuple[TopicSpec, ...] = tuple(_DIFFERENT.get(name, TopicSpec(name)) for name in Topic)


class JobKind(StrEnum):
    """The kinds of work. `noop` does nothing and exists for tests and benchmarks."""

    AUTOML = "automl"
    DEEP_LEARNING = "deep_learning"
    TRANSFER_LEARNING = "transfer_learning"
    ENSEMBLE = "ensemble"
    EXPLANATION = "explanation"
    NOOP = "noop"

    @property
    def topic(self) -> Topic:
        """Where requests of this kind are published."""
        return Topic[self.name]


JOB_KIND_OF_TOPIC = {kind.topic: kind for kind in JobKind}
