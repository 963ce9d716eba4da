"""The stage: Apache Kafka, three workers, a projector and the API, each a process as it is deployed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from support.apache_kafka import ApacheKafka
from support.ports import free_port

from infra.kafka.log_epoch import ensure_epoch
from infra.kafka.topics import ensure_topics
from infra.settings import Settings

from . import recorded, wishes
from .diary import Diary
from .plan import Plan
from .seat import Seat

_ROOT = Path(__file__).parents[2]


class Stage:
    """Everything that runs. `workers` are the seats of those that come back when they die."""

    def __init__(self, folder: Path, kafka: ApacheKafka, settings: Settings, plan: Plan) -> None:
        self.folder = folder
        self.kafka = kafka
        self.settings = settings
        self.plan = plan
        self.diary = Diary()
        self.ledger = folder / "ledger.txt"
        # All but one have a name by which they keep their partitions over a quick restart.
        self.workers = [self.worker(f"worker-{n}", keeps_name=n > 0) for n in range(plan.workers)]
        self.projector = self._seat("projector", "projector")
        self.api = self._seat("api", "api")

    def worker(self, name: str, *, keeps_name: bool = False) -> Seat:
        told = {"WORKER_ID": name} if keeps_name else {}
        return self._seat(name, "agent", "all", "--with-noop", module="soak.worker", **told)

    @property
    def uploads(self) -> Path:
        return Path(self.settings.roots[0])

    def _seat(self, name: str, *words: str, module: str = "infra.cli", **told: str) -> Seat:
        return Seat(name, [module, *words], self.environment() | told, self.folder / "logs", self.diary)

    def environment(self) -> dict[str, str]:
        known = self.settings
        return {
            # A developer's own tracking server is none of a soak's business.
            **{key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
            "PYTHONPATH": os.pathsep.join(map(str, (_ROOT, _ROOT / "tests", self.folder / "modules"))),
            "DATA_DIR": str(known.data_dir),
            "KAFKA_BOOTSTRAP_SERVERS": known.bootstrap_servers,
            "KAFKA_SESSION_TIMEOUT_S": str(known.kafka_session_timeout_s),
            "TOPIC_PARTITIONS": str(known.topic_partitions),
            "WORKER_SLOTS": str(known.worker_slots),
            "API_PORT": str(known.api_port),
        }


@asynccontextmanager
async def set_up(folder: Path, plan: Plan) -> AsyncIterator[Stage]:
    """A stage on which everything is ready; nothing of it runs behind the context."""
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(ApacheKafka(folder / "kafka", free_port()))
        settings = Settings(
            data_dir=folder / "data",
            kafka_bootstrap_servers=kafka.address,
            api_port=free_port(),
            topic_partitions=8,
            kafka_session_timeout_s=plan.session_s,
            worker_slots=plan.slots,
        )
        settings.make_data_dir()
        (folder / "logs").mkdir()
        await ensure_topics(settings, wait_s=30)
        await ensure_epoch(settings)
        stage = Stage(folder, kafka, settings, plan)
        recorded.write_module(folder / "modules", stage.ledger)
        wishes.write_files(stage.uploads)
        seats = [stage.projector, stage.api, *stage.workers]
        for seat in seats:
            seat.open()
        stack.push_async_callback(_close_all, seats)
        await asyncio.gather(*(seat.ready() for seat in seats))
        yield stage


async def _close_all(seats: list[Seat]) -> None:
    await asyncio.gather(*(seat.close() for seat in seats))
