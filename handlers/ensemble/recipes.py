"""What it takes to train a member again: its request and what its fit came down to."""

import json
from dataclasses import dataclass
from typing import Any

from .members import Member

#: Of a plan these tell how a fit went: nothing follows from them.
_NO_USE = ("history", "paths")
#: Of a request: who asked, and for which job.
_NOBODYS_BUSINESS = ("created_by", "job_id", "name")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model that can be trained again on other rows; an ensemble is made of its `parts` by `combination`.

    `config`: its request. `plan`, `hyperparameters`: what its fit came down to.
    """

    model_id: str
    name: str
    model_type: str
    config: dict[str, Any]
    plan: dict[str, Any]
    hyperparameters: dict[str, Any]
    combination: dict[str, Any] | None = None
    parts: tuple["Recipe", ...] = ()

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> "Recipe":
        return cls(**{**told, "parts": tuple(map(cls.from_dict, told["parts"]))})

    def leaves(self) -> list["Recipe"]:
        """The models that are really trained, each once."""
        found = [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]
        return list({leaf.model_id: leaf for leaf in found}.values())


def recipe_of(member: Member) -> dict[str, Any]:
    """As JSON data; an ensemble keeps those of its own members in its artifact."""
    is_ensemble = member.model_type == "ensemble"
    words = ("method", "voting", "weights", "meta")
    return {
        "model_id": member.model_id,
        "name": member.name,
        "model_type": member.model_type,
        "config": {} if is_ensemble else _without(member.facts["training_config"], _NOBODYS_BUSINESS),
        "plan": {} if is_ensemble else _without(member.facts.get("plan") or {}, _NO_USE),
        "hyperparameters": {} if is_ensemble else dict(member.facts["hyperparameters"]),
        "combination": {name: member.about[name] for name in words} if is_ensemble else None,
        "parts": _parts(member) if is_ensemble else [],
    }


def _without(told: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def _parts(member: Member) -> list[dict[str, Any]]:
    path = member.path / "artifacts" / "ensemble" / "recipes.json"
    told: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return told
