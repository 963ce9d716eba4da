"""Publishing and subscribing on both brokers."""

from contextlib import aclosing
from pathlib import Path

import pytest
from support.broker import Broker, free_port, running_broker

from events import InvalidEvent, Publisher, subscribe
from events.envelope import CloudEvent, full_type
from events.errors import BrokerUnreachable
from events.requests import AutomlRequested, ModelDeletionRequested, NoopRequested
from events.topics import Topic


async def test_a_receipt_means_that_a_subscriber_will_see_it(tmp_path: Path, both_brokers: Broker) -> None:
    async with (
        running_broker(tmp_path, both_brokers) as settings,
        Publisher(settings.bootstrap_servers, source="test") as publisher,
    ):
        receipt = await publisher.request(
            AutomlRequested(dataset_id="d1", target_column="outcome", time_limit=60), project="atlas"
        )
        assert (receipt.status, receipt.created_at.tzinfo is not None) == ("pending", True)
        async with aclosing(subscribe(settings.bootstrap_servers, [Topic.AUTOML])) as events:
            event = await anext(events)
        assert (event.id, event.subject) == (receipt.event_id, receipt.job_id)
        assert event.data == {
            "job_id": receipt.job_id,
            "dataset_id": "d1",
            "target_column": "outcome",
            "time_limit": 60,
        }
        assert event.extensions == {"project": "atlas"}


async def test_an_event_told_twice_is_handed_over_once(tmp_path: Path, both_brokers: Broker) -> None:
    async with (
        running_broker(tmp_path, both_brokers) as settings,
        Publisher(settings.bootstrap_servers, source="test") as publisher,
    ):
        first, last = publisher.event(NoopRequested(job_id="a")), publisher.event(NoopRequested(job_id="a", seed=1))
        for event in (first, first, last):
            await publisher.send(event)
        async with aclosing(subscribe(settings.bootstrap_servers, [Topic.NOOP])) as events:
            assert [(await anext(events)).id for _ in range(2)] == [first.id, last.id]


async def test_a_group_goes_on_behind_what_it_has_read(tmp_path: Path, both_brokers: Broker) -> None:
    async with (
        running_broker(tmp_path, both_brokers) as settings,
        Publisher(settings.bootstrap_servers, source="test") as publisher,
    ):
        receipts = await publisher.request_many([NoopRequested(job_id="a", seed=n) for n in range(4)])

        async def read(count: int) -> list[str]:
            async with aclosing(subscribe(settings.bootstrap_servers, [Topic.NOOP], group="reader")) as events:
                return [(await anext(events)).id for _ in range(count)]

        ids = [receipt.event_id for receipt in receipts]
        assert await read(2) == ids[:2]
        # The second event was in hand when the reader left: at least once means that it comes again.
        assert await read(3) == ids[1:]


async def test_what_breaks_the_contract_or_is_too_large_is_not_sent(tmp_path: Path, both_brokers: Broker) -> None:
    async with (
        running_broker(tmp_path, both_brokers) as settings,
        Publisher(settings.bootstrap_servers, source="test") as publisher,
    ):
        with pytest.raises(InvalidEvent, match=r"exclude_columns") as refused:
            await publisher.request(
                AutomlRequested(dataset_id="d", target_column="y", feature_columns=["g" * 1000] * 2100)
            )
        assert refused.value.reason == "event_too_large"
        with pytest.raises(InvalidEvent, match="model_id is required"):
            await publisher.request(ModelDeletionRequested())
        with pytest.raises(InvalidEvent):
            await publisher.send(CloudEvent(source="x", type=full_type("no.such"), data={}))


async def test_no_broker_is_one_clear_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerUnreachable, match=address):
        async with Publisher(address, source="test", timeout_s=2):
            pytest.fail("there is no broker")
