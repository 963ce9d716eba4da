"""When the consumer group last confirmed that this worker is one of it.

Owning a partition is the lease on its jobs. A worker that was frozen past its session does not know yet that
others may run its jobs: until a heartbeat succeeds it starts and publishes nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

#: The share of the session after which silence counts as doubt.
DOUBT = 0.8
#: UNKNOWN_MEMBER_ID and FENCED_INSTANCE_ID in Kafka's protocol.
_FORGOTTEN = (25, 82)


def _boottime() -> float:
    # Goes on while the machine is suspended, unlike the monotonic clock.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Membership:
    """The lease of one consumer group's partitions (`infra.jobs.ports.Lease`)."""

    def __init__(self, session_s: float, clock: Callable[[], float] = _boottime) -> None:
        self._patience = DOUBT * session_s
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._confirmed_at = clock()
        self._news = asyncio.Event()
        self._settled = True
        #: Set when the group has given our name to somebody else.
        self.replaced = asyncio.Event()

    def confirm(self) -> None:
        """The group has just answered. May be called from any thread."""
        self._confirmed_at = self._clock()
        self._loop.call_soon_threadsafe(self._news.set)

    def forgotten(self) -> None:
        """The group does not know us any more. May be called from any thread.

        It had confirmed us a moment ago, so no session is over: another has joined under our name.
        """
        if self._clock() - self._confirmed_at <= self._patience:
            self._loop.call_soon_threadsafe(self.replaced.set)

    def unsettle(self) -> None:
        """The group shares its partitions out anew: until `settle` nobody knows whose is which."""
        self._settled = False

    def settle(self) -> None:
        """It is known which partitions are ours, and what belongs to others has been cancelled."""
        self._settled = True
        self.confirm()

    @property
    def in_doubt(self) -> bool:
        return not self._settled or self._clock() - self._confirmed_at > self._patience

    async def held(self) -> None:
        """Returns as soon as the group has confirmed us lately, and its assignment has let us keep what we have."""
        while self.in_doubt:
            self._news.clear()
            await self._news.wait()


def confirm_by_heartbeats(consumer: Any, confirm: Callable[[], None]) -> None:
    """Calls `confirm` whenever the group has answered a heartbeat of this aiokafka consumer.

    It has no hook for that: the one function that sends heartbeats is wrapped.
    """
    coordinator = consumer._coordinator
    beat = coordinator._do_heartbeat

    async def heartbeat() -> bool:
        confirmed: bool = await beat()
        if confirmed:
            confirm()
        return confirmed

    coordinator._do_heartbeat = heartbeat


def mind_the_name(consumer: Any, forgotten: Callable[[], None]) -> None:
    """Calls `forgotten` when the group no longer knows this member, which has a name of its own.

    aiokafka would join again under that name, and so drive out whoever has it now, who would do the same.
    """
    coordinator = consumer._coordinator
    send = coordinator._send_req

    async def send_req(request: Any) -> Any:
        response = await send(request)
        named = coordinator._group_instance_id is not None
        if named and type(request).__name__.startswith("Heartbeat") and response.error_code in _FORGOTTEN:
            coordinator._group_instance_id = None
            forgotten()
        return response

    coordinator._send_req = send_req


def leave_when_stopped(consumer: Any) -> None:
    """Makes a member with a name of its own leave the group when it stops, as any other member does.

    Such a member keeps its partitions over a quick restart; that is for one that was killed. One that stops on
    purpose gives them back, so that others need not wait for the end of its session.
    """
    # aiokafka leaves by the id of the member, which the broker knows for members with a name, too.
    if consumer._coordinator is not None:
        consumer._coordinator._group_instance_id = None
