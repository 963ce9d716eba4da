"""Identifiers: which strings may name a job, a model or a dataset, and how one follows from another."""

import re
import uuid
from typing import Annotated

from pydantic import StringConstraints

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_MATCHES = re.compile(PATTERN.removesuffix("$") + r"\Z").match

#: A path-safe name: it can be a directory, an object key and a URL segment without any escaping.
Identifier = Annotated[str, StringConstraints(pattern=PATTERN, max_length=128)]

_MODELS = uuid.UUID("6f0d5a3e-6c7c-5d0a-9a53-3f1f4f0b6a55")


def is_identifier(text: object) -> bool:
    """Whether `text` may name a job, a model or a dataset (no separators, no leading dot)."""
    return isinstance(text, str) and _MATCHES(text) is not None


def new_id() -> str:
    """A fresh random identifier."""
    return str(uuid.uuid4())


def model_id_of(job_id: str) -> str:
    """The id of the model that the job makes: the same for every attempt and every reader."""
    return str(uuid.uuid5(_MODELS, job_id))


def explanation_id_of(job_id: str) -> str:
    """The id of the explanation that the job makes."""
    return derived_id("explanation", job_id)


def derived_id(*parts: object) -> str:
    """A UUID that is a pure function of `parts`: for events that must be the same when told twice."""
    return str(uuid.uuid5(_MODELS, "\x1f".join(map(str, parts))))
