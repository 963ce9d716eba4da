"""LIME in closed form: against the package of that name, on known truths, and on every kind of column."""

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from lime.discretize import QuartileDiscretizer
from lime.lime_tabular import LimeTabularExplainer
from support.explaining import Additive, Reports

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.explanation import lime_ridge, lime_values
from handlers.explanation.findings import Findings
from handlers.explanation.lime_bins import Binning
from handlers.explanation.lime_neighbours import Neighbours, neighbours
from handlers.explanation.lime_ridge import local_model, screened, weights
from handlers.explanation.progress import Stretch


def table_of(n: int, p: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, p)), columns=[f"g{place}" for place in range(p)])


def explain(part: Any, X: pd.DataFrame, training: pd.DataFrame, seed: int = 0) -> Findings:
    return lime_values.lime_values(part, X, training, seed, Stretch(Reports(), 0, 100))


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lime_values, "N_NEIGHBOURS", 600)


def test_bins_are_those_of_lime() -> None:
    training = pd.DataFrame(
        {
            "a": np.random.default_rng(0).normal(size=101),
            "b": np.random.default_rng(1).integers(0, 3, 101),
            "c": np.ones(101),
        }
    )
    X = table_of(50, 3, 2).set_axis(["a", "b", "c"], axis=1)
    known = QuartileDiscretizer(training.to_numpy(), [], ["a", "b", "c"])
    binning = Binning(training)
    for table in (training, X):
        ours, theirs = binning.of(table), known.discretize(table.to_numpy())
        # Edges that are equal are one edge there: the numbers differ, the cells that are together do not.
        for place in range(3):
            pairs = set(zip(ours[:, place].tolist(), theirs[:, place].tolist(), strict=True))
            assert len(pairs) == len(set(ours[:, place])) == len(set(theirs[:, place]))


def test_a_local_model_is_that_of_lime_on_the_same_neighbours() -> None:
    training, rng = table_of(300, 12), np.random.default_rng(3)
    binning, X = Binning(training), table_of(4, 12, 5)
    around = table_of(800, 12, 7)
    answers = np.tanh(around.to_numpy() @ rng.normal(size=(12, 3)))
    own, cells = binning.of(X), binning.of(around)
    theirs = LimeTabularExplainer(training.to_numpy(), random_state=0).base
    counted = weights(cells, own)
    for at in range(4):
        answer = rng.normal(size=3)
        alike = np.vstack([np.ones(12), cells == own[at]]).astype(float)
        far = np.sqrt(((1 - alike) ** 2).sum(axis=1))
        found = local_model(Neighbours(cells, answers), own[at], answer, counted[at], np.arange(12))
        for output in range(3):
            intercept, shares, _, _ = theirs.explain_instance_with_data(
                alike, np.vstack([answer, answers]), far, output, 12, feature_selection="none"
            )
            known = dict(shares)
            assert found.intercept[output] == pytest.approx(intercept, abs=1e-6)
            assert found.coefficients[:, output] == pytest.approx([known[place] for place in range(12)], abs=1e-6)


def test_values_are_those_of_lime_on_average() -> None:
    training = table_of(400, 6)
    part = Additive(list(training.columns), np.array([[2.0], [-1], [0.5], [0], [0], [0]]))
    X = table_of(1, 6, 9)
    ours = explain(part, X, training)
    theirs = LimeTabularExplainer(training.to_numpy(), mode="regression", random_state=0)
    told = theirs.explain_instance(
        X.to_numpy()[0], lambda rows: part.answers(pd.DataFrame(rows, columns=X.columns))[:, 0], num_features=6
    )
    known = dict(told.local_exp[1])
    # Two draws of 5,000 neighbours each, whose values within a bin follow two laws.
    assert ours.values[0, :, 0] == pytest.approx([known[place] for place in range(6)], abs=0.12)
    assert ours.base[0, 0] == pytest.approx(told.intercept[1], abs=0.12)


@pytest.mark.usefixtures("_few")
def test_planted_features_come_first_and_the_model_is_asked_once_for_all() -> None:
    training = table_of(300, 400)
    planted = np.zeros((400, 3))
    planted[[7, 70, 300], [0, 1, 2]] = [1.0, 1.0, 1.0]
    part = Additive(list(training.columns), planted)
    found = explain(part, table_of(30, 400, 1), training)
    assert part.asked == [30, 600, 600, 600]
    assert found.values.shape == (30, 400, 3)
    assert set(np.argsort(-np.abs(found.values).mean(axis=(0, 2)))[:3].tolist()) == {7, 70, 300}
    assert found.local_fits is not None
    assert found.stabilities is not None
    assert np.isfinite(found.local_fits).all()
    assert ((found.stabilities > 0) & (found.stabilities <= 1)).all()
    assert (found.values != 0).any(axis=2).sum(axis=1).max() <= 3 * lime_ridge.MOST_FEATURES


