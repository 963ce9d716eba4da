"""A worker: one process with an agent for each kind it serves, sharing slots, warm server, store and producer.

Every worker also takes its part in deciding about cancellations and deletions of models, and hears all of them.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from events.topics import JobKind, Topic
from handlers.registry import DATASETS, HANDLERS, PROFILE
from infra.execution.local import LocalExecutor
from infra.jobs.cancellation import Cancellation
from infra.jobs.catalogue import Catalogue
from infra.jobs.deletion import Deletion
from infra.jobs.faults import Carrier, LastResort
from infra.jobs.intake import Intake
from infra.jobs.lifecycle import Lifecycle
from infra.jobs.retries import PatientStore
from infra.jobs.scratch import scratch
from infra.jobs.slots import Slots
from infra.jobs.tools import Tools
from infra.settings import Settings
from infra.storage.dataset_cache import DatasetCache
from infra.storage.housekeeping import housekeeping
from infra.storage.store import ObjectStore
from infra.storage.weights_cache import Hosts, WeightsCache

from .agent import Agent
from .cancellations import Cancellations
from .log_epoch import ensure_epoch
from .outcomes import KafkaOutcomes
from .topics import ensure_topics

log = structlog.get_logger(__name__)

#: The agents that every worker has beside those it was asked for.
_CANCELLATION, _DELETION = "cancellation", "model_deletion"


async def run_agents(settings: Settings, names: Sequence[str], ready: Callable[[], None]) -> int:
    """Serves the kinds in `names` (and uploads, as `datasets`) until SIGTERM or SIGINT; returns the exit code.

    A second signal stops at once.
    """
    return await serve(settings, names, ready, _stop_on_signals())


async def serve(settings: Settings, names: Sequence[str], ready: Callable[[], None], stop: asyncio.Event) -> int:
    """Serves until `stop` is set (0), or until an agent dies (1): then its supervisor starts a new worker."""
    async with _tools(settings, names) as tools:
        epoch = await ensure_epoch(settings)
        slots = tools.slots
        agents = [_agent(name, tools, settings, epoch) for name in (*names, _CANCELLATION, _DELETION)]
        async with Cancellations(settings, tools.running) as heard, housekeeping(settings, tools.store):
            # They go on while jobs are drained: what is cancelled then ends at once, too.
            watches = [
                asyncio.create_task(_watched(watch))
                for watch in (heard.follow(), tools.running.stop_what_has_ended(tools.store))
            ]
            try:
                code = await _until_stopped(agents, watches, ready, stop)
                drained = await slots.drain(settings.drain_s if code == 0 else 0)
                log.info("stopping", drained=drained)
                await asyncio.gather(*(agent.stop() for agent in agents))
            finally:
                for watch in watches:
                    watch.cancel()
                await asyncio.gather(*watches, return_exceptions=True)
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
                    cache=DatasetCache(settings.cache_dir / "datasets", settings.roots, settings.cache_max_gb),
                    weights=WeightsCache(settings.weights_dir, settings.roots, _hosts(settings)),
                    slots=Slots(settings.slots),
                    handlers=HANDLERS,
                    work_dir=work_dir,
                    max_attempts=settings.max_attempts,
                    dataset_wait_s=settings.dataset_wait_s,
                    cpus=settings.slot_cpus,
                    min_free_gb=settings.min_free_gb,
                )
    finally:
        await executor.stop()


def _hosts(settings: Settings) -> Hosts | None:
    return Hosts(settings.weights_torchvision_url, settings.weights_hub_url) if settings.weights_download else None


def _agent(name: str, tools: Tools, settings: Settings, epoch: str) -> Agent:
    topic: str
    carrier: Carrier
    if name == DATASETS:
        topic, carrier = Topic.DATASETS_UPLOADED, _intake(tools)
    elif name == _CANCELLATION:
        topic, carrier = Topic.CANCELLATION, Cancellation(tools.store, tools.outcomes)
    elif name == _DELETION:
        topic, carrier = Topic.MODEL_DELETION, Deletion(tools.store, tools.outcomes, tools.running)
    else:
        topic, carrier = JobKind(name).topic, Lifecycle(tools)
    return Agent(name, topic, LastResort(carrier, tools.outcomes), settings, epoch)


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


async def _until_stopped(
    agents: list[Agent], watches: list[asyncio.Task[str]], ready: Callable[[], None], stop: asyncio.Event
) -> int:
    """Starts the agents and lets them work; 0 when asked to stop, 1 when one cannot start or something dies."""
    asked = asyncio.create_task(stop.wait())
    failures = [asyncio.create_task(wait) for wait in (_start(agents, ready), *(agent.failed() for agent in agents))]
    done, _ = await asyncio.wait([asked, *failures, *watches], return_when=asyncio.FIRST_COMPLETED)
    for task in (asked, *failures):
        task.cancel()
    await asyncio.gather(asked, *failures, return_exceptions=True)
    if asked in done:
        return 0
    log.error("agent_died", reasons=[task.result() for task in (*failures, *watches) if task in done])
    return 1


async def _watched(watch: Coroutine[Any, Any, None]) -> str:
    """Returns only when what should go on for ever did not, with the reason."""
    try:
        await watch
    except Exception as bug:  # a worker that no longer hears of cancellations must not go on as if it did
        log.exception("watch_died")
        return repr(bug)
    return "a watch ended"


async def _start(agents: list[Agent], ready: Callable[[], None]) -> str:
    """Returns only when an agent could not be started, with the reason."""
    try:
        await asyncio.gather(*(agent.start() for agent in agents))
    except (KafkaError, OSError) as error:
        return f"cannot start: {error!r}"
    ready()
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await never
