"""A job's own output in a file of bounded size: its beginning and its end, whatever it prints between."""

import os
from pathlib import Path

#: Bytes kept from the beginning and from the end of what a job prints.
HEAD = 1024 * 1024
TAIL = 64 * 1024
#: Bytes of the end that are told to whoever waits for the job.
TOLD = 4096


class BoundedLog:
    """`write` never fails and never blocks for long: a full disk must not keep a guard from its work."""

    def __init__(self, path: Path, head: int = HEAD, tail: int = TAIL) -> None:
        self._room = head
        self._tail_size = tail
        self._tail = bytearray()
        self._last = bytearray()
        self._left_out = 0
        self._fd = _create(path)

    def write(self, data: bytes) -> None:
        self._last = (self._last + data)[-TOLD:]
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_size:
            self._cut()

    def close(self) -> str:
        """Completes the file; returns the last lines as text."""
        self._cut()
        if self._left_out:
            self._put(f"\n[… {self._left_out} bytes left out …]\n".encode())
        self._put(bytes(self._tail))
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        return self._last.decode(errors="replace").strip()

    def _cut(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_size)
        self._left_out += surplus
        del self._tail[:surplus]

    def _put(self, data: bytes) -> None:
        while data and self._fd is not None:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:
                os.close(self._fd)
                self._fd = None


def _create(path: Path) -> int | None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except OSError:
        return None
