"""Records that were put aside → `dead_letters`."""

import base64
from datetime import UTC, datetime

from events.dead_letters import DeadLetter
from events.errors import InvalidEvent, ReasonCode
from schemas.projection.place import Place, Record
from schemas.projection.registers import Write
from schemas.projection.rules import DEAD_LETTERS

#: The worst time there is for a letter: what a letter itself tells is always better than what its mark repeats.
#: Half a millisecond short of the very last, which asyncpg writes as «infinity».
NO_LETTER_YET = datetime(9999, 12, 31, 23, 59, 59, 999_500, UTC)


def buried(record: Record) -> list[Write]:
    """The row of a dead letter, found by where the original stood: put aside twice, it is one row.

    A mark knows of its letter only that it was sent back, whenever it is read: it carries no value.

    Raises:
        InvalidEvent: the record is no dead letter.
    """
    try:
        letter = DeadLetter.from_record(record.key, record.value, record.headers)
    except ValueError as error:
        raise InvalidEvent(ReasonCode.UNKNOWN_TYPE, str(error)) from None
    row = {
        "epoch": record.place.epoch,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": _time(letter, record.place.epoch),
        "key": letter.key,
        "value": letter.value,
        "headers": [[name, None if raw is None else base64.b64encode(raw).decode()] for name, raw in letter.headers],
        "reason": letter.reason,
        "message": letter.message,
        "dead_at": record.place.time if letter.redriven is None else NO_LETTER_YET,
        "redriven": letter.redriven is not None,
    }
    return [Write(DEAD_LETTERS, row)]


def _time(letter: DeadLetter, epoch: str) -> datetime | None:
    if letter.timestamp_ms < 0:
        return None
    return Place(epoch, letter.topic, letter.partition, letter.offset, letter.timestamp_ms).time
