"""What storage libraries raise, as the one error that the rest of the house knows."""

from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from infra.jobs.ports import StoreError


@contextmanager
def told_as_store_error(what: str) -> Iterator[None]:
    """Permission, disk, network: whatever fails within becomes a StoreError that begins with «cannot `what`»."""
    try:
        yield
    except (BaseError, OSError) as error:
        # obstore's messages go on for pages about their own insides.
        first_line = str(error).partition("\n")[0] or type(error).__name__
        raise StoreError(f"cannot {what}: {first_line}") from error
