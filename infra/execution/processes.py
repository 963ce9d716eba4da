"""The few Linux calls that keep a family of processes together, and count what it uses."""

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")


def adopt_orphans() -> None:
    """Descendants whose parent dies become children of this process, and not of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """This process is killed the moment the thread of `parent` that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


class ChildWatch:
    """Makes the end of any child something a poll can wait for. For single-threaded processes."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _noted)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._read

    def reap(self) -> dict[int, int]:
        """pid → exit code (negative: the signal) of every child that has ended since the last call."""
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass
        return reap()

    def close(self) -> None:
        """Gives the signal back its default meaning: for the child of a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)


def _noted(_signal: int, _frame: object) -> None:
    """Python writes to the wakeup descriptor only for signals that have a handler."""


def reap() -> dict[int, int]:
    """pid → exit code of every child that has ended, without waiting for one."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def children(pid: int) -> list[int]:
    """The direct children of a process, those of all its threads. Incomplete while some of them are ending."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        pass
    return found


def descendants(pid: int) -> Iterator[int]:
    """Everything below a process."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def kill_children(spare: Collection[int] = ()) -> int:
    """Kills the direct children but those in `spare`, each with its process group; how many there were."""
    doomed = [pid for pid in children(os.getpid()) if pid not in spare]
    for pid in doomed:
        for kill in (os.killpg, os.kill):  # the group exists only where the child leads one
            try:
                kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
    return len(doomed)


def end_family() -> dict[int, int]:
    """Kills all children, the orphans they leave to us, and theirs, until none is left; pid → exit code."""
    ended: dict[int, int] = {}
    while True:
        kill_children()
        ended |= (now := reap())
        if not now and not _have_children():
            return ended
        if not now:
            time.sleep(0.001)  # killed, but not yet gone; a list read during an exit may miss one


def _have_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def memory_exceeds(pid: int, limit: int) -> bool:
    """Whether everything below `pid` uses more than `limit` bytes, a shared page counted once (PSS).

    Reading PSS walks the page tables, so the cheap and never smaller RSS is asked first.
    """
    family = list(descendants(pid))
    return sum(map(_rss, family)) > limit and sum(map(pss, family)) > limit


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def pss(pid: int) -> int:
    """Bytes of memory that are this process's own, with its part of what it shares."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:  # a job that changed its user or refuses dumps
        return _rss(pid)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def kernel_oom_kills() -> int:
    """How often the kernel has killed for want of memory, as far as it tells us: only a rise means anything."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
