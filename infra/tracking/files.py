"""A run's pictures, and where a registered model's files are found."""

from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from events.outcomes import ModelCompleted
from infra.jobs.ports import Store
from infra.tracking.tracking_store import TrackingStore

log = structlog.get_logger(__name__)

PICTURES = "pictures"
MODEL = "model"


async def read_pictures(store: Store, fact: ModelCompleted) -> dict[str, bytes]:
    """File name → bytes of the pictures that the model's artifact holds. One that is not there is left out.

    Raises:
        StoreError: the artifact store is away.
    """
    found: dict[str, bytes] = {}
    for shows, path in fact.pictures.items():
        try:
            picture = await store.get(f"{fact.artifacts_path}/{path}")
        except ValueError:  # the path is no key
            picture = None
        if picture is None:
            log.info("picture_missing", model=fact.model_id, shows=shows)
        else:
            found[Path(path).name] = picture
    return found


def key_below(artifacts: str, uri: str) -> str | None:
    """`uri` as a key of the artifact store, if it lies in it."""
    return uri.removeprefix(f"{artifacts}/") if uri.startswith(f"{artifacts}/") else None


async def put_pictures(store: Store, folder: str, pictures: dict[str, bytes]) -> None:
    """Writes them where MLflow looks for the run's artifacts: through the store of all other files, S3 or not."""
    for name, picture in pictures.items():
        await store.put(f"{folder}/{PICTURES}/{name}", picture)


def send_pictures(store: TrackingStore, run_id: str, pictures: dict[str, bytes]) -> None:
    """Hands them to a tracking server, which keeps artifacts in a place of its own."""
    if not pictures:
        return
    with TemporaryDirectory() as folder:
        for name, picture in pictures.items():
            (Path(folder) / name).write_bytes(picture)
        store.client.log_artifacts(run_id, folder, PICTURES)


def source_of(store: TrackingStore, fact: ModelCompleted, run_id: str) -> str:
    """The address to register: the model directory itself; for a server that takes no foreign one, a copy."""
    if not store.takes_our_artifacts:
        store.client.log_artifacts(run_id, _directory(store, fact), MODEL)
    return address_of(store, fact, run_id)


def address_of(store: TrackingStore, fact: ModelCompleted, run_id: str) -> str:
    """The same address, whether anything is there or not."""
    if store.takes_our_artifacts:
        return _directory(store, fact)
    return f"{store.client.get_run(run_id).info.artifact_uri}/{MODEL}"


def _directory(store: TrackingStore, fact: ModelCompleted) -> str:
    return f"{store.artifacts}/{fact.artifacts_path.strip('/')}"
