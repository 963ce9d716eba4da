"""Many partitions as one, in the order of time."""

import random
import time

from events.topics import Topic
from infra.tracking.time_order import ENOUGH, TimeOrder
from schemas.projection import Place, Record

READ = (Topic.MODELS, Topic.JOBS)
PARTITIONS = [(topic, number) for topic in READ for number in range(2)]


def at(ms: int, topic: str = Topic.JOBS, partition: int = 0, offset: int = 0) -> Record:
    return Record(Place("epoch", topic, partition, offset, ms), b"key", b"value")


def test_nothing_is_released_while_an_earlier_record_may_still_come() -> None:
    order = TimeOrder(READ, PARTITIONS)
    late, early = at(20), at(10, Topic.MODELS, 1)
    order.add([late])
    assert order.release(drained=PARTITIONS[:2]) == []
    order.add([early])
    assert order.release(drained=PARTITIONS) == [early, late]
    assert not order.holds()


def test_any_way_of_reading_gives_the_same_order() -> None:
    records = [at(100 * i + p, topic, p, i) for i in range(50) for topic, p in PARTITIONS]
    rng = random.Random(0)
    heard = []
    for _ in range(3):
        order = TimeOrder(READ, PARTITIONS)
        unread = {p: [r for r in records if (r.place.topic, r.place.partition) == p] for p in PARTITIONS}
        released: list[Record] = []
        while len(released) < len(records):
            of = rng.choice(PARTITIONS)
            some, unread[of] = unread[of][:7], unread[of][7:]
            order.add(some)
            released += order.release([p for p in PARTITIONS if not unread[p]])
        heard.append(released)
    assert heard[0] == heard[1] == heard[2]
    assert [r.place.timestamp_ms for r in heard[0]] == sorted(r.place.timestamp_ms for r in records)


def test_of_one_moment_a_model_comes_before_the_end_of_its_job() -> None:
    order = TimeOrder(READ, PARTITIONS)
    job, model = at(5), at(5, Topic.MODELS)
    order.add([job, model])
    assert order.release(PARTITIONS) == [model, job]


def test_a_partition_keeps_its_own_order_whatever_its_clock_says() -> None:
    order = TimeOrder(READ, PARTITIONS)
    records = [at(50, offset=0), at(10, offset=1), at(30, Topic.MODELS)]
    order.add(records)
    assert order.release(PARTITIONS) == [records[2], records[0], records[1]]


def test_a_full_partition_is_read_no_further() -> None:
    order = TimeOrder(READ, PARTITIONS)
    order.add(at(i, offset=i) for i in range(ENOUGH))
    assert (Topic.JOBS, 0) not in order.hungry()
    assert len(order.hungry()) == 3


def test_the_horizon() -> None:
    order = TimeOrder(READ, PARTITIONS)
    assert order.horizon_ms(PARTITIONS) >= int(time.time() * 1000) - 1000
    assert order.horizon_ms(PARTITIONS[:3]) == 0
    order.add([at(77)])
    assert order.horizon_ms(PARTITIONS) == 77
