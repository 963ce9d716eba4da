"""Ensembles from finished models to one: what is told."""

from dataclasses import replace

import numpy as np
import pytest
from support.combining import BLOCKS, Place, Reports, three_causes
from support.libraries import for_learning

from handlers.ensemble import asking, refits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)
classes = pytest.fixture(scope="module")(three_causes)


def test_members_that_complement_each_other_gain(classes: Place) -> None:
    for method in ("voting", "stacking", "blending"):
        found = classes.combine(*BLOCKS, method=method)
        gain = found.plan["gain"]
        print(f"{method}: {found.result.summary}")
        best = next(told for told in found.plan["members"] if told["model_id"] == found.plan["best_member"])
        assert found.model.metrics["accuracy"] > best["metrics"]["accuracy"] + 0.05
        # A mean of answers that are not sure is not sure: a meta-learner alone makes more of them.
        assert method != "stacking" or gain["low"] > 0
        assert best["metrics"]["log_loss"] - found.model.metrics["log_loss"] == pytest.approx(gain["value"])
        assert "against its best member, Model_" in found.result.summary


def test_the_facts_are_whole_and_come_again(classes: Place) -> None:
    reports = Reports()
    found = classes.combine(*BLOCKS, method="blending", reports=reports)
    model, plan = found.model, found.plan
    parts = classes.split()
    assert (model.model_type, model.problem_type, model.primary_metric) == ("ensemble", "binary", "log_loss")
    assert (model.n_train, model.n_combination, model.n_test) == tuple(
        len(rows) for rows in (parts.train, parts.combination, parts.test)
    )
    assert model.split_id == parts.split_id
    assert model.classes == ["ill", "well"]
    assert set(model.intervals) == set(model.metrics)
    assert sum(plan["weights"].values()) == pytest.approx(1)
    assert [told["name"] for told in plan["members"]] == ["Model_a", "Model_b", "Model_c"]
    for told in plan["members"]:
        assert told["metrics"] == pytest.approx(classes.models[told["model_id"]].facts["metrics"], rel=1e-5)
        low, high = told["intervals"]["log_loss"]
        assert low <= told["metrics"]["log_loss"] <= high
    scores = [row["validation_score"] for row in model.leaderboard]
    assert scores == sorted(scores)
    assert {row["name"] for row in model.leaderboard} == {"Model_a", "Model_b", "Model_c", "This ensemble"}
    assert model.validation_score in scores
    assert np.array(plan["error_correlation"]).shape == (3, 3)
    assert plan["problem"] == {"target_column": "target", "group_column": None, "problem_type": "classification"}
    percents = [percent for percent, _ in reports.told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert "Asking Model_b (2 of 3)" in [message for _, message in reports.told]
    again = classes.combine(*BLOCKS, method="blending")
    assert (again.model.metrics, again.plan, again.result.summary) == (model.metrics, plan, found.result.summary)


def test_weights_are_those_that_were_asked_for(classes: Place) -> None:
    found = classes.combine("a", "b", weights=[3.0, 1.0])
    assert found.plan["weights"] == {"a": 0.75, "b": 0.25}
    assert found.combination["weights"] == [0.75, 0.25]
    hard = classes.combine(*BLOCKS, voting="hard")
    assert hard.model.architecture.startswith("hard voting of 3 models")


def test_a_copy_among_the_members_is_told(classes: Place) -> None:
    twin = replace(classes.models["a"], facts={**classes.models["a"].facts, "model_id": "twin", "model_name": "Twin"})
    place = replace(classes, models={**classes.models, "twin": replace(twin, model_id="twin")})
    found = place.combine("a", "twin")
    assert any("Model_a and Twin make the same errors" in warning for warning in found.model.warnings)
    assert any("not better than its best member" in warning for warning in found.model.warnings)


def test_the_folder_that_is_named_is_the_one_that_is_looked_into() -> None:
    from handlers import served

    assert served._MODELS == asking.MODELS
    assert refits._MOST_S <= 600
