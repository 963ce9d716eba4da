"""What the store holds and nobody can read any more: named, with what a person can do about it.

A file of the store is written whole or not at all, so this is the work of a disk, or of a hand.
"""

from collections.abc import Callable
from typing import TypeVar

from events.errors import OmniScopeError, ReasonCode

T = TypeVar("T")


class StoreDamaged(OmniScopeError):
    """An object of the store cannot be read as what it must be. `message` names its key and the remedy."""


def readable(key: str, raw: bytes, parse: Callable[[bytes], T], remedy: str) -> T:
    """What `parse` makes of the object's bytes.

    Raises:
        StoreDamaged: it raises ValueError, LookupError or TypeError. What the bytes are is told to nobody.
    """
    try:
        return parse(raw)
    except (ValueError, LookupError, TypeError) as error:
        raise StoreDamaged(
            ReasonCode.STORE_DAMAGED, f"{key} in the store is damaged: restore it from a backup, or {remedy}"
        ) from error


def of_a_job(job_id: str) -> str:
    """The remedy where the record of a job is damaged: it has been put aside, and nothing of it is lost."""
    return (
        f"remove all of jobs/{job_id} to let the job begin anew; then `omniscope-ml dlq redrive --reason store_damaged`"
    )
