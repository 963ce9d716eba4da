"""Removing a model from outside: one consumer group decides each request, and one write makes it so.

First it is looked whether anything is made of the model, so that a refusal disturbs nobody. Then a tombstone is put
up (`tombstones`), after which no job begins with the model (`uses`), and the jobs that are at work with it are ended
as failed. An ensemble that came to its end before that is made of the model, and counts like any other. Only when
nothing new is found is the request itself ended, and only then do files go. Whoever finds it half done goes on.
"""

from collections.abc import Iterable
from contextlib import suppress

import structlog

from events.errors import OmniScopeError, ReasonCode
from events.identifiers import derived_id
from events.outcomes import ModelDeleted, ModelDeletionRefused
from events.requests import ModelDeletionRequested
from events.vocabulary import Identified, validate

from . import arbiter, known_models, tombstones, users
from .damage import StoreDamaged
from .delivery import Delivery
from .faults import bury
from .job import event_about
from .ports import Lease, Outcomes, Store
from .running import Running
from .shield import shielded
from .tombstones import Ending
from .users import Made

log = structlog.get_logger(__name__)


class Deletion:
    """Carries out requests to remove models, one delivery at a time.

    Args:
        running: the jobs in hand on this worker, which stop at once where they are ended here.
    """

    def __init__(self, store: Store, outcomes: Outcomes, running: Running) -> None:
        self._store = store
        self._outcomes = outcomes
        self._running = running

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        """One delivery. Its end: deleted, refused, or a dead letter."""
        try:
            asked = delivery.identify()
            request: ModelDeletionRequested = validate(asked)
            ending = await self._known(asked) or await self._decided(asked, request, lease, delivery.epoch)
        except OmniScopeError as unable:
            return await bury(self._outcomes, delivery, unable, lease)
        if not ending.models:
            await tombstones.take_down(self._store, asked.key, ending.request)
        for model_id in ending.models:
            await tombstones.remove_files(self._store, model_id)
        await lease.held()
        await shielded(self._outcomes.publish(ending.told.topic, ending.told.event))
        log.info("deletion_ended", model_id=asked.key, deleted=ending.models)
        return None

    async def _known(self, asked: Identified) -> Ending | None:
        """The end of this request, or of an earlier one by which the model is gone.

        Raises:
            OmniScopeError: `model_unknown`.
        """
        ended = await tombstones.ending_of(self._store, tombstones.name_of(asked))
        if ended is not None:
            return ended
        # In this order: what goes has its end before.
        maker = await known_models.maker_of(self._store, asked.key)
        earlier = await tombstones.ended_as(self._store, asked.key)
        if maker is None and earlier is None:
            raise OmniScopeError(
                ReasonCode.MODEL_UNKNOWN,
                f"there is no model {asked.key} here: delete one that `omniscope-ml models` shows",
            )
        return earlier

    async def _decided(self, asked: Identified, request: ModelDeletionRequested, lease: Lease, epoch: str) -> Ending:
        """Ends the request. Returns the end that counts."""
        await lease.held()
        name = tombstones.name_of(asked)
        await self._store.create(tombstones.request_key(name), asked.event.model_dump_json(exclude_none=True).encode())
        marked: set[str] = set()
        free: set[str] = set()
        try:
            while True:
                if not request.cascade and (whole := await users.ensembles_of(self._store, asked.key)):
                    return await tombstones.end(self._store, _refused(asked, request, whole))
                made = await users.all_made_of(self._store, asked.key) if request.cascade else []
                going = [*(one.model_id for one in made), asked.key]
                if new := [model_id for model_id in going if model_id not in marked]:
                    for model_id in new:
                        await tombstones.put_up(self._store, model_id, asked)
                    marked.update(new)
                    continue  # what was finished until then is seen before anybody is disturbed
                if free.issuperset(going):
                    break
                for model_id in going:
                    if model_id not in free and await self._end_users(model_id, asked, request, lease, epoch):
                        free.add(model_id)
            await self._tell_of(made, asked.key, epoch)
            await lease.held()
            return await tombstones.end(self._store, _deleted(asked, request, going))
        except StoreDamaged:
            # It waits among the dead letters for a repair; until then the models are there as before.
            for model_id in {*marked, asked.key}:  # the latter may be marked by who died with this request before
                await tombstones.take_down(self._store, model_id, name)
            await self._store.delete(tombstones.request_key(name))  # who is sent back from there begins anew
            raise

    async def _end_users(
        self, model_id: str, asked: Identified, request: ModelDeletionRequested, lease: Lease, epoch: str
    ) -> bool:
        """Ends the jobs that are at work with the model, ensembles first.

        False: one was faster, and its ensemble may save the model. The others are left alone until that is known.
        """
        for user in await users.at_work(self._store, model_id):
            await lease.held()
            outcome = await users.end(self._store, user, model_id, asked)
            if users.is_by(asked, outcome):
                await shielded(arbiter.tell(self._store, self._outcomes, outcome, epoch=epoch))
                self._running.stop(user.key, outcome)
                log.info("user_of_model_ended", job_id=user.key, model_id=model_id)
            elif users.is_ensemble(user) and not request.cascade:
                return False
        return True

    async def _tell_of(self, made: Iterable[Made], model_id: str, epoch: str) -> None:
        """What goes has been told of: who made it may have died before, and a deletion comes after a completion."""
        maker = await known_models.maker_of(self._store, model_id)
        for job_id in (*(one.job_id for one in made), *([maker] if maker else [])):
            with suppress(StoreDamaged):  # a model whose job's record is lost can be deleted all the same
                if (outcome := await arbiter.find(self._store, job_id)) is not None:
                    await shielded(arbiter.tell(self._store, self._outcomes, outcome, epoch=epoch))


def _refused(asked: Identified, request: ModelDeletionRequested, whole: Iterable[Made]) -> Ending:
    used_by = sorted(one.model_id for one in whole)
    fact = ModelDeletionRefused(model_id=asked.key, requested_by=request.requested_by, used_by=used_by)
    told = event_about(asked, fact, derived_id(*asked.event.identity, "refused"))
    return Ending(request=tombstones.name_of(asked), told=told)


def _deleted(asked: Identified, request: ModelDeletionRequested, going: list[str]) -> Ending:
    fact = ModelDeleted(model_id=asked.key, requested_by=request.requested_by, with_models=going[:-1])
    told = event_about(asked, fact, derived_id(*asked.event.identity, "deleted"))
    return Ending(request=tombstones.name_of(asked), models=going, told=told)
