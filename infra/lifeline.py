"""Child processes that do not outlive their parent, and how a child tells that it is ready.

The kernel kills the child when the thread that started it ends, whatever ended it (Linux, prctl(2)). So start
such children from the main thread.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

#: The file descriptor a supervised child writes its one word to. Absent: nobody is waiting.
READY_FD = "OMNISCOPE_READY_FD"
READY = b"READY\n"

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: what makes the child die by SIGKILL when this process does. None where the kernel cannot."""
    if sys.platform != "linux":
        return None
    # Loaded here and not in the child: between fork and exec nothing may be allocated or imported.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return in_child


def tell_ready() -> None:
    """Says to the supervisor, if there is one, that this process serves now. Further calls do nothing."""
    told = os.environ.pop(READY_FD, None)
    if told is None:
        return
    descriptor = int(told)
    try:
        os.write(descriptor, READY)
    except BrokenPipeError:
        return  # the supervisor stopped waiting
    finally:
        os.close(descriptor)
