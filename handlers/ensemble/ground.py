"""What members have in common: the rows, the target, the parts of the split."""

from collections.abc import Sequence
from dataclasses import replace

from events.requests import EnsembleRequested, TrainingRequested
from handlers.contract import Inputs
from handlers.datasets.reading import read_table
from handlers.datasets.target import problem_in
from handlers.objectives import objective
from handlers.preparation import Prepared
from handlers.provenance import Clock
from handlers.suspicions import duplicates, suspicions

from .checks import changed
from .members import Member


def common_ground(request: EnsembleRequested, members: Sequence[Member], inputs: Inputs, clock: Clock) -> Prepared:
    """The problem with the columns of all members, in the file's order; `whole` has all columns that there are.

    Raises:
        JobRefused: `dataset_changed`, the rows are not dealt out as they were when the members were trained.
    """
    assert inputs.dataset is not None, "the members were checked"
    features = {name for member in members for name in member.features}
    with clock("read"):
        frame = read_table(inputs.dataset)
        whole = problem_in(frame, _asked(request, members[0], None), inputs.dataset)
        if not features <= set(whole.X.columns):
            named = [*whole.X.columns, *sorted(features - set(whole.X.columns))]
            whole = problem_in(frame, _asked(request, members[0], named), inputs.dataset)
        parts = whole.split()
    if parts.split_id != members[0].facts["split_id"]:
        raise changed(members[0])
    problem = replace(whole, X=whole.X.loc[:, whole.X.columns.isin(features)])
    with clock("suspicions"):
        doubts = [*suspicions(problem, parts.train), *duplicates(problem, parts)]
    return Prepared(whole, problem, parts, doubts)


def _asked(request: EnsembleRequested, member: Member, columns: list[str] | None) -> TrainingRequested:
    is_regression = member.facts["problem_type"] == "regression"
    return TrainingRequested(
        dataset_id=member.facts["dataset_id"],
        target_column=member.target_column,
        group_column=member.group_column,
        feature_columns=columns,
        problem_type="regression" if is_regression else "classification",
        seed=request.seed,
    )


def common_metric(members: Sequence[Member], prepared: Prepared) -> str:
    """The metric that all members were chosen by; where they differ, the usual one of the problem."""
    metrics = {str(member.facts["primary_metric"]) for member in members}
    return metrics.pop() if len(metrics) == 1 else objective(None, prepared.problem.problem_type)[0]
