"""Few rows: members are trained again on folds."""

import importlib
import shutil
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pytest
from support.combining import Place, Reports, amounts
from support.libraries import for_learning

from events.errors import ReasonCode
from events.requests import TransferLearningRequested
from handlers.contract import JobRefused, Limits
from handlers.ensemble import training_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)


@dataclass
class Folds:
    """For each refit the rows that it learned from and those that it was asked about, by the target's value."""

    of: dict[str, list[tuple[set[float], set[float]]]] = field(default_factory=dict)


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> Folds:
    found = Folds()

    def watched(again: Any) -> Any:
        def spy(leaf: Any, prepared: Any, *args: Any) -> Any:
            y, parts = prepared.problem.y, prepared.parts
            found.of.setdefault(leaf.model_id, []).append((set(y[parts.train]), set(y[parts.test])))
            return again(leaf, prepared, *args)

        return spy

    for kind, again in training_again.AGAIN.items():
        monkeypatch.setitem(training_again.AGAIN, kind, watched(again))
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("few"), amounts(90))
    with pytest.MonkeyPatch.context() as patched:
        place.linear("lin", patched, feature_columns=["größe 0", "größe 1", "größe 2"])
    place.network("net", feature_columns=["größe 3", "größe 4", "größe 5"])
    return place


def test_refits_are_asked_about_rows_that_they_have_not_seen(few: Place, folds: Folds) -> None:
    from autogluon.tabular import TabularPredictor

    learned_from: list[set[float]] = []
    fit = TabularPredictor.fit

    def spy(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        learned_from.append(set(train_data["target"]))
        return fit(self, train_data, *args, **kwargs)

    reports = Reports()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TabularPredictor, "fit", spy)
        found = few.combine("lin", "net", method="stacking", reports=reports)
    target, parts = few.frame["target"].to_numpy(), few.split()
    train, test = set(target[parts.train]), set(target[parts.test])
    assert not len(parts.combination)
    assert set(folds.of) == {"lin", "net"}
    assert learned_from == [fitted for fitted, _ in folds.of["lin"]]
    for seen in folds.of.values():
        assert len(seen) == 5
        for fitted, held in seen:
            assert not fitted & held
            assert not fitted & test
            assert fitted | held == train
        assert set.union(*(held for _, held in seen)) == train
    assert found.plan["refits"]["finished"] == 5
    assert found.plan["refits"]["rows"] == len(train)
    assert all(told["combination_score"] is not None for told in found.plan["members"])
    assert found.plan["gain"]["low"] > 0
    assert found.combination["meta"]["kind"] == "ridge"
    assert "Training Model_net again (2 of 10)" in " ".join(message for _, message in reports.told)


def test_voting_on_few_rows_learns_nothing_and_trains_nothing(few: Place, folds: Folds) -> None:
    found = few.combine("lin", "net")
    assert not folds.of
    assert "refits" not in found.plan
    assert found.model.validation_score is None
    validation = {name: few.models[name].facts["validation_score"] for name in ("lin", "net")}
    assert found.plan["best_member"] == min(validation, key=lambda name: validation[name])


def test_without_time_for_one_fold_weights_are_equal_and_that_is_told(few: Place) -> None:
    found = few.combine("lin", "net", method="blending", limits=Limits(1, seconds=0.001))
    assert found.plan["refits"]["finished"] == 0
    assert found.plan["weights"] == {"lin": 0.5, "net": 0.5}
    assert found.plan["method"] == "voting"
    assert found.model.hyperparameters["asked"] == "blending"
    assert any("equal weights" in warning for warning in found.model.warnings)


def test_what_an_attempt_before_has_done_is_not_done_again(few: Place, folds: Folds) -> None:
    few.combine("lin", "net", method="blending", as_name="again")
    done = few.models.pop("again")
    shutil.rmtree(done.path.parent)
    before = {name: len(seen) for name, seen in folds.of.items()}
    few.combine("lin", "net", method="blending", as_name="again")
    assert {name: len(seen) for name, seen in folds.of.items()} == before
    assert few.models.pop("again").facts["metrics"] == done.facts["metrics"]


def test_an_ensembles_members_are_trained_again_and_combined_as_they_were(few: Place, folds: Folds) -> None:
    few.combine("lin", "net", weights=[1.0, 3.0], as_name="both")
    few.network("third", feature_columns=["größe 0", "größe 1"], seed=3)
    found = few.combine("both", "third", method="blending")
    assert set(folds.of) == {"lin", "net", "third"}
    assert found.plan["refits"]["finished"] == 5


def test_a_member_whose_base_is_not_here_cannot_be_trained_again(few: Place) -> None:
    base = Place(few.folder / "base", amounts(60).assign(target=lambda frame: frame["target"] + 1))
    base.network("encoder")
    encoder = replace(base.models["encoder"], facts={**base.models["encoder"].facts, "dataset_sha256": "cd" * 32})
    few.models["encoder"] = encoder
    told = {"dataset_id": "cohort", "target_column": "target", "base_model": "job:encoder", "epochs": 1}
    run = importlib.import_module("handlers.transfer_learning.handler").run
    few.train("tuned", TransferLearningRequested.model_validate(told | {"fine_tune_layers": 1}), run)
    assert few.combine("lin", "tuned", method="blending").plan["refits"]["finished"] == 5
    del few.models["encoder"]
    with pytest.raises(JobRefused) as refusal:
        few.combine("lin", "tuned", method="blending")
    assert refusal.value.reason is ReasonCode.MODEL_UNSUITABLE
    assert "member «Model_tuned» cannot be: the model that it was fine-tuned from is not here" in refusal.value.message
    assert few.combine("lin", "tuned").model.n_combination == 0
