"""Whether a letter's original has come back to its topic already: asked where somebody was killed while sending."""

from collections import defaultdict
from collections.abc import Iterable

from aiokafka import TopicPartition

from events.dead_letters import REDRIVEN_FROM, DeadLetter
from infra.settings import Settings

from .to_the_end import reader, to_the_end


async def sent_before(settings: Settings, letters: Iterable[DeadLetter]) -> dict[str, int]:
    """Of those letters that were sent back: their place → the offset at which the original stands now.

    An original goes back to its own partition, so it can only stand behind the place where it stood at first.

    Raises:
        BrokerUnreachable: nobody answers, or no longer.
    """
    wanted: dict[TopicPartition, dict[bytes, DeadLetter]] = defaultdict(dict)
    for letter in letters:
        wanted[TopicPartition(letter.topic, letter.partition)][letter.place.encode()] = letter
    found: dict[str, int] = {}
    async with reader(settings) as consumer:
        for partition, these in wanted.items():
            first = min(letter.offset for letter in these.values()) + 1
            async for read in to_the_end(settings, consumer, partition, first):
                # The last of such headers is the one that was added: an original may have been sent back before.
                came_from = [raw for name, raw in read.headers if name == REDRIVEN_FROM]
                if came_from and came_from[-1] in these:
                    found.setdefault(these[came_from[-1]].place, read.offset)
    return found
