"""What each metric is called and means, in one line: as `handlers.metrics` computes it."""

from dataclasses import dataclass

from handlers.metrics import LOWER_IS_BETTER

_MEANINGS = {
    "accuracy": ("Accuracy", "the share of rows that were told rightly"),
    "balanced_accuracy": (
        "Balanced accuracy",
        "the share told rightly within each class, averaged over the classes: a rare class counts like a common one",
    ),
    "f1": (
        "F1",
        "the harmonic mean of precision and recall, for the positive of two classes, or averaged over many",
    ),
    "auroc": (
        "AUROC",
        "the chance that a row of the class gets a higher probability than a row of another; 0.5 is guessing; "
        "with many classes each against the rest, averaged",
    ),
    "auprc": (
        "AUPRC",
        "average precision: how pure the rows with the highest probability are; guessing gets the class's share; "
        "with many classes averaged",
    ),
    "mcc": ("MCC", "Matthews correlation of true and predicted class: 1 is perfect, 0 is guessing"),
    "log_loss": (
        "Log-loss",
        "the mean surprise: minus the natural logarithm of the probability that the true class was given",
    ),
    "brier": ("Brier score", "the squared error of the probabilities, averaged over the rows"),
    "calibration_error": (
        "Calibration error",
        "how far confidence and the share of right answers lie apart, over ten bins of confidence",
    ),
    "rmse": ("RMSE", "the root of the mean squared error, in the target's unit"),
    "mae": ("MAE", "the mean absolute error, in the target's unit"),
    "r2": ("R²", "the share of the target's variance that is explained: 1 is perfect, 0 is always saying the mean"),
    "spearman": ("Spearman", "rank correlation of true and predicted values: 1 is the same order, 0 is none"),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric for readers. `meaning` is empty for one that a newer writer knows and we do not."""

    name: str
    label: str
    meaning: str
    lower_is_better: bool

    @property
    def direction(self) -> str:
        return "lower is better" if self.lower_is_better else "higher is better"

    @property
    def in_a_sentence(self) -> str:
        """`log-loss`, but `AUROC`."""
        words = self.label
        return words if words[1:2].isupper() or len(words) < 3 else words[0].lower() + words[1:]


def metric(name: str) -> Metric:
    """What is known of the metric called `name`."""
    label, meaning = _MEANINGS.get(name, (name.replace("_", " "), ""))
    return Metric(name, label, meaning, name in LOWER_IS_BETTER)
