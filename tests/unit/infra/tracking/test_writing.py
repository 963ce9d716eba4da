"""One call at a time, only while we lead, and no event that is never taken holds up the others."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from infra.tracking.writing import Moved, Refused, Writer


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    opened = Writer(session_s=3600)
    opened.begin_term()
    yield opened
    await opened.close()


class WrongError(Exception):
    """What MLflow raises of a thing that it will never take."""

    error_code = "INVALID_PARAMETER_VALUE"


def works() -> str:
    return "done"


async def test_a_call_runs_off_the_event_loop(writer: Writer) -> None:
    assert await writer.call(threading.current_thread) is not threading.current_thread()
    assert writer.calls == 1


async def test_handing_over_waits_for_the_call_under_way_and_lets_no_other_begin(writer: Writer) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow() -> str:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(10)
        return "done"

    calling = asyncio.create_task(writer.call(slow))
    await begun.wait()
    handing = asyncio.create_task(writer.hand_over())
    await asyncio.sleep(0)
    assert not handing.done()
    go_on.set()
    await handing
    assert calling.done()
    for attempt in (writer.call, writer.patiently):
        with pytest.raises(Moved):
            await attempt(works)
    writer.begin_term()
    assert await writer.call(works) == "done"


async def test_while_the_group_is_silent_nothing_is_written() -> None:
    writer = Writer(session_s=0.0)  # in doubt as soon as it was confirmed
    writer.begin_term()
    calling = asyncio.create_task(writer.call(works))
    await asyncio.sleep(0)
    await writer.hand_over()  # nor does a writer in doubt hold up the change of leadership
    writer.confirm()
    await asyncio.sleep(0)
    assert writer.calls == 0
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await writer.close()


async def test_what_a_store_never_takes_is_refused_and_a_store_that_is_away_is_waited_for(writer: Writer) -> None:
    tries = {"event": 0, "probe": 0}

    def bad() -> None:
        tries["event"] += 1
        raise WrongError

    def probe() -> None:
        tries["probe"] += 1
        if tries["probe"] <= 4:
            raise ConnectionError("away")

    with pytest.raises(Refused) as refused:
        await writer.write(bad, probe=probe)
    assert isinstance(refused.value.__cause__, WrongError)
    assert tries == {"event": 7, "probe": 7}, "four times the store was away, three times it took the probe"
    assert not writer.is_waiting


async def test_a_store_of_which_a_part_is_away_is_waited_for(writer: Writer) -> None:
    tries = 0

    def needs_the_files() -> str:
        nonlocal tries
        tries += 1
        if tries <= 4:
            raise OSError("the server's files are away, its database is not")
        return "done"

    assert await writer.write(needs_the_files, probe=lambda: None) == "done"
    assert tries == 5


async def test_what_was_announced_comes_through_at_once(writer: Writer) -> None:
    def bad() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await writer.write(bad, probe=lambda: None, unless=(KeyError,))
