"""What no job needs any more goes out of the store: files of attempts that did not win, and old checkpoints.

The life of a job clears up behind itself; this finds what was left by workers that died or came back too late.
Three listings tell nearly all. It goes from jobs to models and explanations and never the other way: while a job has no
end, every file of every attempt may still be the one that counts. Any number of workers may do this at once.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from events.identifiers import explanation_id_of, model_id_of

from . import tombstones
from .damage import StoreDamaged
from .ports import Store
from .tombstones import Readable

log = structlog.get_logger(__name__)

#: Ends of jobs that are read at a time.
_AT_A_TIME = 50


@dataclass(frozen=True, slots=True)
class Litter:
    """What is left over, as folders of the store; `unknown`: ids of models that no job here has made, left alone.

    `deleted`: ids of models that were deleted and of which something came back.
    """

    attempts: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def folders(self) -> list[str]:
        return [*self.attempts, *self.checkpoints]


@dataclass(frozen=True, slots=True)
class Swept:
    """How many folders of attempts and of checkpoints went, how many keys in all, and what was left alone."""

    attempts: int
    checkpoints: int
    keys: int
    unknown: int


async def sweep(store: Store) -> Swept:
    """Removes what is left over in the store. Raises StoreError; what went is gone, the rest is for another time."""
    litter = await find(store)
    keys = 0
    for folder in litter.folders:
        keys += await store.delete_all(folder)
    for model_id in litter.deleted:
        keys += await tombstones.remove_files(store, model_id)
    if litter.unknown:
        log.warning("models_of_no_job", models=len(litter.unknown), first=litter.unknown[:3])
    return Swept(len(litter.attempts), len(litter.checkpoints), keys, len(litter.unknown))


async def find(store: Readable) -> Litter:
    """What is left over."""
    # In this order: the job of everything that is in the first two lists is in the last.
    models = await store.list("models")
    explanations = await store.list("explanations")
    jobs = await store.list("jobs")
    seen = await asyncio.to_thread(_look, jobs, models, explanations)
    attempts, saves = await _lost_attempts(store, seen.doubtful), await _lost_saves(store, seen.old_saves)
    return Litter(attempts, [*seen.checkpoints, *saves], await _deleted(store, models), seen.unknown)


@dataclass(slots=True)
class _Job:
    ended: bool = False
    attempt: int = 0
    saves: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Made:
    """A model, or an explanation."""

    completed: bool = False
    attempts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the listings tell. Of the folders in `doubtful` and `old_saves`, by job, one may be what counts."""

    checkpoints: list[str] = field(default_factory=list)
    doubtful: dict[str, list[str]] = field(default_factory=dict)
    old_saves: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def _look(job_keys: Iterable[str], model_keys: Iterable[str], explanation_keys: Iterable[str]) -> _Seen:
    seen, models, explanations = _Seen(), _made(model_keys), _made(explanation_keys)
    for job_id, job in _jobs(job_keys).items():
        model = models.pop(model_id_of(job_id), _Made())
        folder = f"jobs/{job_id}/checkpoints"
        if not job.ended:
            # A save of the attempt at work may be on its way: its folder is there before anything points to it.
            if old := [f"{folder}/{save}" for save in sorted(job.saves) if 0 < _attempt_of(save) < job.attempt]:
                seen.old_saves[job_id] = old
            continue
        if job.saves:
            seen.checkpoints.append(folder)
        # A model that was told of has files: where those of one attempt are all there is, they are what counts.
        if model.attempts and not (model.completed and len(model.attempts) == 1):
            seen.doubtful[job_id] = sorted(model.attempts)
        # Beside an explanation nothing says whether it was told of: the end is read.
        if explanation := explanations.get(explanation_id_of(job_id)):
            seen.doubtful[job_id] = sorted({*seen.doubtful.get(job_id, ()), *explanation.attempts})
    seen.unknown.extend(sorted(models))
    return seen


def _jobs(keys: Iterable[str]) -> dict[str, _Job]:
    found: dict[str, _Job] = defaultdict(_Job)
    for key in keys:
        _, job_id, *rest = key.split("/")
        job = found[job_id]
        match rest:
            case ["outcome.json"]:
                job.ended = True
            case ["checkpoints", save, *_]:
                job.saves.add(save)
            case ["attempts", number, *_] if number.isdecimal():
                job.attempt = max(job.attempt, int(number))
    return found


def _made(keys: Iterable[str]) -> dict[str, _Made]:
    found: dict[str, _Made] = defaultdict(_Made)
    for key in keys:
        top, made_id, *rest = key.split("/")
        made = found[made_id]
        match rest:
            case ["record.json"]:
                made.completed = True
            case [attempt, _, *_] if attempt.startswith("attempt-"):
                made.attempts.add(f"{top}/{made_id}/{attempt}")
    return found


def _attempt_of(save: str) -> int:
    """The attempt that made a checkpoint, 0 where the name does not say."""
    number = save.partition("-")[0]
    return int(number) if number.isdecimal() else 0


async def _lost_attempts(store: Readable, doubtful: Mapping[str, list[str]]) -> list[str]:
    """The folders that the job's end does not name."""

    async def of(job_id: str) -> list[str]:
        outcome = await store.get(f"jobs/{job_id}/outcome.json")
        if outcome is None or (end := _told(outcome, "artifacts")) is None:
            return []
        return [folder for folder in doubtful[job_id] if folder != end["artifacts"]]

    return await _all_of(of, doubtful)


async def _lost_saves(store: Readable, old: Mapping[str, list[str]]) -> list[str]:
    """The checkpoints of earlier attempts that nothing points to."""

    async def of(job_id: str) -> list[str]:
        latest = await store.get(f"jobs/{job_id}/checkpoints/latest.json")
        if latest is None:
            return old[job_id]
        pointer = _told(latest, "folder")
        return [folder for folder in old[job_id] if folder != pointer["folder"]] if pointer else []

    return await _all_of(of, old)


async def _deleted(store: Readable, keys: Iterable[str]) -> list[str]:
    """The deleted models of which more is there than a tombstone: a late worker's writing, or a cut-off removal."""
    stones: set[str] = set()
    more: set[str] = set()
    for key in keys:
        (stones if tombstones.is_tombstone(key) else more).add(key.split("/")[1])
    found: list[str] = []
    for model_id in sorted(stones & more):
        with suppress(StoreDamaged):
            if await tombstones.ended_as(store, model_id) is not None:
                found.append(model_id)
    return found


def _told(raw: bytes, what: str) -> dict[str, Any] | None:
    """What an object tells; None where it is damaged: who cannot tell what counts removes nothing."""
    with suppress(ValueError):
        told = json.loads(raw)
        if isinstance(told, dict) and what in told:
            return told
    return None


async def _all_of(of: Callable[[str], Awaitable[list[str]]], job_ids: Iterable[str]) -> list[str]:
    """What `of` finds for each job, a few jobs at a time."""
    ids = list(job_ids)
    found: list[str] = []
    for start in range(0, len(ids), _AT_A_TIME):
        for folders in await asyncio.gather(*map(of, ids[start : start + _AT_A_TIME])):
            found += folders
    return found
