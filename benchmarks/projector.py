"""How many events a second the projector puts into SQLite: `python -m benchmarks.projector`.

The log is prepared in memory: what is measured is reading events, projecting and committing them with their
offsets, in batches as they come from the broker. Jobs run side by side; most events are progress, as in life.
"""

import argparse
import asyncio
import gc
import json
import tempfile
import time
from pathlib import Path

from events.dead_letters import DeadLetter
from events.envelope import CloudEvent, full_type, headers_of
from events.vocabulary import EVENTS
from infra.kafka.burial import PublishedBurial
from infra.kafka.outage import Outage
from infra.kafka.settling import Settler
from infra.storage.database import migrate, open_engine
from infra.storage.offsets import load
from schemas.projection import Place, Record

GOAL = 10_000
_WORDS = 20  # events of progress a job
_SIDE_BY_SIDE = 50


class _NoOutcomes:
    async def publish(self, topic: str, event: CloudEvent) -> None:
        raise AssertionError("the projector publishes no events")

    async def bury(self, letter: DeadLetter) -> None:
        raise AssertionError(f"nothing here is to be put aside: {letter.message}")


def prepared(n_jobs: int, first_job: int = 0) -> list[Record]:
    """The records of `n_jobs` jobs, each requested, started, followed and completed, `_SIDE_BY_SIDE` at a time."""
    request = {"dataset_id": "cohort", "target_column": "outcome", "time_limit": 600}
    when = "2026-03-01T12:00:00Z"
    script: list[tuple[str, dict[str, object]]] = [
        ("ml.automl.requested", request),
        ("ml.job.started", {"attempt": 1, "request": request, "worker": "w", "started_at": when}),
        *(
            ("ml.job.progressed", {"attempt": 1, "seq": seq, "percent": seq, "message": f"Training model {seq}"})
            for seq in range(_WORDS)
        ),
        ("ml.job.completed", {"attempt": 1, "request": request, "started_at": when, "completed_at": when}),
    ]
    records: list[Record] = []
    offsets: dict[str, int] = {}
    end = first_job + n_jobs
    for first in range(first_job, end, _SIDE_BY_SIDE):
        for name, told in script:
            for job in range(first, min(first + _SIDE_BY_SIDE, end)):
                known, job_id = EVENTS[full_type(name)], f"job-{job}"
                data = {**told, "job_id": job_id} | ({} if known.kind else {"kind": "automl"})
                event = CloudEvent(source="benchmark", type=known.type, subject=job_id, data=data)
                offset = offsets[known.topic] = offsets.get(known.topic, -1) + 1
                place = Place("epoch", known.topic, 0, offset, 1_772_366_400_000 + len(records))
                records.append(Record(place, job_id.encode(), event.to_bytes(), tuple(headers_of(event))))
    return records


async def measure(records: list[Record], batch: int) -> float:
    """Seconds to settle all records in a fresh database."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'read.db'}"
        await migrate(url)
        engine = open_engine(url)
        settler = Settler(engine, PublishedBurial(_NoOutcomes(), broker=Outage("broker")), database=Outage("database"))
        partitions = sorted({(record.place.topic, record.place.partition) for record in records})
        async with engine.begin() as connection:
            await load(connection, "epoch", partitions)
        begun = time.perf_counter()
        for first in range(0, len(records), batch):
            await settler.settle("epoch", records[first : first + batch])
        took = time.perf_counter() - begun
        await engine.dispose()
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=46_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[50, 500, 2000])
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    records = prepared(told.events // (_WORDS + 3))
    gc.freeze()  # a projector does not hold the whole log in memory: looking through it is not its work
    found = {batch: round(len(records) / asyncio.run(measure(records, batch))) for batch in told.batch}
    if told.json:
        print(json.dumps({"events": len(records), "events_per_second_by_batch": found, "goal": GOAL}))
        return
    for batch, rate in found.items():
        print(f"batches of {batch:>5}: {rate:>7,} events/s ({rate / GOAL:.1f} × the goal of {GOAL:,})")


if __name__ == "__main__":
    main()
