"""Intervals hold the truth as often as they say, tell what theory says where it says something, and never break."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student
from support.predictions import classes, quantities

from handlers.baselines import constant as constant_answers
from handlers.intervals import intervals
from handlers.metrics import CLASSIFICATION, REGRESSION, Predictions, score

coverage = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "coverage.py")))

SAMPLES = 200
#: Of 200 intervals that hold the truth 95 times in 100, at least so many do in all but 1 of 2000 trials. All 200 do
#: in 1 of 30,000.
FEWEST = binom.ppf(0.0005, SAMPLES, 0.95) / SAMPLES


def certain(y: list[int], predicted: list[int]) -> Predictions:
    return Predictions(np.array(y), np.array(predicted), np.eye(2)[predicted])


#: Where a metric ends; losses end at 0 alone.
ENDS = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1", "auroc", "auprc", "calibration_error"), (0.0, 1.0)),
    **dict.fromkeys(("mcc", "spearman"), (-1.0, 1.0)),
    "r2": (-np.inf, 1.0),
}
ODD = {
    "binary": classes(2, n=300),
    "four classes": classes(4, n=300),
    "more classes than rows": classes(10, n=12),
    "regression": quantities(300),
    "all right": certain([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]),
    "all wrong": certain([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]),
    "one class": certain([0, 0, 0], [0, 1, 0]),
    "one class, all right": certain([0, 0, 0], [0, 0, 0]),
    "one positive": certain([0, 0, 0, 0, 1], [0, 0, 1, 0, 1]),
    "one row": certain([1], [1]),
    "always the same": constant_answers(np.array([0, 0, 1]), np.array([0, 1] * 10), 2).predictions,
    "exact values": Predictions(np.arange(9.0), np.arange(9.0)),
    "equal values": Predictions(np.ones(9), np.ones(9)),
    "the mean": Predictions(np.arange(9.0), np.full(9, 4.0)),
    "one value": Predictions(np.ones(1), np.zeros(1)),
    "far off": Predictions(np.arange(9.0), np.arange(9.0) * 1e8),
}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["imbalanced", "four_classes", "normal_errors", "heavy_tails", "visits"])
def test_intervals_hold_the_truth_as_often_as_they_say(scenario: str) -> None:
    true = coverage.truth(scenario, 100_000)
    for rows in (60, 300):
        found = coverage.measure(scenario, rows, SAMPLES, true)
        assert set(found) == set(CLASSIFICATION if "accuracy" in true else REGRESSION)
        assert {one.samples for one in found.values()} == {SAMPLES}
        assert {name: one.held for name, one in found.items() if not FEWEST <= one.held < 1} == {}, rows


@pytest.mark.slow
def test_a_nearly_perfect_model_is_not_taken_for_a_perfect_one() -> None:
    true = coverage.truth("nearly_perfect", 100_000)
    found = coverage.measure("nearly_perfect", 60, SAMPLES, true)
    assert {name: one.held for name, one in found.items() if one.held < FEWEST} == {}
    before = coverage.measure("nearly_perfect", 60, 50, true, coverage.percentile)
    assert max(before[name].held for name in ("accuracy", "auroc", "log_loss")) < 0.8


@pytest.mark.parametrize("name", ODD)
def test_intervals_hold_the_score_and_end_where_the_metric_does(name: str) -> None:
    said = ODD[name]
    scores = score(said)
    for groups in (None, np.arange(len(said.y)) // 2, np.zeros(len(said.y))):
        found = intervals(said, groups)
        assert set(found) == set(scores)
        for metric, (low, high) in found.items():
            floor, ceiling = ENDS.get(metric, (0.0, 2.0 if metric == "brier" else np.inf))
            assert floor <= low <= scores[metric] <= high <= ceiling, metric
            assert low < high or name == "equal values", metric


def test_intervals_are_the_same_each_time_and_of_plain_numbers() -> None:
    found = intervals(classes(4, n=3000))
    assert found == intervals(classes(4, n=3000))
    assert {type(end) for low_high in found.values() for end in low_high} == {float}


def test_no_rows_have_no_interval() -> None:
    assert intervals(Predictions(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)))) == {}


def test_a_row_has_no_place() -> None:
    said, order = classes(4, n=300), np.random.default_rng(2).permutation(300)
    mixed = Predictions(said.y[order], said.predicted[order], said.probabilities[order])  # type: ignore[index]
    assert intervals(mixed)["auroc"] == pytest.approx(intervals(said)["auroc"])


@pytest.mark.parametrize("right", [0, 1, 30, 57, 60])
def test_accuracy_has_the_exact_binomial_interval_with_mid_p(right: int) -> None:
    y = [1, 0] * 30
    low, high = intervals(certain(y, [*y[:right], *(1 - one for one in y[right:])]))["accuracy"]
    less, more = binom.cdf(right, 60, high), binom.sf(right, 60, low)
    assert right in (0, 60) or less - binom.pmf(right, 60, high) / 2 == pytest.approx(0.025, rel=0.05)
    assert right in (0, 60) or more + binom.pmf(right, 60, low) / 2 == pytest.approx(0.025, rel=0.05)
    assert (low == 0) == (right == 0)
    assert (high == 1) == (right == 60)


def test_sixty_right_answers_leave_the_rule_of_three() -> None:
    y = [1, 0] * 30
    found = intervals(certain(y, y))
    assert found["accuracy"] == pytest.approx([1 - 3 / 60, 1], abs=0.002)
    assert found["auroc"] == pytest.approx([1 - 3 / 30, 1], abs=0.006)
    by_ten = intervals(certain(y, y), np.arange(60) // 6)
    assert by_ten["accuracy"][0] == pytest.approx(0.05 ** (1 / 10))


def test_a_worse_score_has_no_better_bound() -> None:
    y = np.repeat([0, 1], 30)
    positive = np.linspace(0, 1, 60)
    swapped = positive.copy()
    swapped[[29, 30]] = swapped[[30, 29]]
    one, other = (Predictions(y, (p > 0.5).astype(int), np.stack([1 - p, p], axis=1)) for p in (positive, swapped))
    assert all(intervals(other)[name][0] <= intervals(one)[name][0] for name in ("auroc", "auprc", "accuracy", "mcc"))


def test_mean_absolute_error_is_a_mean_to_student() -> None:
    rng = np.random.default_rng(5)
    y, errors = rng.normal(size=400), np.abs(rng.normal(size=400))
    low, high = intervals(Predictions(y, y + errors))["mae"]
    reach = student.ppf(0.975, 399) * errors.std(ddof=1) / 20
    assert [low, high] == pytest.approx([errors.mean() - reach, errors.mean() + reach], rel=0.02)


def test_auroc_has_the_variance_of_delong() -> None:
    said = classes(2, n=400)
    scores, y = said.probabilities[:, 1], said.y == 1  # type: ignore[index]
    above = (scores[y][:, None] > scores[~y]) + (scores[y][:, None] == scores[~y]) / 2
    variance = above.mean(axis=1).var(ddof=1) / y.sum() + above.mean(axis=0).var(ddof=1) / (~y).sum()
    low, high = intervals(said)["auroc"]
    assert high - low == pytest.approx(2 * norm.ppf(0.975) * np.sqrt(variance), rel=0.03)


def test_rows_of_one_group_do_not_count_as_many() -> None:
    said = classes(2, n=100)
    copied = Predictions(*(np.repeat(values, 20, axis=0) for values in (said.y, said.predicted, said.probabilities)))  # type: ignore[arg-type]
    alone, grouped = intervals(said), intervals(copied, np.repeat([f"p{i}" for i in range(100)], 20))
    assert {name: grouped[name] for name in ("auroc", "brier", "log_loss", "f1")} == {
        name: pytest.approx(alone[name], rel=0.01) for name in ("auroc", "brier", "log_loss", "f1")
    }


def test_blocks_of_very_many_rows_know_what_single_rows_know(monkeypatch: pytest.MonkeyPatch) -> None:
    single = intervals(quantities(1000))
    monkeypatch.setitem(intervals.__globals__, "_MOST_CELLS", 300_000)
    blocks = intervals(quantities(1000))
    assert blocks != single
    assert {name: high - low for name, (low, high) in blocks.items()} == pytest.approx(
        {name: high - low for name, (low, high) in single.items()}, rel=0.15
    )


def test_the_worth_of_a_few_sure_rows_of_a_rare_class() -> None:
    rare = certain([1] * 3 + [0] * 297, [1] * 3 + [0] * 297)
    found = intervals(rare)
    assert found["accuracy"][0] > 0.98
    assert found["balanced_accuracy"][0] == pytest.approx(0.05 ** (1 / 6))
    assert found["auroc"][0] == pytest.approx(0.05 ** (1 / 3))


def test_calibration_error_of_a_calibrated_model_may_be_none() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300)
    y = (rng.random(300) < positive).astype(int)
    said = Predictions(y, (positive > 0.5).astype(int), np.stack([1 - positive, positive], axis=1))
    low, high = intervals(said)["calibration_error"]
    assert low == 0
    assert high < 0.08
    # Twice as sure as it may be: gaps that no chance explains.
    sure = np.where(positive > 0.5, 0.99, 0.01)
    low, _ = intervals(Predictions(y, (sure > 0.5).astype(int), np.stack([1 - sure, sure], axis=1)))[
        "calibration_error"
    ]
    assert low > 0.1
