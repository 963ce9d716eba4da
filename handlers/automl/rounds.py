"""How many rounds made a LightGBM model's trees: what a replay has to repeat.

A round in which no leaf can be split leaves no tree. AutoGluon's best round counts such rounds, the cut after it counts
trees: where there were any, more rounds went into the model than the number that is kept as its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def rounds_counted() -> Iterator[None]:
    """While open, the best round of a LightGBM model is the one that made the last tree that is kept.

    Without rounds that left no tree it is AutoGluon's own. Predictions are the same: all trees are used either way.
    """
    from autogluon.tabular.models.lgb import lgb_model

    train_plainly = lgb_model.train_lgb_model

    def train(*args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        round_of: dict[int, int] = {}

        def count(env: Any) -> None:
            round_of.setdefault(env.model.current_iteration(), env.iteration + 1)

        count.order = 0  # type: ignore[attr-defined] # before the one that may end the training
        booster = train_plainly(*args, callbacks=[count, *callbacks], **kwargs)
        if booster.best_iteration > 0:
            booster.best_iteration = round_of[booster.current_iteration()]
        return booster

    with patch.object(lgb_model, "train_lgb_model", train):
        yield
