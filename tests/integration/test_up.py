"""`omniscope-ml up` for real: everything starts, a job goes its whole way, and however it ends nothing is left."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from support.broker import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OURS = (sys.executable, "-m", "infra.cli")
GONE_S = 60


class Up:
    """A running `up --json`, what it printed, and every process it ever had."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [*OURS, "up", "--json", "--with-noop", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.said
        self.ready: dict[str, Any] = json.loads(line)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.wait()

    @property
    def said(self) -> str:
        return "".join(self._said)

    def child(self, name: str) -> psutil.Process:
        """The service called `name`."""
        return next(child for child in psutil.Process(self._process.pid).children() if name in child.cmdline())

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        code = self._process.wait(GONE_S)
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self._said.extend(stream)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A place of its own, without anything this machine's environment says about brokers or tables."""
    ours = ("KAFKA_", "API_", "DATABASE_", "OMNISCOPE_", "DATASET_", "ARTIFACTS_")
    known = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ports = {"EMBEDDED_KAFKA_PORT": str(free_port()), "API_PORT": str(free_port())}
    return {**known, **ports, "DATA_DIR": str(tmp_path / "data"), "WORKER_SLOTS": "1", "KAFKA_SESSION_TIMEOUT_S": "6"}


@pytest.fixture
def up(environment: dict[str, str]) -> Iterator[Up]:
    with Up(environment, "--kinds", "noop,datasets") as running:
        yield running


def call(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*OURS, *arguments], env=environment, capture_output=True, text=True, timeout=90)


def nothing_left(family: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def until_running(environment: dict[str, str], job_id: str) -> None:
    """Returns when the job has said something from its process."""
    with subprocess.Popen(
        [*OURS, "watch", job_id, "--json"], env=environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        for line in watching.stdout:
            if json.loads(line)["status"] == "running":
                break
        watching.kill()


def test_the_whole_way_and_a_clean_end(up: Up, tmp_path: Path) -> None:
    """One start serves all that needs a house that stands: it takes ten seconds."""
    done = call(up.environment, "submit", "noop", "--steps", "3", "--job-id", "first", "--watch", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"

    failed = call(up.environment, "submit", "noop", "--behaviour", "fail", "--watch")
    assert failed.returncode == 1
    assert "omniscope-ml: the job failed" in failed.stderr

    (tmp_path / "table.csv").write_text("kind,x\n" + "".join(f"{'ab'[i % 2]},{i}\n" for i in range(40)))
    added = call(up.environment, "dataset", "add", str(tmp_path / "table.csv"), "--id", "mine")
    assert added.returncode == 0, added.stderr
    assert "dataset mine is registered: 40 rows, 2 columns" in added.stdout

    (tmp_path / "empty.csv").write_text("")
    rejected = call(up.environment, "dataset", "add", str(tmp_path / "empty.csv"))
    assert rejected.returncode == 1
    assert "was rejected" in rejected.stderr

    examined = call(up.environment, "doctor", "--json")
    assert [finding for finding in json.loads(examined.stdout) if not finding["ok"]] == []

    second = call(up.environment, "up", "--with-noop")
    assert second.returncode == 1
    assert f"process {up.ready['pid']}" in second.stderr

    elsewhere = {**up.environment, "DATA_DIR": str(tmp_path / "elsewhere"), "EMBEDDED_KAFKA_PORT": str(free_port())}
    taken = call(elsewhere, "up", "--with-noop")
    assert taken.returncode == 1
    assert f"port {up.environment['API_PORT']}" in taken.stderr
    assert "set API_PORT" in taken.stderr

    call(up.environment, "submit", "noop", "--duration", "600", "--job-id", "long")
    until_running(up.environment, "long")
    family = up.family()
    up.signal(signal.SIGINT)
    assert up.wait() == 0, up.said
    assert up.said.index("agent stopped") < up.said.index("projector stopped") < up.said.index("broker stopped")
    assert nothing_left(family)


def test_a_dead_service_is_named_and_takes_the_house_along(up: Up) -> None:
    family = up.family()
    up.child("projector").kill()
    assert up.wait() == 1
    assert "omniscope-ml: the projector was killed by SIGKILL" in up.said
    assert "Everything else was stopped." in up.said
    assert nothing_left(family)


def test_kill_9_during_a_job_leaves_nothing(up: Up) -> None:
    call(up.environment, "submit", "noop", "--duration", "600", "--job-id", "long")
    until_running(up.environment, "long")
    family = up.family()
    assert len(family) > 5, "broker and its server, projector, API, agent, and the job's own"
    up.signal(signal.SIGKILL)
    up.wait()
    assert nothing_left(family)


def test_an_impatient_second_signal_kills_at_once(up: Up) -> None:
    family = up.family()
    up.child("agent").suspend()  # it cannot stop nicely any more
    up.signal(signal.SIGINT)
    while "stopping; Ctrl-C again kills at once" not in up.said:
        psutil.wait_procs(family, timeout=0.05)
    up.signal(signal.SIGINT)
    assert up.wait() == 130
    assert nothing_left(family)
