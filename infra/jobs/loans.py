"""What a job is to borrow: weights that were trained elsewhere, and models of earlier jobs. Names and records alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from events.requests import EnsembleRequested, ExplanationRequested, JobRequested, TransferLearningRequested
from handlers.transfer_learning.base_models import BaseModel, parse

from .called import called
from .ports import Store


@dataclass(frozen=True, slots=True)
class Loans:
    """`weights` of others; `models` of our own, by the name that the handler knows them by, with their records."""

    weights: BaseModel | None = None
    models: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def model_ids(self) -> list[str]:
        return [_id(*model) for model in self.models]


async def loans_of(request: JobRequested, store: Store) -> tuple[JobRequested, Loans]:
    """What the request asks to build on, and the request with models called by their ids, not by their jobs'.

    Raises:
        OmniScopeError: `invalid_field`, `model_unknown`, `model_unfinished`, `model_deleted` or `store_damaged`.
    """
    match request:
        case EnsembleRequested(model_ids=names):
            ids, loans = await _models(store, names)
            return request.model_copy(update={"model_ids": ids}), loans
        case ExplanationRequested(model_id=name):
            ids, loans = await _models(store, [name])
            return request.model_copy(update={"model_id": ids[0]}), loans
        case TransferLearningRequested(base_model=name, weights=wanted):
            return request, await _base(store, parse(name), is_random=wanted == "random")
    return request, Loans()


async def _base(store: Store, base: BaseModel, *, is_random: bool) -> Loans:
    if base.source == "job":
        return Loans(models=((base.name, await called(store, base.name)),))
    # Random weights asked for in so many words: the name says the architecture alone.
    unread = base.source in ("torchvision", "timm", "hf") and is_random
    return Loans(weights=None if unread else base)


async def _models(store: Store, names: Sequence[str]) -> tuple[list[str], Loans]:
    """The models' ids; and to borrow these, and behind them the members that an ensemble does not hold itself."""
    records = [(name, await called(store, name)) for name in names]
    ids, found = [_id(*record) for record in records], {}
    while records:
        name, facts = records.pop(0)
        if (model_id := _id(name, facts)) not in found:
            found[model_id] = facts
            records += [(member, await called(store, member)) for member in _members_elsewhere(facts)]
    return ids, Loans(models=tuple(found.items()))


def _id(name: str, facts: dict[str, Any]) -> str:
    return str(facts.get("model_id", name))


def _members_elsewhere(facts: dict[str, Any]) -> list[str]:
    plan = facts.get("plan") or {}
    if plan.get("kind") != "ensemble":
        return []
    return [str(member["model_id"]) for member in plan.get("members", []) if not member.get("embedded")]
