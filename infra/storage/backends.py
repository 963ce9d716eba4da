"""From an address to an obstore backend: a directory or S3."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, ObjectStore, S3Store


def directory_of(uri: str) -> Path | None:
    """The directory that is the store, where it is one."""
    if uri.startswith("s3://"):
        return None
    return Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)


def open_backend(uri: str, patience_s: float = 20.0) -> ObjectStore:
    """A directory (an absolute path or file://) or s3://bucket/prefix.

    Args:
        patience_s: how long a call to S3 may try again.

    Raises:
        ValueError: the uri is none of these.
        OSError: the directory cannot be made.
    """
    directory = directory_of(uri)
    if directory is None:
        return open_s3(uri, patience_s)
    if not directory.is_absolute():
        raise ValueError(f"{uri!r} is no place to store in: name an absolute directory, file:///… or s3://bucket/…")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(directory, automatic_cleanup=True)


def open_s3(uri: str, patience_s: float = 20.0) -> S3Store:
    """S3 as the standard AWS_ variables say. An http:// endpoint is used as such: it was asked for."""
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return S3Store.from_url(
        uri,
        client_options={"allow_http": plain, "connect_timeout": timedelta(seconds=min(5.0, patience_s))},
        # Trying again for longer is the caller's business, who knows whether the job is still wanted.
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=patience_s)},
    )
