"""What a host and a guard say to each other: the task in a memory file, then two lines of JSON over a socket."""

import os
import socket

from pydantic import BaseModel, TypeAdapter

from .messages import Task

_TASK = TypeAdapter(Task)

#: What the host writes to the guard's socket to end the job. The end of the stream means the same.
KILL = b"k"
#: The job's first line.
RECEIVED = b"received"
_TASK_FOLLOWS = b"t"
#: What the host writes to the job's socket to ask for a soft stop.
STOP = b"s"


class Hello(BaseModel):
    """The guard has the task, and its child `job`, the leader of a process group of its own, has it too."""

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


def send_task(task: Task, *receivers: socket.socket) -> None:
    """Hands the task to each, as a file in memory: of any size, never waited for, and nothing to clean up."""
    fd = os.memfd_create("task", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        file.write(_TASK.dump_json(task))
        file.flush()
        for receiver in receivers:
            socket.send_fds(receiver, [_TASK_FOLLOWS], [fd])


def receive_task(sender: socket.socket) -> Task | None:
    """Waits for the task; None: the host has gone, or has no need of us."""
    word, fds, _, _ = socket.recv_fds(sender, len(_TASK_FOLLOWS), 1, socket.MSG_CMSG_CLOEXEC)
    if not (word == _TASK_FOLLOWS and fds):
        return None
    try:
        # Guard and job share one file and its position: read from a place, not from where it stands.
        return _TASK.validate_json(_whole(fds[0]))
    finally:
        os.close(fds[0])


def _whole(fd: int) -> bytes:
    data = bytearray()
    while chunk := os.pread(fd, 1 << 24, len(data)):
        data += chunk
    return bytes(data)
