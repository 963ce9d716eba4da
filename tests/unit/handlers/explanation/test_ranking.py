"""Rankings with intervals, and which features belong together."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from handlers.explanation.interactions import interactions, partners
from handlers.explanation.ranking import rank


def test_importance_is_the_mean_size_over_samples_and_outputs() -> None:
    values = np.random.default_rng(0).normal(size=(40, 5, 3)) * np.array([1, 3, 0, 3, 2])[:, None]
    values[:, 3] = values[:, 1]
    ranking = rank(values)
    assert ranking.importance == pytest.approx(np.abs(values).mean(axis=(0, 2)))
    assert ranking.by_output == pytest.approx(np.abs(values).mean(axis=0))
    assert ranking.order.tolist() == [1, 3, 4, 0, 2]
    assert ranking.low[2] == ranking.high[2] == 0


def test_intervals_are_student_t_over_samples() -> None:
    values = np.random.default_rng(1).normal(size=(30, 4, 2))
    ranking, sizes = rank(values), np.abs(values).mean(axis=2)
    known = stats.t.interval(0.95, 29, loc=sizes.mean(axis=0), scale=stats.sem(sizes, axis=0))
    assert ranking.low == pytest.approx(known[0])
    assert ranking.high == pytest.approx(known[1])


def test_samples_of_one_patient_count_as_one() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(8), 10).astype(str)
    values = np.repeat(rng.normal(size=(8, 3, 1)), 10, axis=0)
    told, each = rank(values, groups), rank(values[::10])
    assert told.low == pytest.approx(each.low)
    assert told.high == pytest.approx(each.high)
    assert ((rank(values).high - rank(values).low) < 0.5 * (told.high - told.low)).all()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    values = rng.gamma(2.0, size=(60, 4000, 1))
    ranking = rank(values)
    assert 0.92 < np.mean((ranking.low < 2) & (ranking.high > 2)) < 0.97


def test_one_sample_tells_nothing_of_others() -> None:
    ranking = rank(np.ones((1, 2, 1)))
    assert ranking.importance.tolist() == [1, 1]
    assert np.isnan(ranking.low).all()
    assert np.isnan(rank(np.ones((4, 2, 1)), np.array(["a"] * 4)).high).all()


def _samples(n: int, p: int) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(4).normal(size=(n, p)), columns=[f"g{place}" for place in range(p)])


def _found(values: np.ndarray, table: pd.DataFrame) -> dict[int, int]:
    ranking = rank(values)
    return partners(interactions(values, table, ranking.order, ranking.by_output))


@pytest.mark.parametrize("n", [60, 100, 400])
def test_the_planted_partner_is_found_among_many(n: int) -> None:
    table = _samples(n, 120)
    X = table.to_numpy()
    values = np.random.default_rng(5).normal(scale=0.02, size=(n, 120, 2))
    # x0·x1: each has half of it; the slopes of the one turn with the other.
    values[:, 0, 1] += X[:, 0] * X[:, 1] / 2 + X[:, 0]
    values[:, 1, 1] += X[:, 0] * X[:, 1] / 2
    values[:, 2, 0] += np.tanh(3 * X[:, 2])
    found = _found(values, table)
    assert found.get(0) == 1
    assert found.get(1) == 0
    assert 2 not in found


def test_chance_finds_no_partner() -> None:
    n_found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(100, 50)))
        values = np.tanh(table.to_numpy())[:, :, None] + rng.normal(scale=0.1, size=(100, 50, 1))
        n_found += len(_found(values, table))
    assert n_found <= 4  # of 20 families of tests at 5 %, one on average


def test_words_gaps_and_columns_that_never_vary() -> None:
    n = 200
    rng = np.random.default_rng(6)
    table = pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], n),
            "dose": rng.normal(size=n),
            "same": np.ones(n),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
            "none": np.full(n, np.nan),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D"),
        }
    )
    effect = np.where(table["sex"] == "f", 1, -1) * table["dose"].to_numpy()
    values = np.zeros((n, 6, 1))
    values[:, 1, 0] = effect + rng.normal(scale=0.05, size=n)
    values[:, 0, 0] = 0.01 * rng.normal(size=n)
    assert _found(values, table) == {1: 0}


def test_few_samples_and_a_single_feature_have_no_partners() -> None:
    table = _samples(20, 3)
    assert _found(np.ones((20, 3, 1)), table) == {}
    assert _found(np.ones((100, 1, 1)), _samples(100, 1)) == {}
