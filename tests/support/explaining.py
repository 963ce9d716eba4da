"""Models that nobody trained, with the records of a training, for tests of what explains them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from events.requests import ExplanationRequested
from handlers.attribution.accounts import Account
from handlers.attribution.values import Attributions, Floats, Tell
from handlers.contract import DatasetFile, Inputs, Limits, ModelFiles

SHA256 = "ab" * 32


@dataclass
class Reports:
    """Keeps what it is told, and asks to stop from the word number `stop_after` on."""

    stop_after: int | None = None
    told: list[tuple[float, str]] = field(default_factory=list)
    etas: list[float] = field(default_factory=list)

    def __call__(self, percent: float, message: str, *, eta_s: float | None = None, metrics: Any = None) -> None:
        self.told.append((percent, message))
        if eta_s is not None:
            self.etas.append(eta_s)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.told) >= self.stop_after

    def checkpoint(self) -> None: ...


@dataclass
class Additive:
    """Adds up `shape` of each column for each output: its Shapley values are known."""

    features: list[str]
    weights: Floats  # (p, c)
    shape: Callable[[Floats], Floats] = np.tanh
    asked: list[int] = field(default_factory=list)

    @property
    def n_outputs(self) -> int:
        return self.weights.shape[1]

    def _numbers(self, X: pd.DataFrame) -> Floats:
        assert list(X.columns) == self.features
        return self.shape(X.to_numpy(dtype=float))

    def answers(self, X: pd.DataFrame) -> Floats:
        self.asked.append(len(X))
        return self._numbers(X) @ self.weights + 0.5

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        tell(0.5)
        middle = self._numbers(background).mean(axis=0)
        values = (self._numbers(X) - middle)[:, :, None] * self.weights
        return Attributions(values, middle @ self.weights + 0.5, self.answers(X), [Account("additive parts, exactly")])


def explaining(frame: pd.DataFrame, folder: Path, trained: dict[str, Any] | None = None, **facts: Any) -> Inputs:
    """A dataset in a file, and a model whose record says that it was trained on it."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "data.parquet")
    config = {"dataset_id": "cohort", "target_column": "target", **(trained or {})}
    told = {"dataset_sha256": SHA256, "training_config": config, **facts}
    return Inputs(
        DatasetFile("cohort", folder / "data.parquet", "parquet", SHA256),
        models={"m": ModelFiles("m", folder / "model", told)},
        limits=Limits(1),
    )


def asked(method: str = "shap", **more: Any) -> ExplanationRequested:
    return ExplanationRequested.model_validate({"model_id": "m", "method": method, **more})


def cohort(n: int = 300, p: int = 6, classes: Sequence[str] = ("well", "ill"), seed: int = 0) -> pd.DataFrame:
    """Numbers without meaning but the first, which goes with the target."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"gene {place}" for place in range(p)])
    ranks = (frame["gene 0"] + rng.normal(scale=0.5, size=n)).rank(pct=True, method="first")
    return frame.assign(target=np.array(classes)[np.minimum(len(classes) - 1, (ranks * len(classes)).astype(int))])
