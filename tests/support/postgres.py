"""A private PostgreSQL for tests, on a socket in a temporary folder, where the server is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .parts import missing

_OWNER = "postgres"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of an empty database. Skips the test where there is no server; in CI it fails."""
    binaries = _binaries()
    if binaries is None:
        missing("no PostgreSQL server is installed", "`make system`, or apt-get install postgresql")
    # Not in pytest's own folder: the server refuses to run as root, and another user may not enter there.
    with tempfile.TemporaryDirectory(prefix="omniscope-pg-", ignore_cleanup_errors=True) as folder:
        user = _server_user()
        if user is not None:
            shutil.chown(folder, user)
        with _serving(binaries, Path(folder), user) as address:
            yield address


@contextmanager
def _serving(binaries: Path, data: Path, user: str | None) -> Iterator[str]:
    _call(binaries, data, user, "initdb", "--auth=trust", "--username=test", "--encoding=UTF8", "--no-sync")
    try:
        _start(binaries, data, user)
        yield f"postgresql+asyncpg://test@/postgres?host={data}"
    finally:
        _stop(binaries, data, user)


def stop_postgres(address: str) -> None:
    """Ends the server at `address` at once, as a crash would. What was committed is there again after a start."""
    _stop(*_of(address))


def start_postgres(address: str) -> None:
    """Starts it again on the data it has."""
    _start(*_of(address))


def _of(address: str) -> tuple[Path, Path, str | None]:
    binaries = _binaries()
    assert binaries is not None, "there is no server to stop"
    return binaries, Path(address.partition("host=")[2]), _server_user()


def _start(binaries: Path, data: Path, user: str | None) -> None:
    options = f"-k {data} -c listen_addresses='' -c fsync=off -c max_connections=50"
    _call(binaries, data, user, "pg_ctl", "--wait", "--log", str(data / "log"), "-o", options, "start")


def _stop(binaries: Path, data: Path, user: str | None) -> None:
    if (data / "postmaster.pid").exists():
        _call(binaries, data, user, "pg_ctl", "--wait", "--mode", "immediate", "stop")


def _call(binaries: Path, data: Path, user: str | None, name: str, *words: str) -> None:
    command = [str(binaries / name), "--pgdata", str(data), *words]
    subprocess.run(command, check=True, user=user, cwd=data, stdout=subprocess.DEVNULL)


def _server_user() -> str | None:
    """Whom to run the server as; None: as we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_OWNER).pw_name
    except KeyError:
        return "nobody"
