"""What becomes of jobs → MLflow runs. One run for a job, found by its tag; telling anything twice changes nothing."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import structlog

from events.identifiers import is_identifier
from events.outcomes import JobCancelled, JobCompleted, JobFact, JobFailed, JobProgressed, JobStarted
from infra.tracking.experiments import Experiments
from infra.tracking.names import folder, key
from infra.tracking.tracking_store import TrackingStore
from infra.tracking.values import LONGEST_TAG, batches, finite, shortened

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

log = structlog.get_logger(__name__)

#: Job ids whose runs are remembered.
_REMEMBERED = 10_000
#: MLflow takes 1,000 entries at a time, of which 100 parameters and 100 tags.
_METRICS = 800
#: Steps of a later attempt come after all of the one before: MLflow calls the highest step the latest.
_STEPS_OF_AN_ATTEMPT = 1_000_000
_ENDED = ("FINISHED", "FAILED", "KILLED")
#: The tag that tells how many points of a training's curves are there: all of them.
TRACED = "curve_points"


class Runs:
    """The runs of one tracking store. Blocks: call it from a thread of its own, one at a time."""

    def __init__(self, store: TrackingStore) -> None:
        self._client = store.client
        self._experiments = Experiments(store)
        self._known: OrderedDict[str, str] = OrderedDict()

    def started(self, fact: JobStarted) -> None:
        """A run that is running. A later attempt goes on in the same one."""
        tags = {"attempt": str(fact.attempt), "worker": fact.worker}
        run = self.of_job(fact.job_id, fact.kind, fact.request, begun=fact.started_at, tags=tags)
        if not _has_ended(run) and int(run.data.tags.get("attempt", 0)) < fact.attempt:
            self.add(run, tags=tags)

    def progressed(self, job_id: str, words: Iterable[tuple[JobProgressed, int]]) -> bool:
        """Scores over time, as (word, its time in ms); whether the job has a run to tell them of."""
        from mlflow.entities import Metric

        run_id = self._find(job_id, None)
        if run_id is None:
            return False
        points = [
            Metric(name, value, at_ms, (word.attempt - 1) * _STEPS_OF_AN_ATTEMPT + word.seq)
            for word, at_ms in words
            for name, value in _scores(word).items()
        ]
        self._log(run_id, points, {}, {})
        return True

    def completed(self, fact: JobCompleted) -> None:
        self._end(fact, "FINISHED", {"mlflow.note.content": fact.summary}, _seconds(fact))

    def failed(self, fact: JobFailed) -> None:
        why = {"reason": fact.error.reason, "mlflow.note.content": fact.error.message, "message": fact.error.message}
        self._end(fact, "FAILED", why, {})

    def cancelled(self, fact: JobCancelled) -> None:
        self._end(fact, "KILLED", {"reason": "cancelled", "cancelled_by": fact.requested_by}, {})

    def of_job(
        self, job_id: str, kind: str, request: Mapping[str, Any], *, begun: datetime, tags: Mapping[str, str]
    ) -> "Run":
        """The job's run, made if there is none."""
        experiment = self._experiments.id_of(folder(_dataset(request), kind))
        run_id = self._find(job_id, experiment)
        if run_id is not None:
            return self._client.get_run(run_id)
        created = self._client.create_run(
            experiment,
            start_time=_ms(begun),
            run_name=_text(request.get("name")) or job_id,
            tags=_tags({**_about(job_id, kind, request), **tags}),
        )
        self._remember(job_id, created.info.run_id)
        return created

    def of_model(self, model_id: str) -> "Run | None":
        """The run of the job that has made this model, if that has been told."""
        where = self._experiments.all_ids()
        return self._search("model_id", model_id, where) if where else None

    def untag(self, run: "Run", tag: str) -> None:
        if tag in run.data.tags:
            self._client.delete_tag(run.info.run_id, tag)

    def add(
        self,
        run: "Run",
        *,
        params: Mapping[str, str] = {},
        metrics: Mapping[str, float] = {},
        tags: Mapping[str, str] = {},
        at: datetime | None = None,
    ) -> None:
        """Adds what the run does not say yet. Parameters that it has stay as they are: MLflow changes none."""
        from mlflow.entities import Metric

        at_ms = _ms(at) if at else run.info.start_time
        known = run.data
        self._log(
            run.info.run_id,
            [Metric(name, value, at_ms, 0) for name, value in metrics.items() if name not in known.metrics],
            {name: value for name, value in params.items() if name not in known.params},
            {name: value for name, value in _tags(tags).items() if known.tags.get(name) != value},
        )

    def trace(self, run: "Run", curves: Mapping[str, Iterable[tuple[int, float]]], at: datetime) -> None:
        """Whole curves, as (step, value), all at one time: a second telling adds no point. Noted last, as a tag."""
        from mlflow.entities import Metric

        points = [Metric(name, value, _ms(at), step) for name, curve in curves.items() for step, value in curve]
        self._log(run.info.run_id, points, {}, {})
        self._log(run.info.run_id, [], {}, {TRACED: str(len(points))})

    def forget(self) -> None:
        """Looks everything up again: somebody else has written, or removed, something."""
        self._known.clear()
        self._experiments.forget()

    def _end(self, fact: Any, status: str, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """The last word about a run is its status: who sees that sees everything."""
        ended: JobFact = fact
        begun, end = fact.started_at or fact.completed_at, fact.completed_at
        run = self.of_job(ended.job_id, ended.kind, ended.request, begun=begun, tags={"attempt": str(ended.attempt)})
        if _has_ended(run):
            return
        self.add(run, metrics=metrics, tags={**tags, "attempt": str(ended.attempt)}, at=end)
        self._client.set_terminated(run.info.run_id, status, _ms(end))

    def _find(self, job_id: str, experiment: str | None) -> str | None:
        if job_id not in self._known:
            where = [experiment] if experiment else self._experiments.all_ids()
            run = self._search("job_id", job_id, where)
            if run is None:
                return None
            self._remember(job_id, run.info.run_id)
        self._known.move_to_end(job_id)
        return self._known[job_id]

    def _search(self, tag: str, value: str, experiments: list[str]) -> "Run | None":
        """The run with this tag. One that a person has removed, and that is still told of, is brought back."""
        from mlflow.entities import ViewType

        if not experiments:
            return None
        found: list[Run] = self._client.search_runs(experiments, f"tags.{tag} = '{value}'", ViewType.ALL)
        # One writer makes one run. Had there ever been two, all readers would settle on the same.
        run = min(found, key=lambda one: (one.info.start_time, one.info.run_id), default=None)
        if run is not None and run.info.lifecycle_stage == "deleted":
            log.warning("run_restored", **{tag: value})
            self._client.restore_run(run.info.run_id)
        return run

    def _remember(self, job_id: str, run_id: str) -> None:
        self._known[job_id] = run_id
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _log(self, run_id: str, metrics: list["Metric"], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        parts: Any = zip_longest(
            batches(metrics, _METRICS), batches(params.items()), batches(tags.items()), fillvalue=[]
        )
        for points, some_params, some_tags in parts:
            self._client.log_batch(
                run_id,
                metrics=points,
                params=[Param(*one) for one in some_params],
                tags=[RunTag(*one) for one in some_tags],
            )


def _about(job_id: str, kind: str, request: Mapping[str, Any]) -> dict[str, str]:
    who = _text(request.get("created_by")) or "unknown"
    return {
        "job_id": job_id,
        "kind": kind,
        "dataset_id": _dataset(request) or "",
        "created_by": who,
        "mlflow.user": who,
        "mlflow.source.name": f"omniscope-ml {kind}",
        "mlflow.source.type": "JOB",
    }


def _scores(word: JobProgressed) -> dict[str, float]:
    """Kept apart from the scores on test rows, which come at the end and have the same names."""
    return {**finite({key("live", name): value for name, value in word.metrics.items()}), "progress": word.percent}


def _seconds(fact: JobCompleted) -> dict[str, float]:
    return finite({key("seconds", phase): seconds for phase, seconds in fact.seconds.items()})


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key(name): shortened(value, LONGEST_TAG) for name, value in tags.items()}


def _has_ended(run: "Run") -> bool:
    return run.info.status in _ENDED


def _dataset(request: Mapping[str, Any]) -> str | None:
    """The dataset a request names; it may be one that was refused, so nobody has checked it."""
    told = request.get("dataset_id")
    return told if isinstance(told, str) and is_identifier(told) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _ms(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
