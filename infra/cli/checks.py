"""What `doctor` looks at: each check answers with a fact, and with a remedy where something is wrong."""

import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.cli.console import counted
from infra.cli.errors import CliError, explain
from infra.cli.extras import missing

if TYPE_CHECKING:
    from infra.settings import Settings

_LITTLE_SPACE_GB = 2.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is set exactly where something is wrong."""

    name: str
    fact: str
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        return self.remedy is None


async def examine(settings: "Settings") -> list[Finding]:
    """All checks, in the order in which one builds on another."""
    from infra.cli import leftover_checks

    return [
        _python(),
        *_extras(),
        _data_dir(settings),
        _disk(settings),
        await _careful("store", lambda: _store(settings)),
        await _careful("leftovers", lambda: leftover_checks.in_the_store(settings)),
        await _careful("cache", lambda: leftover_checks.on_this_machine(settings)),
        *await _broker(settings),
        await _careful("database", lambda: _database(settings)),
        await _careful("API", lambda: _api(settings)),
    ]


def _python() -> Finding:
    from importlib.metadata import version

    fact = f"omniscope-ml {version('omniscope-ml')}, Python {platform.python_version()} ({sys.executable})"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("versions", fact, None if fits else "use Python 3.11, 3.12 or 3.13")


def _extras() -> list[Finding]:
    found = []
    for extra in ("api", "worker"):
        absent = missing(extra)
        fact = f"[{extra}] is not installed ({', '.join(absent)})" if absent else f"[{extra}] is installed"
        found.append(Finding("extras", fact, f"pip install 'omniscope-ml[{extra}]'" if absent else None))
    return found


def _data_dir(settings: "Settings") -> Finding:
    try:
        settings.make_data_dir()
    except OSError as error:
        return Finding("data", f"{settings.data_dir}: {error.strerror}", "set DATA_DIR to a directory you may write to")
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        return Finding("data", f"{settings.data_dir} is not writable", "set DATA_DIR to another, or correct its rights")
    return Finding("data", f"{settings.data_dir} is writable")


def _disk(settings: "Settings") -> Finding:
    where = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free_gb = shutil.disk_usage(where).free / 1e9
    fact = f"{free_gb:.1f} GB free in {where}"
    return Finding("disk", fact, None if free_gb >= _LITTLE_SPACE_GB else f"free {_LITTLE_SPACE_GB:g} GB or more")


async def _store(settings: "Settings") -> Finding:
    if missing("worker"):
        return Finding("store", "cannot be looked at without the extra [worker]", "pip install 'omniscope-ml[worker]'")
    from infra.jobs.ports import StoreError
    from infra.storage.short_look import ShortLook

    try:
        await ShortLook(settings.artifacts, _TIMEOUT_S / 2).write_and_remove()
    except StoreError as error:
        remedy = "correct the rights or the disk behind ARTIFACTS_URI; jobs wait until it takes files again"
        return Finding("store", f"{settings.artifacts} takes nothing: {error}", remedy)
    return Finding("store", f"{settings.artifacts} takes files")


async def _broker(settings: "Settings") -> list[Finding]:
    from infra.kafka.topics import partition_counts

    try:
        counts = await partition_counts(settings)
    except Exception as error:  # noqa: BLE001 - clients raise what they like
        return [_wrong("broker", error)]
    which = _kept(settings) if settings.embedded_broker else settings.kafka_security_protocol
    return [Finding("broker", f"answers at {settings.bootstrap_servers} ({which})"), _topics(counts, settings)]


def _kept(settings: "Settings") -> str:
    try:
        megabytes = settings.broker_journal.stat().st_size / 1e6
    except FileNotFoundError:
        return "embedded: its log is not kept on this data directory"
    return f"embedded: its log is kept in {settings.broker_journal}, {megabytes:.1f} MB"


def _topics(counts: dict[str, int], settings: "Settings") -> Finding:
    from events.topics import TOPICS
    from infra.kafka.topics import wanted_partitions

    absent = [spec.name.value for spec in TOPICS if spec.name not in counts]
    if absent:
        return Finding("topics", f"{len(absent)} are missing, e.g. {absent[0]}", "start an agent: it creates them")
    other = [spec.name.value for spec in TOPICS if counts[spec.name] != wanted_partitions(spec, settings)]
    if other:
        fact = f"{other[0]} has {counts[other[0]]} partitions, TOPIC_PARTITIONS says {settings.topic_partitions}"
        return Finding("topics", fact, f"set TOPIC_PARTITIONS={counts[other[0]]}, or have the topic made anew")
    return Finding("topics", f"all {len(counts)} are there, {settings.topic_partitions} partitions each")


async def _careful(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    """A check that fails in a way of its own is a finding, too, and keeps nobody from the next one."""
    import asyncio

    try:
        return await asyncio.wait_for(check(), _TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        return _wrong(name, error)


def _wrong(name: str, error: Exception) -> Finding:
    fact, _, remedy = explain(error)[0].partition(": ")
    return Finding(name, fact, remedy or "see the logs")


async def _database(settings: "Settings") -> Finding:
    if missing("api"):
        return Finding("database", "cannot be looked at without the extra [api]", "pip install 'omniscope-ml[api]'")
    from sqlalchemy import make_url, text

    from infra.storage.database import open_engine

    shown = make_url(settings.database).render_as_string(hide_password=True)
    file = make_url(settings.database).database
    if shown.startswith("sqlite") and not (file and os.path.exists(file)):  # noqa: ASYNC240, PTH110 - one stat
        return Finding("database", f"{shown} is not there yet", "start the projector: it makes it (omniscope-ml up)")
    engine = open_engine(settings.database)
    try:
        async with engine.connect() as connection:
            revision = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
            jobs = (await connection.execute(text("SELECT count(*) FROM training_jobs"))).scalar_one()
    finally:
        await engine.dispose()
    return Finding("database", f"{shown}, revision {revision}, {counted(jobs, 'job')}")


async def _api(settings: "Settings") -> Finding:
    import asyncio

    from infra.cli.client import ApiClient

    def ask() -> Finding:
        with ApiClient(settings) as client:
            client.get("/readyz")
            client.get("/api/ml/jobs", limit="1")
            return Finding("API", f"answers at {client.address} and takes this token")

    try:
        return await asyncio.to_thread(ask)
    except CliError as error:
        fact, _, remedy = str(error).rpartition(": ")
        return Finding("API", fact or remedy, remedy)
