"""What models are chosen by: our names of metrics, and AutoGluon's."""

import math

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.datasets.problem import ProblemType
from handlers.metrics import LOWER_IS_BETTER

_ALIKE = {"log_loss": "log_loss", "accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "mcc": "mcc"}
_OBJECTIVES: dict[ProblemType, dict[str, str]] = {
    "binary": {**_ALIKE, "f1": "f1", "auroc": "roc_auc", "auprc": "average_precision"},
    "multiclass": {**_ALIKE, "f1": "f1_macro", "auroc": "roc_auc_ovr_macro"},
    "regression": {
        "rmse": "root_mean_squared_error",
        "mae": "mean_absolute_error",
        "r2": "r2",
        "spearman": "spearmanr",
    },
}


def objective(eval_metric: str | None, problem_type: ProblemType) -> tuple[str, str]:
    """(our name, AutoGluon's name) of the metric that decides; log-loss or RMSE if none is asked for.

    On the hundred validation rows of a usual cohort many models tie in accuracy, and the luckiest would be chosen.
    Log-loss is a proper score and tells them apart (Gneiting and Raftery, "Strictly Proper Scoring Rules,
    Prediction, and Estimation", 2007).

    Raises:
        JobRefused: `invalid_field`, with the names that are known for this problem.
    """
    known = _OBJECTIVES[problem_type]
    if eval_metric is None:
        return next(iter(known.items()))
    asked = eval_metric.strip().lower()
    for ours, theirs in known.items():
        if asked in (ours, theirs):
            return ours, theirs
    raise JobRefused(
        ReasonCode.INVALID_FIELD,
        f"eval_metric {eval_metric!r} is not one for a {problem_type} problem: send one of {', '.join(known)}",
    )


def as_written(score: float | None, metric: str) -> float | None:
    """AutoGluon's score as the metric is usually written: AutoGluon turns errors round, so that more is better."""
    if score is None or not math.isfinite(score):
        return None
    return -float(score) if metric in LOWER_IS_BETTER else float(score)
