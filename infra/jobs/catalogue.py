"""The datasets that are known: `datasets/<dataset_id>/manifest.json`, written once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from events.envelope import CloudEvent
from events.errors import OmniScopeError, ReasonCode
from events.outcomes import DatasetRegistered

from .damage import readable
from .ports import Store

POLL_S = 0.5


class Manifest(BaseModel):
    """A dataset's record, with the very event that told of it."""

    model_config = ConfigDict(frozen=True)

    dataset: DatasetRegistered
    event: CloudEvent


class Catalogue:
    """Looks datasets up in the store."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep

    async def find(self, dataset_id: str) -> Manifest | None:
        """What is registered under this id.

        Raises:
            StoreDamaged: something is, and nobody can tell what.
        """
        key = f"datasets/{dataset_id}/manifest.json"
        found = await self._store.get(key)
        if found is None:
            return None
        return readable(
            key, found, Manifest.model_validate_json, "remove it and upload the dataset again; then ask again"
        )

    async def add(self, manifest: Manifest) -> Manifest:
        """Registers the dataset; returns the manifest that counts, which may be somebody else's."""
        key = f"datasets/{manifest.dataset.dataset_id}/manifest.json"
        if await self._store.create(key, manifest.model_dump_json().encode()):
            return manifest
        return await self.find(manifest.dataset.dataset_id) or manifest

    async def behind(self, model: Mapping[str, Any]) -> DatasetRegistered:
        """The dataset that a model has learned from; `model`: what was recorded of it.

        Raises:
            OmniScopeError: `dataset_unknown`, or `dataset_changed`: it is not what it was.
        """
        dataset_id, name = str(model["dataset_id"]), model.get("model_name")
        manifest = await self.find(dataset_id)
        if manifest is None:
            raise OmniScopeError(
                ReasonCode.DATASET_UNKNOWN,
                f"dataset {dataset_id}, which {name} has learned from, is not registered any more: upload it again",
            )
        if manifest.dataset.sha256 != model["dataset_sha256"]:
            raise OmniScopeError(
                ReasonCode.DATASET_CHANGED,
                f"dataset {dataset_id} has other bytes than when {name} learned from it: "
                "train a model on what it is now, and ask about that one",
            )
        return manifest.dataset

    async def wait_for(
        self, dataset_id: str, seconds: float, waiting: Callable[[], Awaitable[None]] | None = None
    ) -> DatasetRegistered:
        """The dataset, as soon as it is registered. `waiting` is called once if it is not there yet.

        Args:
            seconds: how long to wait for it, whatever becomes of the wall clock meanwhile.

        Raises:
            OmniScopeError: `dataset_unknown`.
        """
        until = self._clock() + seconds
        while (manifest := await self.find(dataset_id)) is None:
            if self._clock() >= until:
                raise OmniScopeError(
                    ReasonCode.DATASET_UNKNOWN,
                    f"dataset {dataset_id} is not registered: upload it (omniscope-ml dataset add), "
                    "look whether its upload was rejected, or correct dataset_id",
                )
            if waiting is not None:
                await waiting()
                waiting = None
            await self._sleep(min(POLL_S, max(0.0, until - self._clock())))
        return manifest.dataset
