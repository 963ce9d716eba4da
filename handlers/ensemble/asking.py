"""What members say about rows: each is opened as a reader would open it, asked once, and closed."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlers.contract import ModelFiles, Report
from handlers.metrics import Predictions
from handlers.mlflow_models import predict
from handlers.preparation import Prepared
from handlers.splits import Indices

from .combining import Floats
from .members import Member

#: Names the folder in which a served ensemble looks for members that it does not hold.
MODELS = "OMNISCOPE_MODELS"
#: Where in the job, in percent, the members are asked.
BEGINS, ENDS = 5.0, 25.0


@dataclass(frozen=True, slots=True)
class Said:
    """What m members say about rows of a problem: (m, n, k) probabilities, or (m, n) values, on each part."""

    combination: Floats
    test: Floats

    def on_test(self, place: int, y: np.ndarray[Any, Any]) -> Predictions:
        """One member's answers to the test rows, whose truth is `y`."""
        return predictions(self.test[place], y)


def predictions(answers: Floats, y: np.ndarray[Any, Any]) -> Predictions:
    """(n,) values or (n, k) probabilities as answers to rows whose truth is `y`."""
    if answers.ndim == 1:
        return Predictions(y, answers)
    return Predictions(y, answers.argmax(axis=1), answers)


def ask(members: Sequence[Member], prepared: Prepared, report: Report) -> Said:
    """Asks every member about the combination and the test rows, and about no others."""
    parts, answers = prepared.parts, []
    for place, member in enumerate(members):
        percent = BEGINS + (ENDS - BEGINS) * place / len(members)
        report(percent, f"Asking {member.name} ({place + 1} of {len(members)})")
        answers.append(_answers(member, prepared, np.concatenate([parts.combination, parts.test])))
    said, n = np.stack(answers), len(parts.combination)
    return Said(said[:, :n], said[:, n:])


def _answers(member: Member, prepared: Prepared, rows: Indices) -> Floats:
    problem = prepared.problem
    told = predict(member.path, problem.X.iloc[rows], problem.y[rows], problem)
    return told.predicted if told.probabilities is None else told.probabilities


@contextmanager
def within_reach(models: Mapping[str, ModelFiles]) -> Iterator[None]:
    """While open, a served ensemble finds its members among `models` where it does not hold them itself."""
    before = os.environ.get(MODELS)
    with tempfile.TemporaryDirectory(prefix="members-") as folder:
        for name, files in models.items():
            for called in {name, str(files.facts.get("model_id") or name)}:
                (Path(folder) / called).symlink_to(files.path.resolve())
        os.environ[MODELS] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[MODELS]
            else:
                os.environ[MODELS] = before
