"""Live news from a fit, and a way to stop it: AutoGluon calls this before and after every model."""

import math
import time
from typing import Any

from autogluon.core.callbacks import AbstractCallback

from handlers.contract import Report
from handlers.metrics import is_better
from handlers.objectives import as_written

from .replay import NO_LIMIT_S

#: The fit's share of the whole job, in percent.
FIT_BEGINS, FIT_ENDS = 5.0, 90.0


class FitProgress(AbstractCallback):  # type: ignore[misc]
    """Tells which model is being trained and how good the best one is; ends the fit when a stop was asked for.

    AutoGluon copies and pickles its callbacks along with what it trains. A copy that is not this object would
    talk to nobody, and a pickled one would tie the artifact to our code: hence the two methods below.
    """

    def __init__(self, report: Report, metric: str, n_models: int, seconds: float) -> None:
        super().__init__()
        self._report = report
        self._metric = metric
        self._n_models = max(1, n_models)
        self._seconds = seconds
        self._begun = time.monotonic()
        self._n_begun = 0
        self._best: float | None = None
        self.stopped = False

    @property
    def time_is_up(self) -> bool:
        return time.monotonic() - self._begun >= self._seconds

    def __deepcopy__(self, memo: dict[int, Any]) -> "FitProgress":
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return AbstractCallback, ()

    def _before_model_fit(
        self, trainer: Any, model: Any, time_limit: float | None = None, stack_name: str = "core", level: int = 1
    ) -> tuple[bool, bool]:
        if time_limit is not None and time_limit <= 0:
            return self._should_stop(), False  # AutoGluon is about to pass it over
        if stack_name == "core":
            self._n_begun += 1
            self._tell(f"Training {model.name} ({min(self._n_begun, self._n_models)} of {self._n_models})")
        else:
            self._tell("Combining the models")
        return self._should_stop(), False

    def _after_model_fit(self, trainer: Any, model_names: list[str], stack_name: str = "core", level: int = 1) -> bool:
        for name in model_names:
            score = as_written(trainer.get_model_attribute(name, "val_score"), self._metric)
            if score is not None and (self._best is None or is_better(self._metric, score, self._best)):
                self._best = score
        if model_names:
            self._tell(f"Trained {model_names[-1]}")
        return self._should_stop()

    def _should_stop(self) -> bool:
        self.stopped = self.stopped or self._report.should_stop()
        return self.stopped

    def _tell(self, message: str) -> None:
        spent = time.monotonic() - self._begun
        by_time = spent / self._seconds
        done = max(0, self._n_begun - 1) / self._n_models
        share = min(1.0, max(by_time, done))
        # A replay has no clock: before its first model is done, nobody can say how long it will take.
        by_clock = self._seconds - spent if self._seconds < NO_LIMIT_S else math.inf
        left = min(by_clock, spent / done - spent if done else math.inf)
        metrics = {}
        if self._best is not None:
            message = f"{message}, best {self._metric} so far {self._best:.3g}"
            metrics[f"validation_{self._metric}"] = self._best
        self._report(
            FIT_BEGINS + share * (FIT_ENDS - FIT_BEGINS),
            message,
            eta_s=max(0.0, left) if math.isfinite(left) else None,
            metrics=metrics,
        )
