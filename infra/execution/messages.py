"""What a job's process and its host say to each other: a few tagged messages, as JSON lines over a pipe.

JSON and not pickle: what comes out of a job's process is data, never code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from handlers.contract import Inputs


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work for an executor. `request` is the full request (defaults filled in) as JSON data.

    `entry` and `request_model` are `module:name` strings; `preload` is what the warm server has imported.
    """

    task_id: str
    entry: str
    request_model: str
    request: dict[str, Any]
    inputs: Inputs
    out_dir: Path
    keep_dir: Path
    seed: int = 0


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Started(_Message):
    """The handler is about to be called, in process `pid`."""

    tag: Literal["started"] = "started"
    pid: int


class Progressed(_Message):
    tag: Literal["progressed"] = "progressed"
    percent: float = Field(ge=0, le=100)
    message: str
    eta_s: float | None = None
    metrics: dict[str, float] = {}


class CheckpointSaved(_Message):
    tag: Literal["checkpoint_saved"] = "checkpoint_saved"


class Finished(_Message):
    """The handler returned. `model`, `explanation` and `profile` are those of handlers.contract.Result as JSON data."""

    tag: Literal["finished"] = "finished"
    summary: str
    model: dict[str, Any] | None = None
    explanation: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None
    record: dict[str, Any] = {}


class Failed(_Message):
    """The handler said why not (a reason code), or raised (`handler_error`; `detail` is for the log).

    `infrastructure`: for no fault of its own, the worker's disk is full: the job is to be tried again.
    """

    tag: Literal["failed"] = "failed"
    reason: str
    message: str
    detail: str = ""
    infrastructure: bool = False


class Crashed(_Message):
    """The process died without a word. `out_of_memory` only with evidence for it; `detail` is for the log."""

    tag: Literal["crashed"] = "crashed"
    exit_code: int
    out_of_memory: bool = False
    detail: str = ""


class Killed(_Message):
    """The process was killed because its run was told to end."""

    tag: Literal["killed"] = "killed"


Message = Annotated[
    Started | Progressed | CheckpointSaved | Finished | Failed | Crashed | Killed, Field(discriminator="tag")
]
FINAL = (Finished, Failed, Crashed, Killed)

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Message)


def to_line(message: BaseModel) -> bytes:
    return message.model_dump_json().encode()


def from_line(line: bytes) -> Any:
    """A message from its line.

    Raises:
        pydantic.ValidationError: the other side broke the protocol.
    """
    return _ADAPTER.validate_json(line)
