"""Whether what was asked for can be combined."""

from collections.abc import Sequence

from events.errors import ReasonCode
from events.requests import EnsembleRequested
from handlers.contract import Inputs, JobRefused
from handlers.datasets.columns import quote

from .members import Member, member_of


def chosen_members(request: EnsembleRequested, inputs: Inputs) -> list[Member]:
    """The members in the order of the request, all of one dataset, target and split.

    Raises:
        JobRefused: `invalid_field`, `model_unknown`, `model_unsuitable`, `members_differ`, `dataset_unknown` or
            `dataset_changed`.
    """
    _check_words(request)
    members = [_found(name, inputs) for name in request.model_ids]
    _refuse_twice([member.model_id for member in members])
    for member in members[1:]:
        _check_alike(member, members[0])
    if request.voting == "hard" and members[0].facts["problem_type"] == "regression":
        raise _invalid("voting is hard, but the models predict numbers, which have no majority: send soft")
    _check_dataset(members[0], inputs)
    return members


def _check_words(request: EnsembleRequested) -> None:
    if len(request.model_ids) < 2:
        raise _invalid("model_ids names one model: send at least two")
    _refuse_twice(request.model_ids)
    if request.method != "voting":
        if request.weights is not None:
            raise _invalid(f"weights are for voting; {request.method} finds its own: leave them out")
        if request.voting != "soft":
            raise _invalid(f"voting is {request.voting}, which is for the method voting: leave it out")
    n_weights = None if request.weights is None else len(request.weights)
    if n_weights not in (None, len(request.model_ids)):
        raise _invalid(
            f"weights has {n_weights} numbers for {len(request.model_ids)} models: "
            "send one for each of model_ids, in their order"
        )


def _refuse_twice(names: Sequence[str]) -> None:
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise _invalid(f"model_ids names {quote(list(dict.fromkeys(twice)))} more than once: send each model once")


def _found(name: str, inputs: Inputs) -> Member:
    files = inputs.models.get(name) or next(
        (files for files in inputs.models.values() if files.facts.get("model_id") == name), None
    )
    if files is None:
        raise JobRefused(ReasonCode.MODEL_UNKNOWN, f"model_ids names «{name}», which is not here: send ids of models")
    return member_of(files)


def _check_alike(one: Member, first: Member) -> None:
    """One after the other: what comes first explains what comes after."""
    here, there = f"member {_called(one)}", f"member {_called(first)}"
    for field, told, remedy in _ASKED:
        mine, theirs = one.facts.get(field), first.facts.get(field)
        if mine != theirs:
            raise _differ(f"{here} {told} {quote([str(mine)])}, {there} {quote([str(theirs)])}: {remedy}")
    if one.target_column != first.target_column:
        raise _differ(
            f"{here} predicts {quote([one.target_column])}, {there} {quote([first.target_column])}: "
            "choose models of one target"
        )
    if one.facts["problem_type"] != first.facts["problem_type"]:
        raise _differ(
            f"{here} solves a {one.facts['problem_type']} problem, {there} a {first.facts['problem_type']} one: "
            "choose models of one problem type"
        )
    if one.about["classes"] != first.about["classes"]:
        counts = [len(member.about["classes"] or []) for member in (one, first)]
        raise _differ(
            f"{here} tells {counts[0]} classes apart, {there} {counts[1]} or others: choose models of the same classes"
        )
    if one.facts["split_id"] != first.facts["split_id"]:
        raise _differ(_other_rows(one, first, here, there))


#: Fields of facts that must be the same, what a model does with them, and what to do where they are not.
_ASKED = (
    ("dataset_id", "learned from the dataset", "choose models of one dataset"),
    ("dataset_sha256", "learned from the file with the SHA-256", "choose models of the same file"),
)


def _other_rows(one: Member, first: Member, here: str, there: str) -> str:
    if one.group_column != first.group_column:
        words = ["no groups" if name is None else f"the groups of {quote([name])}" for name in _groups(one, first)]
        return f"{here} keeps {words[0]} whole, {there} {words[1]}: choose models with one group_column"
    return (
        f"{here} was trained on other rows (split {one.facts['split_id']}) than {there} (split "
        f"{first.facts['split_id']}): train one of them again"
    )


def _groups(*members: Member) -> list[str | None]:
    return [member.group_column for member in members]


def _check_dataset(member: Member, inputs: Inputs) -> None:
    if inputs.dataset is None:
        raise JobRefused(ReasonCode.DATASET_UNKNOWN, "the dataset of the members could not be read")
    if inputs.dataset.sha256 != member.facts["dataset_sha256"]:
        raise changed(member)


def changed(member: Member) -> JobRefused:
    """The dataset is not the one that the members learned from."""
    return JobRefused(
        ReasonCode.DATASET_CHANGED,
        f"the dataset «{member.facts['dataset_id']}» is not what member {_called(member)} was trained on (its file or "
        "its rows are others): train the members again",
    )


def _called(member: Member) -> str:
    return member.name if member.name == member.model_id else f"{member.name} ({member.model_id})"


def _differ(message: str) -> JobRefused:
    return JobRefused(ReasonCode.MEMBERS_DIFFER, message)


def _invalid(message: str) -> JobRefused:
    return JobRefused(ReasonCode.INVALID_FIELD, message)
