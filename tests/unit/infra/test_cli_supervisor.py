"""The supervisor with small programs in place of the services: what is started, told, stopped and left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from infra.cli.supervisor import Service, ServiceDied, Supervisor

READY = "from infra.lifeline import tell_ready; tell_ready()"
UNTIL_TOLD = "import signal, time; signal.sigwait([signal.SIGTERM])"


def program(name: str, *lines: str, grace_s: float = 10.0) -> Service:
    return Service(name, (sys.executable, "-c", "\n".join(lines)), grace_s)


def patient(name: str) -> Service:
    """Says ready, then waits for SIGTERM."""
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])"
    return program(name, block, READY, UNTIL_TOLD, "print('bye')")


class Heard:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def supervisor(tmp_path: Path, heard: Heard) -> Supervisor:
    return Supervisor(tmp_path / "logs", os.environ, heard)


async def test_start_returns_when_all_are_ready_and_stop_goes_backwards(supervisor: Supervisor, heard: Heard) -> None:
    async with supervisor:
        await supervisor.start(patient("first"))
        await supervisor.start(patient("second"), patient("third"))
        family = [psutil.Process(pid) for pid in supervisor.pids().values()]
        assert [process.is_running() for process in family] == [True] * 3
        assert await supervisor.stop() == []

    assert [name for name, line in heard.lines if line == "bye"] == ["third", "second", "first"]
    assert not any(process.is_running() for process in family)


async def test_a_death_is_told_with_code_and_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])"
    dies_when_told = "signal.sigwait([signal.SIGUSR1]); print('the disk is full'); raise SystemExit(7)"
    async with supervisor:
        await supervisor.start(patient("rich"), program("poor", block, READY, dies_when_told))
        os.kill(supervisor.pids()["poor"], signal.SIGUSR1)
        with pytest.raises(ServiceDied, match=r"(?s)poor ended with code 7.*the disk is full.*poor\.log") as told:
            await supervisor.wait()
    assert told.value.exit_code == 7
    assert (tmp_path / "logs" / "poor.log").read_text().splitlines() == ["the disk is full"]


async def test_a_death_by_signal_names_the_signal(supervisor: Supervisor) -> None:
    async with supervisor:
        await supervisor.start(patient("victim"))
        os.kill(supervisor.pids()["victim"], signal.SIGKILL)
        with pytest.raises(ServiceDied, match="victim was killed by SIGKILL"):
            await supervisor.wait()


async def test_dying_before_being_ready(supervisor: Supervisor) -> None:
    async with supervisor:
        with pytest.raises(ServiceDied, match=r"(?s)code 2.*no such setting"):
            await supervisor.start(program("wrong", "print('no such setting')", "raise SystemExit(2)"))


async def test_never_ready_is_named(supervisor: Supervisor) -> None:
    async with supervisor:
        with pytest.raises(TimeoutError, match=r"not ready after 0\.2 s: silent"):
            await supervisor.start(program("silent", UNTIL_TOLD), timeout_s=0.2)


async def test_who_does_not_stop_is_killed_and_named(supervisor: Supervisor) -> None:
    deaf = program(
        "deaf", "import signal", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", READY, "signal.pause()", grace_s=0.1
    )
    async with supervisor:
        await supervisor.start(deaf)
        assert await supervisor.stop() == ["deaf"]


async def test_kill_reaches_also_who_is_just_being_asked_to_stop(supervisor: Supervisor) -> None:
    deaf = program("deaf", "import signal", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", READY, "signal.pause()")
    async with supervisor:
        await supervisor.start(patient("first"), deaf)
        stopping = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0)
        supervisor.kill()
        assert await stopping == []


async def test_a_very_long_line_is_no_reason_to_stop_listening(supervisor: Supervisor, heard: Heard) -> None:
    async with supervisor:
        await supervisor.start(program("loud", "print('x' * 1_000_000)", "print('after')", READY, UNTIL_TOLD))
        await supervisor.stop()
    assert ("loud", "after") in heard.lines
    assert sum(line.count("x") for _, line in heard.lines) == 1_000_000


async def test_a_grandchild_that_keeps_the_output_open_delays_nothing(supervisor: Supervisor) -> None:
    leaves_one = "import subprocess; subprocess.Popen(['sleep', '60'], preexec_fn=die_with_parent())"
    async with supervisor:
        await supervisor.start(program("parent", "from infra.lifeline import die_with_parent", leaves_one, READY))
        with pytest.raises(ServiceDied, match="parent ended with code 0"):
            await supervisor.wait()


def test_kill_9_of_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    main = textwrap.dedent(
        f"""
        import asyncio, os, sys
        from pathlib import Path
        from infra.cli.supervisor import Service, Supervisor

        async def main():
            service = Service("child", (sys.executable, "-c", {READY + chr(10) + UNTIL_TOLD!r}))
            async with Supervisor(Path({str(tmp_path)!r}), os.environ, lambda name, line: None) as supervisor:
                await supervisor.start(service)
                print(supervisor.pids()["child"], flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", main], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_ready_without_a_supervisor_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.lifeline import READY_FD, tell_ready

    monkeypatch.delenv(READY_FD, raising=False)
    tell_ready()
    assert READY_FD not in os.environ


async def test_ready_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra import lifeline

    reader, writer = os.pipe()
    monkeypatch.setenv(lifeline.READY_FD, str(writer))
    lifeline.tell_ready()
    lifeline.tell_ready()
    with os.fdopen(reader, "rb") as told:
        assert await asyncio.to_thread(told.read) == lifeline.READY
