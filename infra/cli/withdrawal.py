"""A job whose house is about to stop: it ends as cancelled, or the next house in this place would go on with it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Settings


async def withdraw(settings: "Settings", job_id: str, requested_by: str) -> None:
    """Ends the job in the store, unless it has an end. An agent that finds this, in this house or the next, tells it.

    Only for a job of a house of one's own: everybody else publishes a request to stop it.

    Raises:
        StoreError: the store cannot be written to.
    """
    from events.envelope import CloudEvent, headers_of
    from events.requests import CancellationRequested
    from events.vocabulary import EVENT_OF_MODEL, identify
    from infra.jobs.cancellation import arbitrate
    from infra.jobs.job import SOURCE
    from infra.storage.store import ObjectStore

    known = EVENT_OF_MODEL[CancellationRequested]
    event = CloudEvent(source=SOURCE, type=known.type, subject=job_id, data={"requested_by": requested_by})
    asked = identify(known.topic, None, event.to_bytes(), headers_of(event))
    await arbitrate(ObjectStore.open(settings.artifacts), asked)
