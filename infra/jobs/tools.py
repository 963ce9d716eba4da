"""What a worker has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from events.topics import JobKind
from handlers.registry import HandlerSpec
from infra.execution.executor import Executor

from .catalogue import Catalogue
from .ports import DatasetCache, Outcomes, Store, Weights
from .running import Running
from .slots import Slots


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker has: the rooms that the life of a job asks, and the few settings that it goes by."""

    worker: str
    store: Store
    executor: Executor
    outcomes: Outcomes
    catalogue: Catalogue
    cache: DatasetCache
    weights: Weights
    slots: Slots
    handlers: Mapping[JobKind, HandlerSpec]
    work_dir: Path
    running: Running = field(default_factory=Running)
    max_attempts: int = 3
    dataset_wait_s: float = 60.0
    cpus: int = 1
    min_free_gb: float = 0.0
