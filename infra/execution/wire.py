"""What a host and a guard say to each other: the task in a memory file, two lines of JSON over a socket."""

import os

from pydantic import BaseModel, TypeAdapter

from .messages import Task

_TASK = TypeAdapter(Task)

#: What the host writes to the guard's socket to end the job. The end of the stream means the same.
KILL = b"k"
#: What the host writes to the job's socket to ask for a soft stop.
STOP = b"s"


class Hello(BaseModel):
    """The guard is at its post and has forked the job, which leads a process group of its own."""

    guard: int
    job: int


class Obituary(BaseModel):
    """The job and everything it started are gone. `exit_code` is negative for a signal.

    `killed`: the host told us to. `out_of_memory`: there is evidence. `log_tail`: its last lines.
    """

    exit_code: int
    killed: bool
    out_of_memory: bool
    log_tail: str


def task_file(task: Task) -> int:
    """The task in memory, as a descriptor to pass on: of any size, and nothing to clean up."""
    fd = os.memfd_create("task", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(_TASK.dump_json(task))
    return fd


def read_task(fd: int) -> Task:
    """Reads and closes what `task_file` wrote."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return _TASK.validate_json(file.read())
