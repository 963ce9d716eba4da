"""The members of an ensemble: finished models, as they lie here and as they were told of."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from events.errors import ReasonCode
from handlers.anatomy.opened import OTHER, opened
from handlers.contract import JobRefused, ModelFiles


@dataclass(frozen=True, slots=True)
class Member:
    """A finished model. `about`: its features and classes, as its artifact tells them."""

    model_id: str
    path: Path
    facts: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.facts.get("model_name") or self.model_id)

    @property
    def model_type(self) -> str:
        return str(self.facts["model_type"])

    @property
    def features(self) -> list[str]:
        """The columns that it is asked with."""
        return list(self.about["features"])

    @property
    def target_column(self) -> str:
        return str(self.about["target_column"])

    @property
    def group_column(self) -> str | None:
        """The column whose groups were kept whole."""
        config = self.facts.get("training_config") or {}
        found = config.get("group_column") or self.about.get("group_column")
        return None if found is None else str(found)

    @property
    def files_sha256(self) -> str:
        """One hash for all of its files, from theirs."""
        return digest_of(self.facts["files"])

    @property
    def elsewhere(self) -> list[str]:
        """Ids of models that it is made of and does not hold itself."""
        return [part["model_id"] for part in self.about.get("members", []) if part["folder"] is None]


def member_of(files: ModelFiles) -> Member:
    """Reads what the artifact tells of itself.

    Raises:
        JobRefused: `model_unsuitable`, its files are not what a training here writes.
    """
    why = f"model {files.model_id} does not tell its columns: its files are not what a training here writes"
    try:
        model = opened(files.path, dict(files.facts))
    except JobRefused as error:
        raise JobRefused(ReasonCode.MODEL_UNSUITABLE, why) from error
    if model.kind == OTHER:
        raise JobRefused(ReasonCode.MODEL_UNSUITABLE, why)
    return Member(str(files.facts.get("model_id") or files.model_id), files.path, files.facts, model.about)


def digest_of(files: Mapping[str, str]) -> str:
    """SHA-256 over the sorted lines «path NUL hash» of a model's files."""
    lines = (f"{path}\0{sha256}\n" for path, sha256 in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def size_of(member: Member, models: Mapping[str, ModelFiles]) -> int:
    """Bytes of all its files, and of the models that it needs beside."""
    own = sum(path.stat().st_size for path in member.path.rglob("*") if path.is_file())
    return own + sum(size_of(member_of(models[name]), models) for name in member.elsewhere if name in models)