@pytest.mark.usefixtures("_few")
def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    training, X = table_of(200, 20), table_of(3, 20, 1)
    part = Additive(list(training.columns), np.linspace(0, 1, 20)[:, None])
    first, again, other = (explain(part, X, training, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_screening_finds_what_all_at_once_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lime_ridge, "MOST_FEATURES", 8)
    training, X = table_of(300, 60), table_of(5, 60, 1)
    part = Additive(list(training.columns), np.pad(np.ones((4, 2)), ((10, 46), (0, 0))))
    binning = Binning(training)
    bins, own = binning.of(training), binning.of(X)
    *_, around = neighbours(training, bins, 2000, part.answers, np.random.default_rng(0))
    assert isinstance(around, Neighbours)
    weight = weights(around.bins, own)
    chosen = screened(around, own, weight)
    assert chosen.shape == (5, 8)
    assert all({10, 11, 12, 13} <= set(row.tolist()) for row in chosen)
    # The others are those with the largest weighted correlations.
    alike = (around.bins == own[2]).astype(float)
    known = np.cov(np.hstack([alike, around.answers]).T, aweights=weight[2])
    known = (known[:60, 60:] ** 2 / np.diag(known)[:60, None] / np.diag(known)[60:]).sum(axis=1)
    assert set(chosen[2].tolist()) == set(np.argsort(-known)[:8].tolist())


@pytest.mark.usefixtures("_few")
def test_every_kind_of_column_is_drawn_as_it_is() -> None:
    rng, n = np.random.default_rng(0), 200
    training = pd.DataFrame(
        {
            "whole": rng.integers(0, 9, n),
            "gaps": np.where(rng.random(n) < 0.4, np.nan, rng.normal(size=n)),
            "word": rng.choice(["a", "b", None], n),
            "kind": pd.Categorical(rng.choice(["x", "y"], n)),
            "flag": rng.random(n) < 0.5,
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D"),
            "maybe": pd.array(np.where(rng.random(n) < 0.2, None, 3), dtype="Int64"),
            "none": np.full(n, np.nan),
        }
    )

    class Odd:
        features: ClassVar = list(training.columns)
        n_outputs = 1

        def answers(self, X: pd.DataFrame) -> Any:
            assert X.dtypes.to_list() == training.dtypes.to_list()
            assert X.columns.to_list() == training.columns.to_list()
            assert X["whole"].isin(training["whole"]).all()
            return ((X["word"] == "a") + 2.0 * X["gaps"].isna() + X["flag"]).to_numpy(dtype=float)[:, None]

    X = training.iloc[:20].reset_index(drop=True)
    X.loc[0, "word"] = "never seen"
    found = explain(Odd(), X, training)
    importance = np.abs(found.values).mean(axis=(0, 2))
    assert set(np.argsort(-importance)[:3].tolist()) == {1, 2, 4}
    assert np.isfinite(found.values).all()
    assert found.values[0, 2, 0] < 0  # no «a»
    assert found.local_fits is not None
    # Where the value is a gap, all of the model is «in the same bin or not».
    assert found.local_fits[X["gaps"].isna()].mean() > 0.8


@pytest.mark.usefixtures("_few")
def test_a_model_that_always_says_the_same() -> None:
    training = table_of(100, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explain(Additive(list(training.columns), np.zeros((5, 2))), training.iloc[:3], training)
    assert found.values == pytest.approx(0)
    assert found.base == pytest.approx(0.5)
    assert np.isnan(found.local_fits).all()
    assert np.isnan(found.stabilities).all()


@pytest.mark.usefixtures("_few")
def test_a_single_feature() -> None:
    training = table_of(100, 1)
    found = explain(Additive(["g0"], np.ones((1, 1))), training.iloc[:4], training)
    assert found.stabilities.tolist() == [1.0] * 4
    assert found.values.shape == (4, 1, 1)


@pytest.mark.usefixtures("_few")
def test_a_stop_ends_it_at_its_next_word() -> None:
    training = table_of(100, 5)
    part = Additive(list(training.columns), np.ones((5, 1)))
    X = table_of(10, 5, 1)
    reports = Reports(stop_after=7)  # three words while drawing, then one for each sample
    with pytest.raises(JobRefused, match="allow more timeout_s") as refused:
        lime_values.lime_values(part, X, training, 0, Stretch(reports, 0, 100))
    assert len(reports.told) <= 8
    assert refused.value.reason == ReasonCode.TIMED_OUT
