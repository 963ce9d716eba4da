"""What transfer was worth: the same network from scratch, on the same rows."""

from typing import Any

from handlers.metrics import Predictions, is_better, score
from handlers.networks.network import Network
from handlers.networks.predicting import predict_probabilities, predict_values
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared


def scores_on_test_rows(network: Network, table: TableEncoder, prepared: Prepared) -> dict[str, float]:
    """Every metric of a network on the test rows."""
    problem, test = prepared.problem, prepared.parts.test
    X, y = problem.X.iloc[test], problem.y[test]
    if problem.classes is None:
        return score(Predictions(y, predict_values(network, table, X)))
    probabilities = predict_probabilities(network, table, X)
    return score(Predictions(y, probabilities.argmax(axis=1), probabilities))


def about_transfer(metric: str, transferred: dict[str, float], scratch: dict[str, float]) -> list[str]:
    """A warning where transfer did not pay."""
    ours, theirs = transferred.get(metric), scratch.get(metric)
    if ours is None or theirs is None or is_better(metric, ours, theirs):
        return []
    return [
        f"Transfer did not pay: the same network trained from scratch is no worse in {metric} on the test rows "
        f"({theirs:.3g} against {ours:.3g}). The base model may be of another kind of data, or there are rows enough"
    ]


def member(name: str, validation_score: float | None) -> dict[str, Any]:
    """A line of a leaderboard."""
    return {"name": name, "validation_score": validation_score, "fit_seconds": None}
