"""Deletions that race everything, and that die at every point: whatever happens first, the ends fit together."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

import pytest
from support.deleting import Died, Hesitant, Mortal, at_work, deletion, finished, left_of, lived
from support.fakes import HeldLease, MemoryStore, RecordedOutcomes
from support.house import ENDS

from events.identifiers import model_id_of
from events.outcomes import JobStatus
from events.topics import JobKind
from infra.jobs import arbiter, known_models, tombstones, uses
from infra.jobs.deletion import Deletion
from infra.jobs.delivery import Delivery
from infra.jobs.running import Running

ENSEMBLE, EXPLANATION, AUTOML = JobKind.ENSEMBLE, JobKind.EXPLANATION, JobKind.AUTOML
BASE = ("a", "b", "c")
#: Job → the jobs of whose models it makes an ensemble.
ENSEMBLES = {"ab": ("a", "b"), "abc": ("ab", "c"), "bc": ("b", "c"), "top": ("abc", "bc")}
EXPLAINED = {"x-a": "a", "x-ab": "ab", "x-c": "c", "x-top": "top"}


async def check(store: MemoryStore, outcomes: RecordedOutcomes, requests: list[Delivery]) -> dict[str, int]:
    """What must hold whatever came first; how often each came."""
    ends: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for _, event in outcomes.events:
        if event.name in ENDS:
            ends[str(event.subject)].add((event.name, event.id))
    assert {job: told for job, told in ends.items() if len(told) != 1} == {}, "a job has two ends"

    alive: set[str] = set()
    for job_id in (*BASE, *ENSEMBLES):
        model = model_id_of(job_id)
        outcome = await arbiter.find(store, job_id)
        made = outcome is not None and outcome.status is JobStatus.COMPLETED
        stands = await tombstones.standing(store, model)
        assert stands is None or stands.ending is not None, "a tombstone that nobody decides about"
        if stands is not None:
            assert left_of(store, model) == ["tombstones"]
        elif made:
            alive.add(job_id)
            assert (await known_models.recall(store, model))["job_id"] == job_id
    for job_id in alive & {*ENSEMBLES}:
        assert alive >= {*ENSEMBLES[job_id]}, f"{job_id} lives on without a member"

    counts: dict[str, int] = defaultdict(int)
    for request in requests:
        asked = request.identify()
        ending = await tombstones.ending_of(store, tombstones.name_of(asked))
        deleted = await tombstones.ended_as(store, asked.key)
        buried = any(letter.value == request.value for letter in outcomes.letters)
        if ending is None:
            assert deleted is not None or buried, "a request was lost"
            counts["again" if deleted else "unknown"] += 1
            continue
        told = {event.id for _, event in outcomes.events if event.id == ending.told.event.id}
        assert len(told) == 1, "how a request ended was not told"
        counts[ending.told.event.name] += 1
    reasons = {e.id: e.data["error"]["reason"] for _, e in outcomes.events if e.name == "ml.job.failed"}
    for reason in reasons.values():
        counts[reason] += 1
    return counts


async def carried_out(store: Hesitant, outcomes: RecordedOutcomes, asked: Delivery, dice: random.Random) -> None:
    """As agents do it: one may be killed at any moment, or be thought dead and go on; then another one begins anew."""
    going: list[asyncio.Task[None]] = []
    for _ in range(dice.choice((0, 0, 1, 2))):
        first = asyncio.create_task(Deletion(store, outcomes, Running()).handle(asked, HeldLease()))
        for _ in range(dice.randrange(60)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            first.cancel()
        going.append(first)
    await Deletion(store, outcomes, Running()).handle(asked, HeldLease())
    await asyncio.gather(*going, return_exceptions=True)


async def a_race(seed: int) -> dict[str, int]:
    dice = random.Random(seed)
    store, outcomes = Hesitant({}, dice), RecordedOutcomes()
    for job_id in BASE:
        await finished(store, outcomes, job_id)
    models = {job_id: model_id_of(job_id) for job_id in (*BASE, *ENSEMBLES)}
    asked = [
        deletion(models[dice.choice((*models, *BASE))], cascade=dice.random() < 0.5)
        for _ in range(dice.choice((1, 2, 4)))
    ]

    async def after(steps: int, work: Coroutine[Any, Any, Any]) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await work

    length = dice.choice((30, 300))
    await asyncio.gather(
        *(
            after(
                dice.randrange(length) + 100 * ("bc" in job_id) + 200 * (job_id == "top"),
                lived(store, outcomes, job_id, ENSEMBLE, *(models[of] for of in parts)),
            )
            for job_id, parts in ENSEMBLES.items()
        ),
        *(
            after(dice.randrange(2 * length), lived(store, outcomes, job_id, EXPLANATION, models[of]))
            for job_id, of in EXPLAINED.items()
        ),
        *(after(dice.randrange(2 * length), carried_out(store, outcomes, request, dice)) for request in asked),
    )
    return await check(store, outcomes, asked)


async def test_whatever_comes_first_the_ends_fit_together() -> None:
    seen: dict[str, int] = defaultdict(int)
    for seed in range(300):
        for what, often in (await a_race(seed)).items():
            seen[what] += often
    # Else it was no race.
    wanted = {"ml.model.deleted", "ml.model.deletion-refused", "model_deleted", "unknown", "again"}
    assert {what for what, often in seen.items() if often >= 10} >= wanted, seen


async def _scene(store: MemoryStore, outcomes: RecordedOutcomes, *, is_finished: bool) -> str:
    """A model with an explanation and an ensemble on the way; with an ensemble, and one of that, if `is_finished`."""
    a, b, c = [await finished(store, outcomes, job_id) for job_id in BASE]
    if is_finished:
        ab = await finished(store, outcomes, "ab", ENSEMBLE, a, b)
        await finished(store, outcomes, "abc", ENSEMBLE, ab, c)
    await at_work(store, "x-a", EXPLANATION, a)
    await at_work(store, "bc", ENSEMBLE, a, b)
    return a


@pytest.mark.parametrize(("is_finished", "cascade"), [(False, False), (True, True), (True, False)])
async def test_a_deleter_that_dies_at_any_point_is_followed_by_one_that_goes_on(
    is_finished: bool, cascade: bool
) -> None:
    deaths = 0
    while True:
        outcomes, store = RecordedOutcomes(), MemoryStore()
        asked = deletion(await _scene(store, outcomes, is_finished=is_finished), cascade=cascade)
        mortal = Hesitant(store.objects, die_at=deaths)
        try:
            await Deletion(mortal, Mortal(outcomes, mortal), Running()).handle(asked, HeldLease())
        except Died:
            deaths += 1
        else:
            break
        await Deletion(store, outcomes, Running()).handle(asked, HeldLease())
        # The jobs' own workers come to their end as well, and tell it where nobody has.
        for job_id in ("x-a", "bc"):
            if (outcome := await arbiter.find(store, job_id)) is not None:
                await arbiter.tell(store, outcomes, outcome, epoch="e1")
        counts = await check(store, outcomes, [asked])
        if is_finished and not cascade:
            assert counts == {"ml.model.deletion-refused": 1}, deaths
        else:
            assert counts == {"ml.model.deleted": 1, "model_deleted": 2}, deaths
            told = next(event for _, event in outcomes.events if event.name == "ml.model.deleted")
            whole = [model_id_of("abc"), model_id_of("ab")] if is_finished else []
            assert told.data["with_models"] == whole
            assert await uses.users_of(store, asked.identify().key) == []
    assert deaths > 10
