"""Publishing events: checked before they are sent, acknowledged by the broker before a receipt is given."""

import asyncio
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from pydantic import BaseModel, ConfigDict

from .envelope import CloudEvent, headers_of
from .errors import BrokerUnreachable, InvalidEvent, PublishError, ReasonCode
from .identifiers import new_id
from .producing import start_producer
from .requests import DatasetUploaded
from .topics import LARGE_EVENT_BYTES
from .vocabulary import EVENT_OF_MODEL, EVENTS, EventType, identify, validate


class Receipt(BaseModel):
    """The broker has the request. What becomes of it is told on the outcome topics and by the read API."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    event_id: str
    status: str = "pending"
    message: str = "Request accepted by the broker"
    created_at: datetime


class Publisher:
    """Sends requests. Use it as an async context manager, one for many events; it may be shared by tasks.

    Args:
        bootstrap_servers: the broker's `host:port`, several separated by commas.
        source: names the publisher in every event, e.g. `data-harbor`.
        idempotent: let the broker drop a resent duplicate; None: where the broker can (the embedded one cannot).
        linger_ms: wait this long to fill a batch; raise it when publishing thousands of events.
        timeout_s: give up on one event after this long.
        security: further aiokafka settings (`security_protocol`, `sasl_mechanism`, …).
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str,
        idempotent: bool | None = None,
        linger_ms: int = 0,
        timeout_s: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        security: dict[str, Any] | None = None,
    ) -> None:
        self.source = source
        self._servers = bootstrap_servers
        self._timeout_s = timeout_s
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap_servers,
            "idempotent": idempotent,
            "linger_ms": linger_ms,
            "max_request_size": LARGE_EVENT_BYTES,
            "ssl_context": ssl_context,
            **(security or {}),
        }
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._producer = await start_producer(**self._settings)
        except (KafkaConnectionError, TimeoutError, OSError) as error:
            raise BrokerUnreachable(
                f"no Kafka broker answers at {self._servers}: start one (omniscope-ml up) or correct the address"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def request(self, request: BaseModel, **extensions: str) -> Receipt:
        """Publishes one request and waits until the broker has it.

        Args:
            request: a model of `events.requests`; a missing id is made here.
            extensions: CloudEvents extension attributes, e.g. `traceparent` or `project`.

        Raises:
            InvalidEvent: the request breaks the contract; nothing was sent.
            PublishError: the broker takes only smaller events than the contract allows; nothing was sent.
            BrokerUnreachable: the broker did not take it in time. It may still have it: the same request with
                the same job_id can be sent again without harm.
        """
        event = self.event(request, **extensions)
        await self.send(event)
        return _receipt(event)

    async def request_many(self, requests: Iterable[BaseModel]) -> list[Receipt]:
        """Publishes several requests in batches; all are checked before the first is sent."""
        events = [self.event(request) for request in requests]
        await asyncio.gather(*(self.send(event) for event in events))
        return [_receipt(event) for event in events]

    def event(self, request: BaseModel, **extensions: str) -> CloudEvent:
        """The event that `request` would publish."""
        known = EVENT_OF_MODEL.get(type(request))
        if known is None:
            raise TypeError(f"{type(request).__name__} is no event of this system")
        data = request.model_dump(mode="json", exclude_unset=True)
        key = data.get(known.key)
        if key is None:
            key = data[known.key] = _fresh_id(known)
        event = CloudEvent(source=self.source, type=known.type, subject=key, data=data, **extensions)
        validate(identify(known.topic, key.encode(), event.to_bytes(), headers_of(event)))
        return event

    async def send(self, event: CloudEvent) -> None:
        """Publishes an event as it is, on the topic of its type."""
        if self._producer is None:
            raise RuntimeError("the publisher is not started: use it in `async with`")
        value = event.to_bytes()
        found = identify(_topic_of(event), (event.subject or "").encode() or None, value, headers_of(event))
        try:
            # The shield keeps a cancelled caller from cancelling a send that the broker may already have.
            async with asyncio.timeout(self._timeout_s):
                delivered = await self._producer.send(
                    found.type.topic, value, found.key.encode(), headers=headers_of(event)
                )
                await asyncio.shield(delivered)
        except MessageSizeTooLargeError:
            raise PublishError(
                ReasonCode.EVENT_TOO_LARGE,
                f"the broker takes no event of {len(value):,} bytes: raise the topic's max.message.bytes "
                f"to {LARGE_EVENT_BYTES:,}, or send less",
            ) from None
        except (TimeoutError, KafkaError) as error:
            raise BrokerUnreachable(
                f"the broker at {self._servers} did not take the event within {self._timeout_s:g} s "
                f"({type(error).__name__}): try again with the same job_id"
            ) from error


def _fresh_id(known: EventType) -> str:
    """An id for something new. What is to be cancelled, deleted or promoted has one already."""
    if known.kind is None and known.model is not DatasetUploaded:
        raise InvalidEvent(ReasonCode.MISSING_FIELD, f"data.{known.key} is required: say which one is meant")
    return new_id()


def _topic_of(event: CloudEvent) -> str:
    known = EVENTS.get(event.type)
    return known.topic if known else ""


def _receipt(event: CloudEvent) -> Receipt:
    return Receipt(job_id=event.subject or "", event_id=event.id, created_at=datetime.now(UTC))
