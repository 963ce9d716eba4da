"""What things are called in MLflow: the same for every reader of the log, and legal whatever a column is called."""

import hashlib
import posixpath
import re
import unicodedata

#: Before the name of every experiment, so that ours stand together on a server that others use, too.
PREFIX = "omniscope-ml/"

#: MLflow's limits on a key are 250 characters; a registered model's name is kept in 256.
_LONGEST_KEY = 250
_LONGEST_SLUG = 80

_NO_KEY = re.compile(r"[^/\w.\- :]")


def folder(dataset_id: str | None, kind: str) -> str:
    """Where a job belongs: its dataset; for jobs that name none, their kind (no dataset id begins with `_`)."""
    return dataset_id or f"_{kind}"


def experiment_name(of: str) -> str:
    """The experiment of a folder: `omniscope-ml/cohort-1`."""
    return PREFIX + of


def registered_name(dataset_id: str, target_column: str) -> str:
    """One name for each dataset and target: `cohort-1.outcome`.

    A target that holds anything but letters (of any script), digits, `_` and `-` gets a few characters of its hash,
    so that two targets never share a name. The part behind the last dot is the target's: it holds no dot.
    """
    return f"{dataset_id}.{_slug(target_column)}"


def _slug(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "_-" else " " for c in unicodedata.normalize("NFC", text))
    slug = "_".join(kept.split())[:_LONGEST_SLUG]
    if slug == text:
        return slug
    return f"{slug or 'target'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def key(*parts: str) -> str:
    """The name of a metric, a parameter or a tag: what MLflow does not take becomes `_`."""
    told = _NO_KEY.sub("_", "/".join(parts))[:_LONGEST_KEY].strip("/")
    # MLflow keeps metrics like files: a name must be a path that is written in only one way.
    normal = posixpath.normpath(told).lstrip("/.") if told else ""
    return normal or "_"
