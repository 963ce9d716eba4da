"""An ensemble as an MLflow model directory.

artifacts/ensemble/combination.json    how answers become one, and who the members are
artifacts/ensemble/recipes.json        what it takes to train the members again
artifacts/ensemble/code/               the arithmetic, as it was then
artifacts/members/<model_id>/          the members' own directories, where all of them together are small
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from handlers.contract import ModelFiles
from handlers.datasets.problem import Problem
from handlers.mlflow_models import described, predict, write_model

from .members import Member, size_of
from .recipes import recipe_of

__all__ = ["are_embedded", "predict", "write_ensemble"]

VERSION = 1
#: Up to here a copy of every member is in the artifact, in bytes.
_MOST_BYTES = 300_000_000
_CODE = ("__init__.py", "combining.py")


def are_embedded(members: Sequence[Member], models: Mapping[str, ModelFiles]) -> bool:
    """Whether the members are small enough, all together, to be copied into the ensemble."""
    return sum(size_of(member, models) for member in members) <= _MOST_BYTES


def write_ensemble(
    combination: Mapping[str, Any], members: Sequence[Member], problem: Problem, directory: Path, *, embedded: bool
) -> None:
    """Makes `directory` (not there yet) an MLflow pyfunc model of members and the way their answers are combined."""
    told = {
        "version": VERSION,
        **{name: combination[name] for name in ("method", "voting", "weights", "meta")},
        "members": [_told(member, embedded=embedded) for member in members],
        **described([str(name) for name in problem.X.columns], problem),
        "group_column": problem.group_column,
    }
    with tempfile.TemporaryDirectory(prefix="ensemble-", dir=directory.parent) as work:
        ensemble, inside = Path(work) / "ensemble", Path(work) / "members"
        (ensemble / "code").mkdir(parents=True)
        for name in _CODE:
            shutil.copyfile(Path(__file__).with_name(name), ensemble / "code" / name)
        _write(ensemble / "combination.json", told)
        _write(ensemble / "recipes.json", [recipe_of(member) for member in members])
        artifacts = {"ensemble": ensemble}
        if embedded:
            inside.mkdir()
            for member in members:
                shutil.copytree(member.path, inside / member.model_id, copy_function=_linked)
            artifacts["members"] = inside
        write_model(directory, artifacts, _requirements(members))


def _linked(source: str, target: str) -> None:
    """A second name for a file, which MLflow will copy; where there can be none, a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _told(member: Member, *, embedded: bool) -> dict[str, Any]:
    return {
        "model_id": member.model_id,
        "name": member.name,
        "model_type": member.model_type,
        "folder": f"members/{member.model_id}" if embedded else None,
        "artifacts_path": member.facts["artifacts_path"],
        "files_sha256": member.files_sha256,
    }


def _write(path: Path, told: Any) -> None:
    path.write_text(json.dumps(told, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _requirements(members: Sequence[Member]) -> list[str]:
    """All that the members ask for, in the versions that they were just asked with."""
    lines = {line.strip() for member in members for line in (member.path / "requirements.txt").read_text().splitlines()}
    names = sorted({line.partition("==")[0] for line in lines if line})
    return [f"{name}=={version(name.partition('[')[0]).partition('+')[0]}" for name in names]
