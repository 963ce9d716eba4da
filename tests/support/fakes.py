"""Small stand-ins for the rooms that the life of a job asks. The real ones are tested by themselves."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent
from handlers.contract import BaseWeights
from handlers.transfer_learning.base_models import BaseModel
from infra.execution.messages import FINAL, Killed, Started, Task
from infra.jobs.ports import Fetching


class MemoryStore:
    """The Store port on a dict; `written(key)` waits until somebody has written there."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._news = asyncio.Condition()

    async def written(self, key: str) -> None:
        async with self._news:
            await self._news.wait_for(lambda: key in self.objects)

    async def create(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = data
        async with self._news:
            self._news.notify_all()
        return True

    async def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    async def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    async def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix + "/"))

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def delete_all(self, prefix: str) -> int:
        keys = await self.list(prefix)
        for key in keys:
            del self.objects[key]
        return len(keys)

    async def upload(self, directory: Path, prefix: str) -> dict[str, str]:
        return self._upload(directory, prefix)

    def _upload(self, directory: Path, prefix: str) -> dict[str, str]:
        files = {}
        for path in sorted(p for p in directory.rglob("*") if p.is_file()):
            name = path.relative_to(directory).as_posix()
            self.objects[f"{prefix}/{name}"] = path.read_bytes()
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return files

    async def download(self, prefix: str, directory: Path, files: Mapping[str, str] | None = None) -> None:
        for key in await self.list(prefix):
            path = directory / key.removeprefix(prefix + "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.objects[key])


class RecordedOutcomes:
    """The Outcomes port into two lists."""

    def __init__(self) -> None:
        self.events: list[tuple[str, CloudEvent]] = []
        self.letters: list[DeadLetter] = []
        self._news = asyncio.Condition()

    async def publish(self, topic: str, event: CloudEvent) -> None:
        self.events.append((topic, event))
        async with self._news:
            self._news.notify_all()

    async def heard(self, wanted: Callable[[CloudEvent], bool]) -> None:
        """Returns when such an event was published."""
        async with self._news:
            await self._news.wait_for(lambda: any(wanted(event) for _, event in self.events))

    async def bury(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def names(self) -> list[str]:
        """The names of the events in order, progress left out."""
        return [event.name for _, event in self.events if event.name != "ml.job.progressed"]

    def one(self, name: str) -> CloudEvent:
        (found,) = [event for _, event in self.events if event.name == name]
        return found


class HeldLease:
    """A lease that nobody doubts, unless a test says so."""

    def __init__(self) -> None:
        self.sure = asyncio.Event()
        self.sure.set()

    async def held(self) -> None:
        await self.sure.wait()


#: In a script: the rest comes when a soft stop was asked for.
WHEN_STOPPED = object()


class ScriptedRun:
    """A run that says what the script says. A script that ends without a final message waits to be killed."""

    def __init__(self, script: list[Any]) -> None:
        self._script = script
        self._killed = asyncio.Event()
        self.stopped_softly = asyncio.Event()

    async def messages(self) -> AsyncIterator[Any]:
        yield Started(pid=1)
        for message in self._script:
            if message is WHEN_STOPPED:
                await self.stopped_softly.wait()
                continue
            yield message
            if isinstance(message, FINAL):
                return
        await self._killed.wait()
        yield Killed()

    def stop_softly(self) -> None:
        self.stopped_softly.set()

    async def kill(self) -> None:
        self._killed.set()

    @property
    def killed(self) -> bool:
        return self._killed.is_set()


class ScriptedExecutor:
    """The Executor port: every task is answered by the next script; `submitted` is set at each."""

    def __init__(self, *scripts: list[Any]) -> None:
        self._scripts = list(scripts)
        self.tasks: list[Task] = []
        self.runs: list[ScriptedRun] = []
        self.submitted = asyncio.Event()

    async def start(self) -> None: ...

    async def submit(self, task: Task) -> ScriptedRun:
        self.tasks.append(task)
        run = ScriptedRun(self._scripts.pop(0))
        self.runs.append(run)
        self.submitted.set()
        return run

    async def stop(self) -> None: ...


class SameFile:
    """A dataset cache in which every dataset is one file, an empty one in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "dataset-in-the-cache"

    async def fetch(self, uri: str, sha256: str) -> Path:
        self._file.touch()
        return self._file


class WeightsOnDisk:
    """Pretrained weights of every name are one small file in `folder`; `asked` lists the names.

    With `fails` it raises that in their place, after it has said that it begins to fetch.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "weights-in-the-cache.pth"
        self.asked: list[str] = []
        self.fails: Exception | None = None

    async def fetch(self, base: BaseModel, tell: Fetching) -> BaseWeights:
        self.asked.append(str(base))
        tell(0, None)
        if self.fails is not None:
            raise self.fails
        tell(3_000_000, 6_000_000)
        self._file.write_bytes(b"tensors")
        return BaseWeights(str(base), self._file, hashlib.sha256(b"tensors").hexdigest(), "cached")
