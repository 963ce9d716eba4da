"""What every test shares."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
from support.apache_kafka import require_kafka
from support.broker import Broker
from support.shared_kafka import end_shared_kafka

import events

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    # The package «Events» from PyPI installs the same name: make sure that ours is the one that is tested.
    assert Path(events.__file__).is_relative_to(ROOT), f"`events` is {events.__file__}, not ours"


def pytest_sessionfinish() -> None:
    asyncio.run(end_shared_kafka())


@pytest.fixture(params=["embedded", "apache"])
def both_brokers(request: pytest.FixtureRequest) -> Broker:
    """For `running_broker` and its like: the test runs on each, and says why where there is no Apache Kafka."""
    if request.param == "apache":
        require_kafka()
    return cast(Broker, request.param)
