"""Listening for what becomes of an upload."""

from typing import TYPE_CHECKING, Any

from events.envelope import CloudEvent
from events.outcomes import DatasetRegistered, DatasetRejected
from events.topics import Topic
from events.vocabulary import EVENT_OF_MODEL
from infra.cli.listening import Listener
from infra.settings import Settings

if TYPE_CHECKING:
    from events.requests import DatasetUploaded

_REGISTERED = EVENT_OF_MODEL[DatasetRegistered].type
_REJECTED = EVENT_OF_MODEL[DatasetRejected].type


class DatasetOutcomes(Listener):
    """Hears the outcomes of uploads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, Topic.DATASETS)

    async def of(self, upload: "DatasetUploaded", timeout_s: float) -> dict[str, Any] | None:
        """The outcome's data with a `status`, registered or rejected; None if nothing was heard in time."""

        def outcome(event: CloudEvent) -> dict[str, Any] | None:
            if event.data.get("dataset_id") != upload.dataset_id:
                return None
            # An upload seen before is answered with the event of then: the same bytes, whatever its time.
            if event.type == _REGISTERED and event.data.get("sha256") == upload.sha256:
                return {"status": "registered", **event.data}
            if event.type == _REJECTED and self.is_new(event):
                return {"status": "rejected", **event.data}
            return None

        return await self.first(outcome, timeout_s)
