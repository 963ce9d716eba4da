"""Whose fault a failure is: the infrastructure's is waited out, ours is told and gets out of the way."""

from typing import Protocol

import structlog

from events.errors import OmniScopeError, ReasonCode
from infra.execution.executor import ExecutorError

from .delivery import Delivery
from .ports import Lease, Outcomes, StoreError
from .shield import shielded

log = structlog.get_logger(__name__)

#: What may go wrong for no fault of the job: the delivery is kept and tried again.
INFRASTRUCTURE = (OSError, StoreError, ExecutorError)


class Carrier(Protocol):
    """Whoever carries deliveries out: the life of a job, or of an upload."""

    async def handle(self, delivery: Delivery, lease: Lease) -> None: ...


class LastResort:
    """Carries deliveries out through another; one that trips over a fault of this program becomes a dead letter.

    Kept and tried again it would fail for ever, and hold up every delivery behind it.
    """

    def __init__(self, carrier: Carrier, outcomes: Outcomes) -> None:
        self._carrier = carrier
        self._outcomes = outcomes

    async def handle(self, delivery: Delivery, lease: Lease) -> None:
        try:
            await self._carrier.handle(delivery, lease)
        except INFRASTRUCTURE:
            raise
        except OmniScopeError as told:
            await bury(self._outcomes, delivery, told, lease)
        except Exception as bug:
            log.exception("internal_error", **delivery.place)
            await bury(self._outcomes, delivery, internal_error(bug), lease)


async def bury(outcomes: Outcomes, delivery: Delivery, why: OmniScopeError, lease: Lease) -> None:
    """Puts a delivery aside as a dead letter."""
    await lease.held()
    await shielded(outcomes.bury(delivery.as_dead_letter(why)))
    log.warning("dead_letter", **delivery.place, reason=why.reason.value, message=why.message)


def internal_error(bug: Exception) -> OmniScopeError:
    """What a person is told of a fault of ours."""
    return OmniScopeError(
        ReasonCode.INTERNAL_ERROR,
        f"{type(bug).__name__} inside OmniScope ML: the worker's log has the trace, please report it",
    )
