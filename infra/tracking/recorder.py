"""One record of the log → what it changes in MLflow, and what is told of it."""

import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from events.errors import InvalidEvent, ReasonCode
from events.outcomes import JobProgressed, ModelCompleted, ModelDeleted, ModelPromoted, ModelRegistered
from events.topics import JobKind, Topic
from events.vocabulary import Identified, identify, validate
from infra.jobs.ports import Outcomes, Store
from infra.kafka.outage import Outage
from infra.tracking.files import key_below, put_pictures, read_pictures, send_pictures, source_of
from infra.tracking.model_facts import curves_of, metrics_of, params_of, tags_of
from infra.tracking.place import Places
from infra.tracking.removal import Removals
from infra.tracking.runs import TRACED, Runs
from infra.tracking.telling import promoted_event, registered_event
from infra.tracking.tracking_store import TrackingStore
from infra.tracking.versions import NoSuchModel, Promotion, Versions
from infra.tracking.writing import Refused, Writer
from schemas.projection import Record

log = structlog.get_logger(__name__)

#: How far a publisher's clock may run ahead of ours.
_CLOCKS_DIFFER = timedelta(minutes=5)

T = TypeVar("T")


class NotYet(Exception):
    """What the event is about has not been read, or not been registered, so far."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record whose event is readable. `fact` is its checked data."""

    record: Record
    found: Identified
    fact: Any


