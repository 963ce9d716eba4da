"""How often a job is heard: never too often, never silent, the first and the last word always."""

import asyncio

from events.outcomes import JobProgressed
from infra.jobs.progress import ProgressTeller


class Listener:
    """Collects words; `heard(n)` waits for the n-th."""

    def __init__(self) -> None:
        self.words: list[JobProgressed] = []
        self._news = asyncio.Condition()

    async def __call__(self, word: JobProgressed) -> None:
        self.words.append(word)
        async with self._news:
            self._news.notify_all()

    async def heard(self, count: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: len(self.words) >= count)


async def test_the_first_and_the_last_word_are_always_told_and_a_flood_is_not() -> None:
    listener = Listener()
    async with ProgressTeller("j", "noop", 1, listener, pause=3600) as teller:
        teller.update(0, "first")
        await listener.heard(1)
        for number in range(10_000):
            teller.update(number / 100, "flood")
        teller.update(100, "last")
    assert [word.message for word in listener.words] == ["first", "last"]
    assert [word.seq for word in listener.words] == [0, 1]


async def test_a_silent_job_is_heard_all_the_same() -> None:
    listener = Listener()
    async with ProgressTeller("j", "noop", 1, listener, pause=0, silence=0.001) as teller:
        teller.update(40, "thinking")
        await listener.heard(4)
    assert {word.message for word in listener.words} == {"thinking"}
    assert [word.seq for word in listener.words[:4]] == [0, 1, 2, 3]


async def test_time_left_is_reckoned_where_the_handler_does_not_know() -> None:
    now = [0.0]
    listener = Listener()
    async with ProgressTeller("j", "noop", 1, listener, pause=0, clock=lambda: now[0]) as teller:
        now[0] = 30.0
        teller.update(25, "a quarter")
        await listener.heard(1)
        teller.update(50, "half", eta_s=7)
        await listener.heard(2)
        teller.update(1, "too early to say")
        await listener.heard(3)
    assert [word.eta_s for word in listener.words[:3]] == [90.0, 7, None]


async def test_metrics_stay_known_until_they_change() -> None:
    listener = Listener()
    async with ProgressTeller("j", "noop", 1, listener, pause=0) as teller:
        teller.update(10, "a", metrics={"accuracy": 0.8, "loss": 1.0})
        await listener.heard(1)
        teller.update(20, "b", metrics={"accuracy": 0.9})
        await listener.heard(2)
    assert listener.words[1].metrics == {"accuracy": 0.9, "loss": 1.0}
