"""A started producer, idempotent where the broker can."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownError


async def start_producer(*, idempotent: bool | None = None, **settings: Any) -> AIOKafkaProducer:
    """A producer that is connected; the caller stops it.

    Args:
        idempotent: None asks the broker. One that knows no idempotent producers (the embedded one) answers with an
            error that says nothing, and gets a plain producer: what is resent after a broken connection may then
            stand twice in the log, as the same event with the same id.
        settings: aiokafka's own.

    Raises:
        KafkaError: nobody answers, or the broker refuses us.
    """
    try:
        with _quiet() if idempotent is None else nullcontext():
            return await _started(enable_idempotence=idempotent is not False, **settings)
    except UnknownError:
        if idempotent is not None:
            raise
        return await _started(enable_idempotence=False, **settings)


async def _started(**settings: Any) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(acks="all", **settings)
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


@contextmanager
def _quiet() -> Iterator[None]:
    """The refusal is expected and handled: aiokafka need not report it as an error."""
    log = logging.getLogger("aiokafka.producer.sender")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
