"""Where one attempt works on this machine: inputs staged in, outputs staged out, all of it gone afterwards."""

import asyncio
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from events.errors import OmniScopeError
from events.outcomes import DatasetRegistered
from handlers.contract import DatasetFile

from .ports import DatasetCache, Store
from .shield import shielded
from .staging import staged

log = structlog.get_logger(__name__)


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
        #: For what the job borrows from others; made when there is something.
        self.weights = self._folder / "weights"
        self.models = self._folder / "models"

    async def __aenter__(self) -> "Workplace":
        try:
            # A thread goes on when its caller is cancelled: whoever comes next must not meet it here.
            await shielded(asyncio.to_thread(self._make))
            await self._restore()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await shielded(asyncio.to_thread(self._remove))

    async def dataset(self, dataset: DatasetRegistered) -> DatasetFile:
        """The dataset's file, for the handler: in this attempt's folder, where nobody takes it away."""
        path = await staged(
            lambda: self._cache.fetch(dataset.uri, dataset.sha256), self._folder / "dataset", f"fetch {dataset.uri}"
        )
        return DatasetFile(dataset.dataset_id, path, dataset.format, dataset.sha256, dataset.name)

    async def save_checkpoint(self) -> None:
        """Copies `keep` into the store; the pointer to it moves only when all of it is there.

        It never moves back: an attempt that was given up for dead and goes on does not undo a later one's work.
        """
        self._saved += 1
        folder = f"{self._checkpoints}/{self._attempt}-{self._saved}"
        files = await self._store.upload(self.keep, folder)
        before = await self._latest()
        if before is not None and _attempt_of(before["folder"]) > self._attempt:
            await self._store.delete_all(folder)
            return
        told = json.dumps({"folder": folder, "files": files})
        await self._store.put(f"{self._checkpoints}/latest.json", told.encode())
        if before is not None:
            await self._store.delete_all(before["folder"])

    async def _restore(self) -> None:
        """The last checkpoint into `keep`. One that cannot be had costs time, not the job: it begins anew."""
        latest = await self._latest()
        while latest is not None:
            try:
                return await self._store.download(latest["folder"], self.keep, latest["files"])
            except OmniScopeError as missing:
                tried, latest = latest, await self._latest()
                log.warning("checkpoint_lost", folder=tried["folder"], error=missing.message)
                await asyncio.to_thread(self._make)
                if latest == tried:
                    return None
        return None

    async def _latest(self) -> Any:
        """`folder` and `files` of the checkpoint that counts; None where there is none that can be read."""
        latest = await self._store.get(f"{self._checkpoints}/latest.json")
        try:
            return None if latest is None else _as_pointer(latest)
        except (ValueError, LookupError, TypeError):
            log.warning("checkpoint_lost", folder=self._checkpoints, error="latest.json is damaged")
            return None

    def _make(self) -> None:
        # What a killed attempt of this number left here was never told to anyone.
        shutil.rmtree(self._folder, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.keep.mkdir(parents=True)

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # another attempt of this job is at work beside
            self._folder.parent.rmdir()


def _as_pointer(raw: bytes) -> dict[str, Any]:
    told = json.loads(raw)
    _attempt_of(told["folder"])
    return {"folder": told["folder"], "files": dict(told["files"])}


def _attempt_of(folder: str) -> int:
    return int(folder.rpartition("/")[2].partition("-")[0])
