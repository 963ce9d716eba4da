"""Where one attempt works on this machine: inputs staged in, outputs staged out, all of it gone afterwards."""

import asyncio
import json
import shutil
from contextlib import suppress
from pathlib import Path

from events.outcomes import DatasetRegistered
from handlers.contract import DatasetFile

from .ports import DatasetCache, Store, StoreError
from .retries import patiently


class Workplace:
    """The folders of one attempt below `root`.

    `out` is the attempt's alone; `keep` begins with the last checkpoint of the attempts before.
    """

    def __init__(self, root: Path, store: Store, cache: DatasetCache, job_id: str, attempt: int) -> None:
        self._folder = root / job_id / str(attempt)
        self._store = store
        self._cache = cache
        self._checkpoints = f"jobs/{job_id}/checkpoints"
        self._attempt = attempt
        self._saved = 0
        self.out = self._folder / "out"
        self.keep = self._folder / "keep"

    async def __aenter__(self) -> "Workplace":
        await asyncio.to_thread(self._make)
        latest = await self._store.get(f"{self._checkpoints}/latest.json")
        if latest is not None:
            told = json.loads(latest)
            await self._store.download(told["folder"], self.keep, told["files"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._remove)

    async def dataset(self, dataset: DatasetRegistered) -> DatasetFile:
        """The dataset's file, for the handler."""
        path = await patiently(
            lambda: self._cache.fetch(dataset.uri, dataset.sha256), f"fetch {dataset.uri}", only=StoreError
        )
        return DatasetFile(dataset.dataset_id, path, dataset.format, dataset.sha256, dataset.name)

    async def save_checkpoint(self) -> None:
        """Copies `keep` into the store; the pointer to it moves only when all of it is there."""
        self._saved += 1
        folder = f"{self._checkpoints}/{self._attempt}-{self._saved}"
        files = await self._store.upload(self.keep, folder)
        before = await self._store.get(f"{self._checkpoints}/latest.json")
        told = json.dumps({"folder": folder, "files": files})
        await self._store.put(f"{self._checkpoints}/latest.json", told.encode())
        if before is not None:
            await self._store.delete_all(json.loads(before)["folder"])

    def _make(self) -> None:
        # What a killed attempt of this number left here was never told to anyone.
        shutil.rmtree(self._folder, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.keep.mkdir(parents=True)

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # another attempt of this job is at work beside
            self._folder.parent.rmdir()
