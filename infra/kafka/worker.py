"""A worker: one process with an agent for each kind it serves, sharing slots, warm server, store and producer."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka.errors import KafkaError

from events.topics import JobKind, Topic
from handlers.registry import DATASETS, HANDLERS, PROFILE
from infra.execution.local import LocalExecutor
from infra.jobs.catalogue import Catalogue
from infra.jobs.faults import LastResort
from infra.jobs.intake import Intake
from infra.jobs.lifecycle import Lifecycle
from infra.jobs.retries import PatientStore
from infra.jobs.revival import revive
from infra.jobs.scratch import scratch
from infra.jobs.slots import Slots
from infra.jobs.tools import Tools
from infra.settings import Settings
from infra.storage.dataset_cache import DatasetCache
from infra.storage.store import ObjectStore

from .agent import Agent
from .log_epoch import ensure_epoch
from .outcomes import KafkaOutcomes
from .topics import ensure_topics

log = structlog.get_logger(__name__)


async def run_agents(settings: Settings, names: Sequence[str], ready: Callable[[], None]) -> int:
    """Serves the kinds in `names` (and uploads, as `datasets`) until SIGTERM or SIGINT; returns the exit code.

    A second signal stops at once.
    """
    return await serve(settings, names, ready, _stop_on_signals())


async def serve(settings: Settings, names: Sequence[str], ready: Callable[[], None], stop: asyncio.Event) -> int:
    """Serves until `stop` is set (0), or until an agent dies (1): then its supervisor starts a new worker."""
    async with _tools(settings, names) as tools:
        epoch = await ensure_epoch(settings)
        if settings.embedded_broker:
            await revive(tools.store, tools.outcomes, epoch)
        slots = tools.slots
        agents = [_agent(name, tools, settings, epoch) for name in names]
        code = await _until_stopped(agents, ready, stop)
        drained = await slots.drain(settings.drain_s if code == 0 else 0)
        log.info("stopping", drained=drained)
        await asyncio.gather(*(agent.stop() for agent in agents))
    return code


@asynccontextmanager
async def _tools(settings: Settings, names: Sequence[str]) -> AsyncIterator[Tools]:
    await ensure_topics(settings, wait_s=30.0)
    store = PatientStore(ObjectStore.open(settings.artifacts))
    specs = [HANDLERS[JobKind(name)] for name in names if name != DATASETS and name in HANDLERS]
    preload = dict.fromkeys(module for spec in [*specs, PROFILE] for module in spec.preload)
    executor = LocalExecutor(tuple(preload))
    await executor.start()
    try:
        with scratch(settings.work_dir) as work_dir:
            async with KafkaOutcomes(settings) as outcomes:
                yield Tools(
                    worker=f"{socket.gethostname()}:{os.getpid()}",
                    store=store,
                    executor=executor,
                    outcomes=outcomes,
                    catalogue=Catalogue(store),
                    cache=DatasetCache(settings.cache_dir / "datasets", settings.roots),
                    slots=Slots(settings.slots),
                    handlers=HANDLERS,
                    work_dir=work_dir,
                    max_attempts=settings.max_attempts,
                    dataset_wait_s=settings.dataset_wait_s,
                    cpus=settings.slot_cpus,
                )
    finally:
        await executor.stop()


def _agent(name: str, tools: Tools, settings: Settings, epoch: str) -> Agent:
    if name == DATASETS:
        return Agent(name, Topic.DATASETS_UPLOADED, LastResort(_intake(tools), tools.outcomes), settings, epoch)
    return Agent(name, JobKind(name).topic, LastResort(Lifecycle(tools), tools.outcomes), settings, epoch)


def _intake(tools: Tools) -> Intake:
    return Intake(
        catalogue=tools.catalogue,
        cache=tools.cache,
        executor=tools.executor,
        outcomes=tools.outcomes,
        slots=tools.slots,
        work_dir=tools.work_dir,
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            os._exit(130)  # asked twice: now. The guards end the jobs, the log brings them back.
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, asked)
    return stop


async def _until_stopped(agents: list[Agent], ready: Callable[[], None], stop: asyncio.Event) -> int:
    """Starts the agents and lets them work; 0 when asked to stop, 1 when one cannot start or dies."""
    asked = asyncio.create_task(stop.wait())
    failures = [asyncio.create_task(wait) for wait in (_start(agents, ready), *(agent.failed() for agent in agents))]
    done, pending = await asyncio.wait([asked, *failures], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if asked in done:
        return 0
    log.error("agent_died", reasons=[task.result() for task in failures if task in done])
    return 1


async def _start(agents: list[Agent], ready: Callable[[], None]) -> str:
    """Returns only when an agent could not be started, with the reason."""
    try:
        await asyncio.gather(*(agent.start() for agent in agents))
    except (KafkaError, OSError) as error:
        return f"cannot start: {error!r}"
    ready()
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await never
