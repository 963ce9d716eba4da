"""What every training of a network does last: packs it, scores what was packed, and looks that no row is in it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from events.outcomes import ModelFacts
from handlers.contract import Outputs, Report, Result
from handlers.evaluation import Evaluation, evaluate, summary
from handlers.metrics import Predictions, score
from handlers.network_jobs.artifact import predict, write_network
from handlers.networks.network import Network
from handlers.networks.predicting import predict_probabilities, predict_values
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared
from handlers.provenance import Clock, hardware, packages
from handlers.row_scan import refuse_rows
from handlers.training.fit import Fitted
from handlers.training.settings import Settings

#: Points of a fit's history that go into events.
_MOST_POINTS = 500
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted network, how its tables are read, and what is to be told of it beside its scores.

    `architecture`: what it is called. `hyperparameters`: what was decided for it. `others`: networks that it was chosen
    from or is compared with, as rows of a leaderboard. `beside`: what goes into the plan as well; `note`: into the
    summary.
    """

    fitted: Fitted
    table: TableEncoder
    settings: Settings
    model_type: Literal["deep_learning", "transfer_learning"]
    architecture: str
    hyperparameters: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def finish(trained: Trained, prepared: Prepared, out: Outputs, report: Report, clock: Clock) -> Result:
    """The result of a job, its model in `out.model`.

    Raises:
        JobRefused: `row_in_artifact`.
    """
    problem, parts, metric = prepared.problem, prepared.parts, trained.settings.metric
    with clock("pack"):
        report(92, "Packing the network")
        write_network(trained.fitted.network, trained.table, problem, out.model)
    with clock("predict"):
        report(94, f"Scoring it on {len(parts.test)} test rows")
        said = predict(out.model, problem.X.iloc[parts.test], problem.y[parts.test], problem)
    found = evaluate(
        said,
        problem,
        parts,
        metric=metric,
        leaderboard=trained.others,
        artifact=out.model,
        seed=trained.settings.seed,
        doubts=prepared.doubts,
        clock=clock,
        history=trained.fitted.history,
    )
    paths = {"paths": _by_path(trained.fitted, trained.table, prepared)}
    model = _facts(trained, prepared, found, {**_plan(trained.fitted), **paths, **trained.beside})
    with clock("scan"):
        report(98, "Looking for rows in the artifact")
        scan = refuse_rows(out.model, prepared.whole)
    report(100, "Finished", metrics=model.metrics)
    record = {
        "seconds": clock.seconds,
        "packages": packages(),
        "hardware": {
            **hardware(),
            "accelerator": trained.fitted.accelerator,
            "precision": trained.fitted.precision,
        },
        "n_features": problem.X.shape[1],
        "n_rows_dropped": problem.n_rows_dropped,
        "scan": scan.as_record(),
    }
    return Result(summary=f"{summary(model)}{trained.note}", model=model, record=record)


def on_test_rows(network: Network, table: TableEncoder, prepared: Prepared) -> Predictions:
    """What a network in memory says about the test rows."""
    problem, test = prepared.problem, prepared.parts.test
    X, y = problem.X.iloc[test], problem.y[test]
    if problem.classes is None:
        return Predictions(y, predict_values(network, table, X))
    probabilities = predict_probabilities(network, table, X)
    return Predictions(y, probabilities.argmax(axis=1), probabilities)


def _by_path(fitted: Fitted, table: TableEncoder, prepared: Prepared) -> dict[str, dict[str, float]]:
    """Every metric on the test rows of each path by itself: what the mixture is worth, and what the network."""
    network, mix = fitted.network, fitted.mix
    found = {}
    for name, alone in (("network", 1.0), ("linear", 0.0)):
        network.mix.fill_(alone)
        found[name] = score(on_test_rows(network, table, prepared))
    network.mix.fill_(mix)
    return found


def _facts(trained: Trained, prepared: Prepared, found: Evaluation, plan: dict[str, Any]) -> ModelFacts:
    problem, parts, fitted = prepared.problem, prepared.parts, trained.fitted
    return ModelFacts(
        model_type=trained.model_type,
        problem_type=problem.problem_type,
        primary_metric=trained.settings.metric,
        metrics=found.metrics,
        intervals=found.intervals,
        validation_score=fitted.validation_score,
        baseline=found.baseline,
        architecture=f"{trained.architecture} {_paths(fitted.mix)}",
        hyperparameters={**trained.hyperparameters, **trained.settings.as_record()},
        split_id=parts.split_id,
        n_train=len(parts.train),
        n_test=len(parts.test),
        n_combination=len(parts.combination),
        classes=problem.labels,
        warnings=[*trained.warnings, *_about_fit(fitted), *found.warnings],
        leaderboard=trained.others,
        pictures=found.pictures,
        plan=plan,
    )


def _paths(mix: float) -> str:
    """Whose answer it is: «0.3 beside a linear path 0.7»."""
    if mix == 1:
        return "by itself"
    return f"{mix:.1f} beside a linear path {1 - mix:.1f}"


def _about_fit(fitted: Fitted) -> list[str]:
    told = []
    if fitted.mix == 0:
        told.append(
            "The network adds nothing to its linear path on validation rows and has no part in the answer: "
            "a linear model serves as well"
        )
    if fitted.stopped:
        told.append(f"The training was stopped after epoch {fitted.epochs_run}")
    return told


def _plan(fitted: Fitted) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "version": 1,
        "kind": "network",
        "epochs_run": fitted.epochs_run,
        "best_epoch": fitted.best_epoch,
        "mix": fitted.mix,
        "strength": fitted.strength,
        "history": _thinned(fitted.history),
    }
    return plan | ({"stopped_after": fitted.epochs_run} if fitted.stopped else {})


def _thinned(history: list[dict[str, float]]) -> list[dict[str, float]]:
    step = -(-len(history) // _MOST_POINTS)
    chosen = [*history[:-1:step], *history[-1:]]
    return [{name: _rounded(value) for name, value in word.items()} for word in chosen]


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