class Recorder:
    """Writes into one tracking store what one life of the log tells.

    Args:
        artifacts: where models lie.
        places: written to see whether the store takes anything.
    """

    def __init__(
        self, store: TrackingStore, epoch: str, places: Places, writer: Writer, outcomes: Outcomes, artifacts: Store
    ) -> None:
        self._store = store
        self._runs = Runs(store)
        self._versions = Versions(store, epoch)
        self._removals = Removals(store, self._runs, self._versions, artifacts)
        self._places = places
        self._writer = writer
        self._outcomes = outcomes
        self._artifacts = artifacts
        self._artifacts_away = Outage("the artifact store")
        self._words: dict[str, list[Told]] = defaultdict(list)
        self._record_of: dict[str, Callable[[Told], Awaitable[None]]] = {
            "ml.job.started": partial(self._job, self._runs.started),
            "ml.job.completed": partial(self._job, self._runs.completed),
            "ml.job.failed": partial(self._job, self._runs.failed),
            "ml.job.cancelled": partial(self._job, self._runs.cancelled),
            "ml.job.progressed": self._word,
            "ml.model.completed": self._model,
            "ml.model.deleted": self._deletion,
            "ml.model-promotion.requested": self._promotion,
        }

    async def record(self, records: list[Record]) -> list[Record]:
        """Records what can be recorded; returns what has to wait for something else, in order.

        Raises:
            Moved: this process does not lead any more; what was given is for the next one to read.
        """
        waiting: list[Record] = []
        for record in records:
            told = await self._read(record)
            if told is None:
                continue
            try:
                await self._record_of[told.found.type.name](told)
            except NotYet:
                waiting.append(record)
            except Refused as refused:
                _left_out(record, refused)
        for job_id in list(self._words):
            waiting += await self._tell_words(job_id)
        return waiting

    async def give_up(self, record: Record) -> None:
        """What it waited for did not come."""
        if record.place.topic == Topic.MODEL_PROMOTION:
            message = "no model of that id has been registered: promote one that `omniscope-ml models` shows"
            await self._outcomes.bury(record.dead_letter(ReasonCode.MODEL_UNKNOWN, message))
        log.warning("given_up", topic=record.place.topic, partition=record.place.partition, offset=record.place.offset)

    async def _read(self, record: Record) -> Told | None:
        try:
            found = identify(record.place.topic, record.key, record.value, record.headers)
            if found.type.name not in self._record_of or found.event.data.get("kind") == JobKind.NOOP:
                return None
            return Told(record, found, validate(found))
        except InvalidEvent as error:
            # Outcomes that nobody can read are put aside by the projector; promotions are ours.
            if record.place.topic == Topic.MODEL_PROMOTION:
                await self._outcomes.bury(record.dead_letter(error.reason, error.message))
            return None

    async def _job(self, happened: Callable[[Any], None], told: Told) -> None:
        await self._tell_words(told.fact.job_id)
        await self._write(lambda: happened(told.fact))

    async def _word(self, told: Told) -> None:
        word: JobProgressed = told.fact
        if word.attempt > 0:  # before its first start a job has no scores, and no run
            self._words[word.job_id].append(told)

    async def _tell_words(self, job_id: str) -> list[Record]:
        """All that a job has said since the last time, in one batch; the records, if there is no run to tell it of."""
        words = self._words.pop(job_id, [])
        if not words:
            return []
        timed = [(told.fact, int(told.found.event.time.timestamp() * 1000)) for told in words]
        try:
            known = await self._write(lambda: self._runs.progressed(job_id, timed))
        except Refused as refused:
            _left_out(words[0].record, refused)
            return []
        return [] if known else [told.record for told in words]

    async def _model(self, told: Told) -> None:
        fact: ModelCompleted = told.fact
        await self._tell_words(fact.job_id)
        run = await self._write(lambda: self._described(fact))
        curves = curves_of(fact)
        if curves and TRACED not in run.data.tags:
            await self._write(lambda: self._runs.trace(run, curves, fact.created_at))
        if self._removals.is_gone(run):  # and is told of again
            await self._write(lambda: self._versions.remove(fact.model_id))
        elif (ending := await self._artifacts_away.wait_out(lambda: self._removals.decided(fact.model_id))) is not None:
            await self._write(lambda: self._removals.pass_over(fact, run, ending))
        else:
            await self._register(told, run)

    async def _register(self, told: Told, run: Any) -> None:
        fact, run_id = told.fact, run.info.run_id
        registered = await self._write(
            lambda: self._versions.register(fact, run_id, lambda: source_of(self._store, fact, run_id))
        )
        if not registered.is_told:
            news = ModelRegistered(
                model_id=fact.model_id,
                mlflow_run_id=run_id,
                registered_name=registered.name,
                version=registered.version,
                alias=registered.alias,
            )
            await self._outcomes.publish(Topic.MODELS, registered_event(news, told.found.event, told.record.place.time))
            await self._write(lambda: self._versions.told(registered))
        if fact.pictures and "pictures" not in run.data.tags:
            await self._pictures(fact, run)

    def _described(self, fact: ModelCompleted) -> Any:
        request = {**fact.training_config, "created_by": fact.created_by}
        run = self._runs.of_job(fact.job_id, fact.model_type, request, begun=fact.created_at, tags={})
        self._runs.add(run, params=params_of(fact), metrics=metrics_of(fact), tags=tags_of(fact), at=fact.created_at)
        return run

    async def _pictures(self, fact: ModelCompleted, run: Any) -> None:
        pictures = await self._artifacts_away.wait_out(lambda: read_pictures(self._artifacts, fact))
        folder = key_below(self._store.artifacts, run.info.artifact_uri)
        if folder is None:
            await self._write(lambda: send_pictures(self._store, run.info.run_id, pictures))
        else:
            await self._artifacts_away.wait_out(lambda: put_pictures(self._artifacts, folder, pictures))
        await self._write(lambda: self._runs.add(run, tags={"pictures": ", ".join(sorted(pictures)) or "none"}))

    async def _deletion(self, told: Told) -> None:
        fact: ModelDeleted = told.fact
        for model_id in (*fact.with_models, fact.model_id):
            run = await self._write(partial(self._runs.of_model, model_id))
            if run is None:
                raise NotYet
            await self._write(partial(self._removals.remove, model_id, run, told.found.event.time, fact.requested_by))
            await self._artifacts_away.wait_out(partial(self._removals.remove_pictures, run))

    async def _promotion(self, told: Told) -> None:
        place, request = told.record.place, told.fact
        if place.time > datetime.now(UTC) + _CLOCKS_DIFFER:
            # The latest promotion counts: one that is dated ahead would be the last word until that day.
            message = "the record's timestamp lies in the future: correct the publisher's clock and send it again"
            await self._outcomes.bury(told.record.dead_letter(ReasonCode.OUT_OF_RANGE, message))
            return
        promotion = Promotion(told.found.key, request.approved_by, request.reason, place.sort_key(), place.time)
        try:
            promoted = await self._write(lambda: self._versions.promote(promotion), unless=(NoSuchModel,))
        except NoSuchModel as unknown:
            gone = await self._write(lambda: self._removals.gone_since(promotion.model_id))
            if gone is None:
                raise NotYet from unknown
            if place.time >= gone:  # else it counted, until then
                message = f"model {promotion.model_id} was deleted: promote another one (omniscope-ml models)"
                await self._outcomes.bury(told.record.dead_letter(ReasonCode.MODEL_DELETED, message))
            return
        if not promoted.champion:
            return  # a later one has been read already
        news = ModelPromoted(
            model_id=promotion.model_id,
            registered_name=promoted.name,
            version=promoted.version,
            approved_by=promotion.approved_by,
            reason=promotion.reason,
        )
        await self._outcomes.publish(Topic.MODELS, promoted_event(news, told.found.event, promotion.at))

    async def _write(self, function: Callable[[], T], *, unless: tuple[type[Exception], ...] = ()) -> T:
        def fresh() -> T:
            try:
                return function()
            except Exception:
                self._runs.forget()  # what we believed to be there may be what is wrong
                raise

        return await self._writer.write(fresh, probe=self._places.probe, unless=unless)


def _left_out(record: Record, refused: Refused) -> None:
    place, cause = record.place, refused.__cause__
    log.error(
        "left_out",
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        # As text: a logger that shows the values of variables would show the record.
        traceback="".join(traceback.format_exception(cause)),
    )
