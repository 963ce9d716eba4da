"""From an address to an obstore backend: a directory or S3."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, ObjectStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


def directory_of(uri: str) -> Path | None:
    """The directory that is the store, where it is one."""
    if uri.startswith("s3://"):
        return None
    return Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)


def open_backend(uri: str, answer_s: float | None = None) -> ObjectStore:
    """A directory (an absolute path or file://) or s3://bucket/prefix.

    Args:
        answer_s: within how many seconds S3 is to answer the first time; None: it is tried again for a while.

    Raises:
        ValueError: the uri is none of these.
        OSError: the directory cannot be made.
    """
    directory = directory_of(uri)
    if directory is None:
        return open_s3(uri, answer_s)
    if not directory.is_absolute():
        raise ValueError(f"{uri!r} is no place to store in: name an absolute directory, file:///… or s3://bucket/…")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(directory, automatic_cleanup=True)


def open_s3(uri: str, answer_s: float | None = None) -> S3Store:
    """S3 as the standard AWS_ variables say. An http:// endpoint is used as such: it was asked for."""
    client: ClientConfig = {
        "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
    }
    # Trying again for longer is the caller's business, who knows whether the job is still wanted.
    retries: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    if answer_s is not None:
        client |= {"connect_timeout": timedelta(seconds=answer_s), "timeout": timedelta(seconds=answer_s)}
        retries = {"max_retries": 0}
    return S3Store.from_url(uri, client_options=client, retry_config=retries)
