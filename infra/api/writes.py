"""What people try to write here, and the topic it belongs on: requests are events, not posts."""

from events.topics import JobKind, Topic

_PREFIX = "/api/ml"
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

#: A word of the path → topic. The first that occurs decides, so the particular stand before the general.
_WORDS: tuple[tuple[str, Topic], ...] = (
    ("automl", Topic.AUTOML),
    ("deep", Topic.DEEP_LEARNING),
    ("transfer", Topic.TRANSFER_LEARNING),
    ("ensemble", Topic.ENSEMBLE),
    ("expla", Topic.EXPLANATION),
    ("cancel", Topic.CANCELLATION),
    ("promot", Topic.MODEL_PROMOTION),
    ("dataset", Topic.DATASETS_UPLOADED),
)
_DELETING = {"models": Topic.MODEL_DELETION, "jobs": Topic.CANCELLATION}


def attempted(method: str, path: str) -> bool:
    """Whether this request means to change something."""
    return method in _WRITING and (path == _PREFIX or path.startswith(_PREFIX + "/"))


def topics_for(method: str, path: str) -> list[str]:
    """The topics to publish to instead; those of all jobs where the path does not tell."""
    words = path.removeprefix(_PREFIX).lower().split("/")
    if method == "DELETE":
        found = [topic for word, topic in _DELETING.items() if word in words]
    else:
        found = [topic for word, topic in _WORDS if any(w.startswith(word) for w in words)][:1]
    return [str(topic) for topic in found or job_topics()]


def job_topics() -> list[Topic]:
    """Where jobs are asked for; the one that does nothing is not told to newcomers."""
    return [kind.topic for kind in JobKind if kind is not JobKind.NOOP]
