"""Which models are gone, or are about to go.

    deletions/<request>/request.json        a request to remove a model, kept from the moment that it is carried out
    deletions/<request>/outcome.json        how it ended: the exact event, and every model that goes, all at once
    models/<model_id>/tombstones/<request>.json   this model may go by that request

A tombstone counts from the moment that it stands until its request has ended without that model. So one atomic write
of an outcome makes all tombstones of a request final, or takes all of them down; what is left of those is tidied away.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from events.errors import OmniScopeError, ReasonCode
from events.identifiers import derived_id
from events.vocabulary import Identified, validate

from .arbiter import RecordedEvent
from .damage import readable
from .ports import Store

_REMEDY = "remove it, then delete the model again"
#: Where the files of an explanation lie; what else a damaged record may name is not touched.
_EXPLANATION = re.compile(r"explanations/[^/]+/attempt-\d+")


class Readable(Protocol):
    """The part of a store that looking needs."""

    async def list(self, prefix: str) -> list[str]: ...

    async def get(self, key: str) -> bytes | None: ...


class Tombstone(BaseModel):
    """A model that goes by `request`, unless that ends otherwise."""

    model_config = ConfigDict(frozen=True)

    request: str
    requested_by: str
    asked_at: datetime


class Ending(BaseModel):
    """How a request to remove a model ended. `models`: those that go, each after all that are made of it."""

    model_config = ConfigDict(frozen=True)

    request: str
    models: list[str] = []
    told: RecordedEvent

    @property
    def deleted_at(self) -> datetime:
        return self.told.event.time

    @property
    def requested_by(self) -> str:
        return str(self.told.event.data.get("requested_by", "unknown"))


class Standing(BaseModel):
    """What stands on a model: the tombstone, and the end of its request, None where that is still being decided."""

    model_config = ConfigDict(frozen=True)

    tombstone: Tombstone
    ending: Ending | None = None

    def refusal(self, model_id: str) -> OmniScopeError:
        """What is told to whoever asks for the model."""
        if self.ending is None:
            told = f"is being deleted, as {self.tombstone.requested_by} asked"
        else:
            told = f"was deleted at {self.ending.deleted_at:%Y-%m-%d %H:%M} UTC, as {self.ending.requested_by} asked"
        return OmniScopeError(
            ReasonCode.MODEL_DELETED, f"model {model_id} {told}: send the id of another one (omniscope-ml models)"
        )


def name_of(asked: Identified) -> str:
    """What a request to remove a model is called in the store: the same for every delivery of it."""
    return derived_id("deletion", *asked.event.identity, asked.key)


async def ending_of(store: Readable, request: str) -> Ending | None:
    """How the request ended, if it has.

    Raises:
        StoreDamaged: it has, and nobody can tell how.
    """
    key = outcome_key(request)
    found = await store.get(key)
    return None if found is None else readable(key, found, Ending.model_validate_json, _REMEDY)


async def end(store: Store, proposal: Ending) -> Ending:
    """Ends the request as proposed, unless it has ended already. Returns the end that counts."""
    if await store.create(outcome_key(proposal.request), proposal.model_dump_json().encode()):
        return proposal
    first = await ending_of(store, proposal.request)
    return first if first is not None else await end(store, proposal)


async def put_up(store: Store, model_id: str, asked: Identified) -> None:
    """From now on nobody begins to use the model."""
    stone = Tombstone(request=name_of(asked), requested_by=validate(asked).requested_by, asked_at=asked.event.time)
    await store.create(_key(model_id, stone.request), stone.model_dump_json().encode())


async def take_down(store: Store, model_id: str, request: str) -> None:
    """Of a request that ended without this model."""
    await store.delete(_key(model_id, request))


async def standing(store: Readable, model_id: str) -> Standing | None:
    """What stands on the model: of several a final one, the earliest of those. None: it is there to be used.

    Raises:
        StoreDamaged: nobody can tell.
    """
    found: list[Standing] = []
    for key in await store.list(_folder(model_id)):
        if (raw := await store.get(key)) is None:
            continue  # taken down in this moment
        stone = readable(key, raw, Tombstone.model_validate_json, _REMEDY)
        ending = await ending_of(store, stone.request)
        if ending is None or model_id in ending.models:
            found.append(Standing(tombstone=stone, ending=ending))
    return min(found, key=_order, default=None)


async def ended_as(store: Readable, model_id: str) -> Ending | None:
    """The end of the request by which the model is gone for good; None where it is not."""
    stands = await standing(store, model_id)
    return stands.ending if stands else None


async def remove_files(store: Store, model_id: str) -> int:
    """Everything of a model except for its tombstones, and the files of its explanations; how many keys went."""
    keys = [key for key in await store.list(f"models/{model_id}") if not is_tombstone(key)]
    explanations = 0
    for folder in await _explanations(store, keys):  # before what names them
        explanations += await store.delete_all(folder)
    for part in sorted({"/".join(key.split("/")[:3]) for key in keys}):
        if part in keys:
            await store.delete(part)
        else:
            await store.delete_all(part)
    return len(keys) + explanations


def is_tombstone(key: str) -> bool:
    """Whether an object below `models` is one: it outlives all the rest of its model."""
    return key.split("/")[2:3] == ["tombstones"]


def requests_among(written: Mapping[str, float], since: float) -> list[str]:
    """The requests that have not ended, and those that ended since. `written`: key → Unix time."""
    ended = {key.split("/")[1]: at for key, at in written.items() if key.startswith("deletions/") and "/outcome" in key}
    begun = [key.split("/")[1] for key in written if key.startswith("deletions/") and "/request" in key]
    return [request for request in begun if ended.get(request, since) >= since]


def request_key(request: str) -> str:
    return f"deletions/{request}/request.json"


def outcome_key(request: str) -> str:
    return f"deletions/{request}/outcome.json"


async def _explanations(store: Readable, keys: Iterable[str]) -> list[str]:
    """The folders with the files of those explanations that are written down at `keys`."""
    found: set[str] = set()
    for key in keys:
        if key.split("/")[2] == "explanations":
            with suppress(ValueError, LookupError, TypeError):  # one that cannot be read holds up no removal
                folder = json.loads(await store.get(key) or b"{}")["explanation"]["artifacts_path"]
                if _EXPLANATION.fullmatch(folder):
                    found.add(folder)
    return sorted(found)


def _order(stands: Standing) -> tuple[Any, ...]:
    at = stands.ending.deleted_at if stands.ending else stands.tombstone.asked_at
    return stands.ending is None, at, stands.tombstone.request


def _folder(model_id: str) -> str:
    return f"models/{model_id}/tombstones"


def _key(model_id: str, request: str) -> str:
    return f"{_folder(model_id)}/{request}.json"
