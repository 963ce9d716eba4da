"""The ensemble handler: asks finished models, combines their answers, packs and scores what came of it."""

from dataclasses import dataclass
from typing import Any

from events.requests import EnsembleRequested
from handlers.contract import Inputs, Outputs, Report, Result
from handlers.evaluation import evaluate
from handlers.metrics import Predictions
from handlers.preparation import Prepared
from handlers.provenance import Clock, hardware, packages
from handlers.row_scan import refuse_rows

from . import facts
from .artifact import are_embedded, predict, write_ensemble
from .asking import Said, ask, within_reach
from .checks import chosen_members
from .comparison import compare
from .ground import common_ground, common_metric
from .learning import Learned, learned, learns
from .members import Member
from .practice import Practice
from .refits import refitted


@dataclass(frozen=True, slots=True)
class _Job:
    """What every step of one ensemble needs."""

    request: EnsembleRequested
    inputs: Inputs
    out: Outputs
    report: Report
    clock: Clock
    members: list[Member]
    prepared: Prepared
    metric: str


def run(request: EnsembleRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Combines models of one dataset, target and split, and leaves an MLflow model in `out.model`.

    Weights and meta-learners see combination rows alone, where there are none answers of refits to training rows they
    had not seen; scores are of the test rows. Same request, same members: same numbers.

    Raises:
        JobRefused: the models cannot be combined as asked (`invalid_field`, `members_differ`, `model_unknown`,
            `model_unsuitable`), the dataset is another by now (`dataset_changed`), or the artifact holds rows.
    """
    clock = Clock()
    report(0, "Looking at the members")
    members = chosen_members(request, inputs)
    report(2, "Reading the dataset")
    prepared = common_ground(request, members, inputs, clock)
    metric = common_metric(members, prepared)
    job = _Job(request, inputs, out, report, clock, members, prepared, metric)
    with within_reach(inputs.models):
        with clock("ask"):
            said = ask(members, prepared, report)
        found, refits = _combine(job, said)
        return _finish(job, said, found, refits)


def _combine(job: _Job, said: Said) -> tuple[Learned, dict[str, Any] | None]:
    """How the members are combined, and what their refits came to, where there were any."""
    problem, rows = job.prepared.problem, job.prepared.parts.combination
    practice, refits = None, None
    if len(rows):
        groups = None if problem.groups is None else problem.groups.iloc[rows].astype(str).to_numpy()
        practice = Practice.of(said.combination, problem.y[rows], groups)
    elif learns(job.request):
        with job.clock("refits"):
            again = refitted(job.members, job.prepared, job.inputs, job.out, job.report, job.request.seed)
        practice, refits = again.practice, again.told
    with job.clock("combine"):
        job.report(76, f"Combining {len(job.members)} models by {job.request.method}")
        return learned(job.request, practice, len(job.members), job.metric), refits


def _finish(job: _Job, said: Said, found: Learned, refits: dict[str, Any] | None) -> Result:
    problem, parts, clock, report = job.prepared.problem, job.prepared.parts, job.clock, job.report
    embedded = are_embedded(job.members, job.inputs.models)
    with clock("pack"):
        report(80, "Packing the ensemble")
        write_ensemble(found.combination, job.members, problem, job.out.model, embedded=embedded)
    with clock("predict"):
        report(84, f"Scoring it on {len(parts.test)} test rows")
        ours = predict(job.out.model, problem.X.iloc[parts.test], problem.y[parts.test], problem)
    judged = _judge(job, ours, found)
    with clock("members"):
        report(92, "Comparing it with its members")
        scores = found.scores
        compared = compare(ours, said, job.members, scores, job.prepared, job.metric, job.request.seed)
    model = facts.model_facts(
        job.request, job.members, job.prepared, found, judged, compared, job.metric, embedded=embedded, refits=refits
    )
    with clock("scan"):
        report(96, "Looking for rows in the artifact")
        scan = refuse_rows(job.out.model, job.prepared.whole)
    report(100, "Finished", metrics=model.metrics)
    record = {
        "seconds": clock.seconds,
        "packages": packages(),
        "hardware": hardware(),
        "n_features": problem.X.shape[1],
        "n_rows_dropped": problem.n_rows_dropped,
        "scan": scan.as_record(),
    }
    return Result(facts.told_in_a_line(model, job.members, compared), model=model, record=record)


def _judge(job: _Job, ours: Predictions, found: Learned) -> Any:
    return evaluate(
        ours,
        job.prepared.problem,
        job.prepared.parts,
        metric=job.metric,
        leaderboard=facts.leaderboard(job.members, found, job.metric),
        artifact=job.out.model,
        seed=job.request.seed,
        doubts=job.prepared.doubts,
        clock=job.clock,
    )
