"""Which rows an ensemble and its members have seen."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.combining import Place, amounts, problem_in
from support.libraries import for_learning

from handlers.ensemble import asking, handler, learning
from handlers.metrics import score
from handlers.mlflow_models import predict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)


@dataclass
class Seen:
    """The rows, by the values that know them, that fits and questions have seen."""

    fits: list[set[float]] = field(default_factory=list)
    practice: list[float] = field(default_factory=list)
    asked: set[float] = field(default_factory=set)
    scored: list[float] = field(default_factory=list)

    def check(self, place: Place) -> None:
        """Fails where a row that a member was trained on is among those that combine or test."""
        target = place.frame["target"].to_numpy()
        parts = place.split()
        train, combination, test = (set(target[rows]) for rows in (parts.train, parts.combination, parts.test))
        trained = set.union(*self.fits)
        assert trained == train, "members were trained on other rows than the training rows"
        assert not trained & set(self.practice), "the combination has learned from a member's training rows"
        assert not trained & set(self.scored), "a member's training rows are scored"
        assert sorted(self.practice) == sorted(combination)
        assert sorted(self.scored) == sorted(test)
        assert self.asked == combination | test, "members were asked about rows that are none of the ensemble's"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watches every fit of a member, every question to one, what the combination learns from, and what is scored."""
    from autogluon.tabular import TabularPredictor

    from handlers.deep_learning import handler as deep_learning

    found = Seen()
    fit, train, blend, ask, evaluate = (
        TabularPredictor.fit, deep_learning.fit, learning._LEARNED["blending"], asking.predict, handler.evaluate,
    )  # fmt: skip

    def spy_on_automl(self: Any, train_data: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        assert kwargs.get("tuning_data") is None
        found.fits.append(set(train_data["target"]))
        return fit(self, train_data, *args, **kwargs)

    def spy_on_network(network: Any, rows: Any, *args: Any, **kwargs: Any) -> Any:
        found.fits.append(set(rows.y))
        return train(network, rows, *args, **kwargs)

    def spy_on_learning(practice: Any, seed: int) -> Any:
        found.practice = [*found.practice, *(value for value in practice.y if value not in found.practice)]
        return blend(practice, seed)

    def spy_on_questions(path: Path, X: pd.DataFrame, y: Any, problem: Any) -> Any:
        found.asked |= set(y)
        assert list(problem.y[X.index]) == list(y)
        return ask(path, X, y, problem)

    def spy_on_scores(said: Any, *args: Any, **kwargs: Any) -> Any:
        found.scored = list(said.y)
        return evaluate(said, *args, **kwargs)

    monkeypatch.setattr(TabularPredictor, "fit", spy_on_automl)
    monkeypatch.setattr(deep_learning, "fit", spy_on_network)
    monkeypatch.setitem(learning._LEARNED, "blending", spy_on_learning)
    monkeypatch.setattr(asking, "predict", spy_on_questions)
    monkeypatch.setattr(handler, "evaluate", spy_on_scores)
    return found


def test_no_training_row_of_a_member_combines_or_tests(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, amounts(240))
    place.network("net")
    place.linear("lin", monkeypatch)
    found = place.combine("net", "lin", method="blending")
    seen.check(place)
    assert found.model.problem_type == "regression"
    assert found.model.metrics["r2"] > 0.5
    said = predict(found.out.model, place.frame, place.frame["target"], problem_in(place))
    test = place.split().test
    assert score(replace(said, y=said.y.to_numpy()[test], predicted=said.predicted[test])) == pytest.approx(
        found.model.metrics
    )


@pytest.mark.parametrize("into", ["combination", "test"])
def test_the_watch_notices_a_leak(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, into: str) -> None:
    """Training rows are put where they must not be, and the test above has to fail."""
    place = Place(tmp_path, amounts(240))
    place.network("net")
    place.network("other", feature_columns=["größe 0", "größe 1"], seed=1)
    common_ground = handler.common_ground

    def leaky(*args: Any) -> Any:
        prepared = common_ground(*args)
        parts = prepared.parts
        more = np.sort(np.concatenate([getattr(parts, into), parts.train[:5]]))
        return replace(prepared, parts=replace(parts, **{into: more}))

    monkeypatch.setattr(handler, "common_ground", leaky)
    place.combine("net", "other", method="blending")
    with pytest.raises(AssertionError, match=r"training rows"):
        seen.check(place)
