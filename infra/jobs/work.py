"""What is to be done: a request, checked and made ready for an executor."""

from dataclasses import dataclass, field
from typing import Any

from events.outcomes import DatasetRegistered
from events.requests import JobRequested
from handlers.contract import Inputs
from handlers.registry import HandlerSpec
from infra.execution.messages import Task

from .deadline import seconds_for
from .loans import Loans
from .workplace import Workplace


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: a valid request, who does it, on which dataset, by which record, with which loans."""

    request: JobRequested
    handler: HandlerSpec
    dataset: DatasetRegistered | None
    recorded: dict[str, Any] | None = None
    loans: Loans = field(default_factory=Loans)

    @property
    def seconds(self) -> float:
        """How long an attempt may run."""
        return seconds_for(self.request)

    def task(self, task_id: str, inputs: Inputs, place: Workplace) -> Task:
        model = type(self.request)
        return Task(
            task_id=task_id,
            entry=self.handler.entry,
            request_model=f"{model.__module__}:{model.__qualname__}",
            request=self.request.model_dump(mode="json"),
            inputs=inputs,
            out_dir=place.out,
            keep_dir=place.keep,
            seed=self.request.seed,
        )
