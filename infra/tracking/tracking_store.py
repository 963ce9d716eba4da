"""Opening MLflow's tracking store: what it may be, how it is made once, and what the client is told beforehand.

Importing this module imports no MLflow: only the process that keeps the runs, and only once it leads, pays for it.
"""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import structlog

from infra.settings import Settings, SettingsError

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = structlog.get_logger(__name__)

_SERVERS = ("http://", "https://")
_DATABASES = ("sqlite:", "postgresql:", "postgresql+")

#: Unless the operator says otherwise: nobody is called home, nothing is drawn, and a server that is away is noticed
#: here, where waiting is done properly, and not after minutes inside of the client.
_QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


@dataclass(frozen=True, slots=True)
class TrackingStore:
    """An open store. `artifacts` is ARTIFACTS_URI: an absolute directory or s3://…, without a slash at the end."""

    client: "MlflowClient"
    uri: str
    artifacts: str

    @property
    def is_server(self) -> bool:
        """Whether another process keeps it: one that sees none of our directories, and takes none as a source."""
        return self.uri.startswith(_SERVERS)

    @property
    def takes_our_artifacts(self) -> bool:
        """Whether a model may be registered where it lies."""
        return not self.is_server or "://" in self.artifacts


def check_tracking_uri(uri: str) -> None:
    """Says what is wrong with MLFLOW_TRACKING_URI before anything is opened.

    Raises:
        SettingsError: it is no address of a tracking store that is supported.
    """
    if uri.startswith("file:"):
        log.warning(
            "file_store",
            advice="MLflow only maintains its file store and forgets repetitions badly: use sqlite:///… instead",
        )
    elif not _is_whole(uri):
        raise SettingsError(
            "environment variable MLFLOW_TRACKING_URI: use sqlite:///PATH, postgresql://…, http(s)://… or file:///PATH"
        )


def _is_whole(uri: str) -> bool:
    """Whether an address of a server or a database says where it is."""
    if uri.startswith("sqlite:"):
        return uri.startswith("sqlite:///") and len(uri) > len("sqlite:///")
    return bool(urlsplit(uri).netloc) if uri.startswith(_SERVERS) else uri.startswith(_DATABASES)


def open_tracking_store(settings: Settings) -> TrackingStore:
    """The store, made if it is not there yet (a fresh database takes MLflow six seconds). Blocks.

    Raises:
        SettingsError: MLFLOW_TRACKING_URI is no address of one.
        ModuleNotFoundError: the database's driver is not installed.
        Exception: whatever MLflow raises when the store is away, or held by somebody else.
    """
    check_tracking_uri(settings.tracking_uri)
    uri = _with_driver(settings.tracking_uri)
    for name, value in _QUIETLY.items():
        os.environ.setdefault(name, value)
    if uri.startswith("file:"):
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    with _alone(uri) as database, warnings.catch_warnings():
        # MLflow's own tables use what SQLAlchemy 2.1 calls deprecated. Nothing here can change that.
        warnings.simplefilter("ignore")
        if database is not None and not database.exists():
            # Made elsewhere and put in place whole: tables that were begun, MLflow does not finish.
            fresh = database.with_name(f"{database.name}.new")
            fresh.unlink(missing_ok=True)
            _client(f"sqlite:///{fresh}")
            fresh.rename(database)
        client = _client(uri)
    log.info("tracking_store", kind=urlsplit(uri).scheme)
    return TrackingStore(client, uri, _plain(settings.artifacts).rstrip("/"))


def _with_driver(uri: str) -> str:
    """PostgreSQL by the driver that is installed with us, unless the address names another."""
    return "postgresql+pg8000" + uri.removeprefix("postgresql") if uri.startswith("postgresql:") else uri


def _client(uri: str) -> "MlflowClient":
    """A client that has spoken to both halves of the store."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    return client


@contextmanager
def _alone(uri: str) -> Iterator[Path | None]:
    """Of several processes that open one SQLite file, one at a time: two that make its tables at once both fail.

    Gives the file; None for anything but SQLite.
    """
    if not uri.startswith("sqlite:"):
        yield None
        return
    database = Path(uri.partition("///")[2]).absolute()
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(database.with_name(database.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield database
    finally:
        os.close(descriptor)


def _plain(artifacts: str) -> str:
    """A directory by its path: MLflow's file:// would be percent-encoded in one place and literal in another."""
    return unquote(urlsplit(artifacts).path) if artifacts.startswith("file://") else artifacts
