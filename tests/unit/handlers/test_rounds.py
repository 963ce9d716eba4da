"""LightGBM's rounds: trained again for as many as were recorded, a model is the same, trees and all."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autogluon.tabular.models.lgb.lgb_model import LGBModel
from sklearn.datasets import load_wine

from handlers.automl.rounds import rounds_counted

#: Of random cuts some gain so little that a round leaves no tree.
EMPTY = {"extra_trees": True, "min_gain_to_split": 0.02}
X, y = load_wine(return_X_y=True, as_frame=True)


def train(folder: Path, most: int | None = None, **settings: Any) -> Any:
    """A model of two thirds of wine, stopped early by the rest; `most`: its rounds, as a replay has them."""
    given = {"seed": 3, **settings, **({} if most is None else {"num_boost_round": most})}
    model = LGBModel(
        path=str(folder), name="m", problem_type="multiclass", eval_metric="log_loss", hyperparameters=given
    )
    held = np.arange(len(y)) % 3 == 0
    model.fit(X=X[~held], y=y[~held], X_val=X[held], y_val=y[held], num_cpus=1, num_gpus=0, time_limit=60)
    return model


@pytest.mark.parametrize("settings", [EMPTY, {"extra_trees": True, "min_gain_to_split": 0.1}, {}])
def test_as_many_rounds_again_make_the_same_model(tmp_path: Path, settings: dict[str, Any]) -> None:
    with rounds_counted():
        first = train(tmp_path / "1", **settings)
        again = train(tmp_path / "2", most=first.params_trained["num_boost_round"], **settings)
    assert again.model.num_trees() == first.model.num_trees()
    assert np.array_equal(again.predict_proba(X), first.predict_proba(X))
    assert again.params_trained == first.params_trained


def test_counting_changes_nothing_of_a_model_but_the_number_that_is_kept(tmp_path: Path) -> None:
    told = []
    for counting in (nullcontext(), rounds_counted()):
        with counting:
            told.append(train(tmp_path / str(len(told)), **EMPTY))
    plain, counted = told
    assert np.array_equal(plain.predict_proba(X), counted.predict_proba(X))
    assert counted.params_trained["num_boost_round"] > plain.params_trained["num_boost_round"], "no round was empty"
