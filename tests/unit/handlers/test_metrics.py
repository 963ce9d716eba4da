"""Scores against scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy.stats import spearmanr
from support.predictions import classes, quantities

from handlers.metrics import CLASSIFICATION, REGRESSION, Predictions, is_better, score


@pytest.mark.parametrize("k", [2, 4, 10])
def test_classification_scores_are_those_of_scikit_learn(k: int) -> None:
    said = classes(k, n=500)
    y, predicted, probabilities = said.y, said.predicted, said.probabilities
    positive = probabilities[:, 1] if k == 2 else probabilities
    expected = {
        "accuracy": reference.accuracy_score(y, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(y, predicted),
        "f1": reference.f1_score(y, predicted, average="binary" if k == 2 else "macro"),
        "auroc": reference.roc_auc_score(y, positive, multi_class="ovr"),
        "auprc": reference.average_precision_score(y if k == 2 else np.eye(k)[y], positive),
        "mcc": reference.matthews_corrcoef(y, predicted),
        "log_loss": reference.log_loss(y, probabilities),
        "brier": reference.brier_score_loss(y, positive),
    }
    found = score(said)
    assert set(found) == set(CLASSIFICATION)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_regression_scores_are_those_of_scikit_learn() -> None:
    said = quantities(500)
    expected = {
        "rmse": reference.root_mean_squared_error(said.y, said.predicted),
        "mae": reference.mean_absolute_error(said.y, said.predicted),
        "r2": reference.r2_score(said.y, said.predicted),
        "spearman": spearmanr(said.y, said.predicted)[0],
    }
    assert tuple(expected) == REGRESSION
    assert score(said) == pytest.approx(expected)


def test_calibration_error_is_the_mean_gap_between_confidence_and_truth() -> None:
    probabilities = np.array([[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 10)
    y = np.array([0] * 6 + [1] * 4 + [1] * 9 + [0])
    found = score(Predictions(y, probabilities.argmax(axis=1), probabilities))
    assert found["calibration_error"] == pytest.approx(0.5 * abs(0.6 - 0.8) + 0.5 * abs(0.9 - 0.6))


def test_a_large_mean_does_not_swallow_the_variance() -> None:
    said = quantities(500)
    shifted = Predictions(said.y + 1e9, said.predicted + 1e9)
    assert score(shifted)["r2"] == pytest.approx(score(said)["r2"], rel=1e-5)


def test_what_is_undefined_is_left_out() -> None:
    one_class = Predictions(np.zeros(10, int), np.zeros(10, int), np.tile([0.9, 0.1], (10, 1)))
    assert not {"auroc", "auprc"} & set(score(one_class))
    constant = Predictions(np.ones(10), np.arange(10.0))
    assert set(score(constant)) == {"rmse", "mae"}


def test_a_certain_mistake_is_costly_but_finite() -> None:
    certain = Predictions(np.array([0, 1]), np.array([1, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert score(certain)["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_which_way_is_better() -> None:
    assert is_better("accuracy", 0.9, than=0.8)
    assert is_better("rmse", 1.0, than=2.0)
    assert not is_better("log_loss", 0.3, than=0.3)
