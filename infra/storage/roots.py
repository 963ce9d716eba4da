"""Which files may become datasets: those inside DATASET_ROOTS, whatever way their address is written."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from events.errors import OmniScopeError, ReasonCode


def resolve(uri: str, roots: Sequence[str]) -> str:
    """The file behind `uri`: an absolute path without links, or an s3:// uri (whose existence is not looked up).

    `uri` is an absolute path (taken literally), file:///… (percent-encoded) or s3://bucket/key (taken literally).
    Whether a file outside the roots exists is not told.

    Raises:
        OmniScopeError: `uri_unsupported`, `uri_outside_roots`, `file_missing` or `file_unreadable`.
    """
    if uri.startswith("s3://"):
        return _inside_s3(uri, roots)
    path = Path(os.path.realpath(_local_path(uri)))
    homes = [os.path.realpath(_local_path(root)) for root in roots if not root.startswith("s3://")]
    if not any(path.is_relative_to(home) for home in homes):
        raise _outside(uri)
    _require_file(uri, path)
    return str(path)


def _local_path(uri: str) -> str:
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme not in ("", "file"):
        raise _unsupported(uri)
    path = uri
    if scheme:
        try:
            parts = urlsplit(uri)
        except ValueError:  # brackets that hold no address
            raise _unsupported(uri) from None
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise _unsupported(uri)
        path = unquote(parts.path)
    if not path.startswith("/") or "\0" in path:
        raise _unsupported(uri)
    return path


def _inside_s3(uri: str, roots: Sequence[str]) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    # S3 takes `..` as a name, but what reads the key as a path would not.
    if not bucket or any(part in ("", ".", "..") for part in key.split("/")) or not key.isprintable():
        raise _unsupported(uri)
    if not any(uri.startswith(root.rstrip("/") + "/") for root in roots if root.startswith("s3://")):
        raise _outside(uri)
    return uri


def _require_file(uri: str, path: Path) -> None:
    try:
        kind = path.stat().st_mode
    except PermissionError:
        raise OmniScopeError(
            ReasonCode.FILE_UNREADABLE, f"the worker may not look at {uri}: give it read permission"
        ) from None
    except OSError:
        raise missing(uri) from None
    if not stat.S_ISREG(kind):
        raise OmniScopeError(ReasonCode.URI_UNSUPPORTED, f"{uri} is no regular file: name the file of the dataset")


def missing(uri: str) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.FILE_MISSING, f"there is no file at {uri}: put it there before its upload is told, and leave it"
    )


def _outside(uri: str) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.URI_OUTSIDE_ROOTS,
        f"{uri} lies outside the places datasets are read from: move it into one of DATASET_ROOTS, or extend those",
    )


def _unsupported(uri: str) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.URI_UNSUPPORTED,
        f"{uri} is no address a dataset is read from: use an absolute path, file:///… or s3://bucket/key",
    )
