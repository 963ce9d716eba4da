"""Sending dead letters back to where they came from, each of them once.

Claim in the store, send, say in the store that it was sent, mark on the log. Killed after any of these, the next one
goes on from there; where nobody said whether it was sent, the topic itself is asked.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from events.dead_letters import DeadLetter, Redriven
from events.errors import BrokerUnreachable
from events.producing import start_producer
from events.topics import LARGE_EVENT_BYTES, Topic
from infra.jobs.ports import StoreError
from infra.kafka.connection import client_settings
from infra.kafka.topics import partition_counts
from infra.settings import Settings
from infra.storage.redrive_claims import Ours, RedriveClaims, Underway

from .filed import Filed
from .sent_before import sent_before

#: Together they stay below the age at which a claim counts as broken off.
_CLAIM_S, _SEND_S, _STOP_S = 20.0, 25.0, 5.0
#: The broker has certainly not taken the record.
_REFUSALS = (MessageSizeTooLargeError, TopicAuthorizationFailedError, InvalidTopicError)


class Fate(StrEnum):
    """What became of a letter that was to be sent back."""

    REDRIVEN = "redriven"
    ALREADY = "already_redriven"
    UNDERWAY = "underway"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Told:
    """One letter's fate; `message` says what a person should know of it, `redriven` where the original stands now."""

    letter: DeadLetter
    fate: Fate
    message: str = ""
    redriven: Redriven | None = None


def obstacle(topic: str, cut: bool, partitions: Mapping[str, int]) -> str | None:
    """Why a letter can never be sent back, if so; `partitions` as the broker has them."""
    if topic not in partitions or topic == Topic.LOG:
        return f"its topic {topic} is not one of those that this broker has for this system"
    if cut:
        return "the original was too large to be kept whole, and only a part of it is here"
    return None


