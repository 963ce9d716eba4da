"""The vocabulary of OmniScope ML: topics, the CloudEvents envelope, every request and outcome.

Depends on pydantic and aiokafka alone and imports itself relatively, so that it can also be shipped
under another name to projects that have a package called ``events`` of their own.
"""

from .envelope import CloudEvent
from .errors import InvalidEvent, OmniScopeError, PublishError, ReasonCode
from .publisher import Publisher, Receipt
from .subscriber import subscribe

__all__ = [
    "CloudEvent",
    "InvalidEvent",
    "OmniScopeError",
    "PublishError",
    "Publisher",
    "ReasonCode",
    "Receipt",
    "subscribe",
]
