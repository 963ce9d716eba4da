"""What becomes of a record that cannot be projected: it is put aside as a dead letter, and the log says why."""

import traceback
from dataclasses import replace
from typing import Protocol

import structlog
from aiokafka.errors import MessageSizeTooLargeError

from events.dead_letters import DeadLetter
from infra.jobs.ports import Outcomes

from .outage import Outage

log = structlog.get_logger(__name__)


class Burial(Protocol):
    """Takes a record that cannot be projected. `error`: what was raised, where it was no plain refusal."""

    async def bury(self, letter: DeadLetter, error: BaseException | None = None) -> None: ...


class PublishedBurial:
    """Publishes the dead letter, however long the broker is away."""

    def __init__(self, outcomes: Outcomes, *, broker: Outage) -> None:
        self._outcomes = outcomes
        self._broker = broker

    async def bury(self, letter: DeadLetter, error: BaseException | None = None) -> None:
        if error is not None:
            log.error(
                "unprojectable",
                topic=letter.topic,
                partition=letter.partition,
                offset=letter.offset,
                # As text: a logger that shows the values of variables would show the record.
                traceback="".join(traceback.format_exception(error)),
            )
        place = f"{letter.topic}[{letter.partition}] at offset {letter.offset}"
        log.warning("put_aside", record=place, reason=letter.reason, message=letter.message)
        try:
            await self._broker.wait_out(lambda: self._outcomes.bury(letter), unless=MessageSizeTooLargeError)
        except MessageSizeTooLargeError:
            told = f"{letter.message} (too large to repeat here: see {place})"
            short = replace(letter, value=None, message=told, cut=True)
            await self._broker.wait_out(lambda: self._outcomes.bury(short))