class Redriver:
    """Sends letters back in the name of `who`. Use it as an async context manager."""

    def __init__(self, settings: Settings, claims: RedriveClaims, who: str) -> None:
        self._settings = settings
        self._claims = claims
        self._who = who
        self._partitions: dict[str, int] = {}
        self._producer: AIOKafkaProducer

    async def __aenter__(self) -> Self:
        self._partitions = await partition_counts(self._settings)
        try:
            self._producer = await start_producer(
                max_request_size=LARGE_EVENT_BYTES,
                # aiokafka sends nothing that has neither key nor value, but lets a wrapped key pass.
                key_serializer=_unwrapped,
                **client_settings(self._settings),
            )
        except KafkaConnectionError as error:
            raise BrokerUnreachable(f"no Kafka broker answers at {self._settings.bootstrap_servers}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):  # what the broker does not take now is found by the next redrive
            await asyncio.wait_for(self._producer.stop(), _STOP_S)

    async def redrive(self, letters: Iterable[Filed], tell: Callable[[Told], None]) -> None:
        """Sends some letters back, in their order; `tell` hears what became of each of them, in any order.

        Raises:
            BrokerUnreachable: the broker did not take some of them in time, or may have.
            StoreError: the store failed; what was not told of was not sent, or will be found out by the next redrive.
        """
        sendable = []
        for filed in letters:
            letter = filed.letter
            if why := obstacle(letter.topic, letter.cut, self._partitions):
                tell(Told(letter, Fate.REFUSED, why))
            else:
                sendable.append(filed)
        ours = await self._claim_or_tell(sendable, tell)
        await self._send_all([(filed, claim) for filed, claim in ours if not claim.broken_off], tell)
        await self._finish([(filed, claim) for filed, claim in ours if claim.broken_off], tell)

    async def _finish(self, broken_off: list[tuple[Filed, Ours]], tell: Callable[[Told], None]) -> None:
        """What others began and were killed at: sent and not said, or not sent."""
        if not broken_off:
            return
        found = await sent_before(self._settings, (filed.letter for filed, _ in broken_off))
        not_sent = []
        for filed, claim in broken_off:
            letter = filed.letter
            if letter.place not in found:
                not_sent.append(filed)
                await asyncio.to_thread(self._claims.give_up, letter, claim)
                continue
            now = int(time.time() * 1000)
            redriven = Redriven(now, claim.broken_off or self._who, letter.partition, found[letter.place])
            await asyncio.to_thread(self._claims.sent, letter, redriven)
            await self._mark([(filed, redriven)])
            tell(Told(letter, Fate.ALREADY, f"{claim.broken_off} has sent it back and was broken off then", redriven))
        # Claimed anew: to ask the topic may have taken longer than a claim lasts.
        await self._send_all(await self._claim_or_tell(not_sent, tell), tell)

    async def _claim_or_tell(self, letters: list[Filed], tell: Callable[[Told], None]) -> list[tuple[Filed, Ours]]:
        ours, others = await self._claim(letters)
        for filed, claim in others:
            tell(await self._told_of(filed, claim))
        return ours

    async def _claim(self, letters: list[Filed]) -> tuple[list[tuple[Filed, Ours]], list[tuple[Filed, Any]]]:
        began = time.monotonic()
        found = await asyncio.gather(
            *(asyncio.to_thread(self._claims.take, filed.letter) for filed in letters), return_exceptions=True
        )
        pairs = list(zip(letters, found, strict=True))
        ours = [(filed, claim) for filed, claim in pairs if isinstance(claim, Ours)]
        failed = [claim for claim in found if isinstance(claim, BaseException)]
        if not failed and time.monotonic() - began > _CLAIM_S:
            # Others may soon believe that these were broken off.
            failed = [StoreError("the artifact store is too slow to say who sends which letter: try again")]
        if failed:
            with suppress(StoreError):
                await self._in_threads((self._claims.give_up, filed.letter, claim) for filed, claim in ours)
            raise failed[0]
        return ours, [(filed, claim) for filed, claim in pairs if not isinstance(claim, Ours)]

    async def _told_of(self, filed: Filed, claim: Underway | Redriven) -> Told:
        letter = filed.letter
        if isinstance(claim, Underway):
            said = f"{claim.by} began to send it {claim.age_s:.0f} s ago; if that was broken off, try in a minute"
            return Told(letter, Fate.UNDERWAY, said)
        # Its mark was not on the log when we looked: it is about to come, or nobody is left to write it.
        await self._mark([(filed, claim)])
        return Told(letter, Fate.ALREADY, f"{claim.by} has sent it back", claim)

    async def _send_all(self, ours: list[tuple[Filed, Ours]], tell: Callable[[Told], None]) -> None:
        if not ours:
            return
        refused, done, lost = [], [], None
        for (filed, claim), result in zip(ours, await self._sent(filed.letter for filed, _ in ours), strict=True):
            if isinstance(result, _REFUSALS):
                refused.append((filed, claim, result))
            elif isinstance(result, BaseException):
                lost = result
            else:
                redriven = Redriven(int(time.time() * 1000), self._who, result.partition, result.offset)
                done.append((filed, claim, redriven))
        await self._in_threads((self._claims.sent, filed.letter, redriven) for filed, _, redriven in done)
        await self._in_threads((self._claims.give_up, filed.letter, claim) for filed, claim, _ in refused)
        for filed, claim, redriven in done:
            tell(Told(filed.letter, Fate.REDRIVEN, _begun_by(claim), redriven))
        for filed, _, error in refused:
            tell(Told(filed.letter, Fate.REFUSED, _refusal(filed.letter, error)))
        await self._mark([(filed, redriven) for filed, _, redriven in done])
        if lost is not None:
            raise self._not_taken(lost) from lost

    async def _sent(self, letters: Iterable[DeadLetter]) -> list[Any]:
        """What the broker says of each: where the original stands now, or an error."""
        deadline = asyncio.get_running_loop().time() + _SEND_S
        sending = [await self._begun(letter, deadline) for letter in letters]
        await asyncio.wait(sending, timeout=max(deadline - asyncio.get_running_loop().time(), 0.0))
        # What is not done may still arrive: its claim stays as it is, and the next redrive says so.
        return [(each.exception() or each.result()) if each.done() else TimeoutError() for each in sending]

    async def _begun(self, letter: DeadLetter, deadline: float) -> "asyncio.Future[Any]":
        key, value, headers = letter.original()
        place = letter.partition if 0 <= letter.partition < self._partitions[letter.topic] else None
        try:
            async with asyncio.timeout_at(deadline):
                begun: asyncio.Future[Any] = await self._producer.send(
                    letter.topic, value, (key,), place, headers=headers
                )
        except (KafkaError, TimeoutError) as error:
            begun = asyncio.get_running_loop().create_future()
            begun.set_exception(error)
        return begun

    async def _mark(self, sent: list[tuple[Filed, Redriven]]) -> None:
        """Says on the log, beside each letter, that it was sent: whoever reads in order knows the letter first."""

        async def one(filed: Filed, redriven: Redriven) -> None:
            key, value, headers = filed.letter.redriven_as(redriven).to_record()
            await self._producer.send_and_wait(Topic.DEAD_LETTERS, value, (key,), filed.partition, headers=headers)

        try:
            async with asyncio.timeout(_SEND_S):
                await asyncio.gather(*(one(filed, redriven) for filed, redriven in sent))
        except (TimeoutError, KafkaError) as error:
            raise self._not_taken(error) from error

    def _not_taken(self, error: BaseException) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"the broker at {self._settings.bootstrap_servers} did not take everything ({type(error).__name__}): "
            "redrive again in a minute, and what was begun is finished"
        )

    @staticmethod
    async def _in_threads(calls: Iterable[tuple[Any, ...]]) -> None:
        await asyncio.gather(*(asyncio.to_thread(*call) for call in calls))


def _unwrapped(key: tuple[bytes | None]) -> bytes | None:
    return key[0]


def _begun_by(claim: Ours) -> str:
    return f"{claim.broken_off} had begun to send it and was broken off before it arrived" if claim.broken_off else ""


def _refusal(letter: DeadLetter, error: BaseException) -> str:
    if isinstance(error, MessageSizeTooLargeError):
        return (
            f"with the header that names its letter it is larger than {letter.topic} takes: "
            "raise the topic's max.message.bytes by a few hundred bytes, or send less"
        )
    return f"the broker does not let us write to {letter.topic} ({type(error).__name__})"
