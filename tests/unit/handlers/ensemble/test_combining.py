"""The arithmetic that is copied into every artifact."""

import numpy as np
import pytest

from handlers.ensemble.combining import combined
from handlers.ensemble.voting import voted


def said(*rows_of_members: list[list[float]]) -> np.ndarray:
    return np.array(rows_of_members, dtype=float)


def test_soft_voting_is_the_weighted_mean() -> None:
    answers = combined(voted(2, [3.0, 1.0], "soft"), said([[0.8, 0.2]], [[0.4, 0.6]]))
    np.testing.assert_allclose(answers, [[0.7, 0.3]])
    values = combined(voted(2, None, "soft"), np.array([[1.0, 4.0], [3.0, 0.0]]))
    np.testing.assert_allclose(values, [2.0, 2.0])


@pytest.mark.parametrize("weights", [[1e308, 1e308], [5e-324, 5e-324], [7.0, 7.0]])
def test_any_positive_weights_are_brought_to_one(weights: list[float]) -> None:
    assert voted(2, weights, "soft")["weights"] == [0.5, 0.5]


def test_a_narrow_majority_wins_however_sure_the_others_are() -> None:
    sure = [[0.0, 1.0]]
    hardly = [[0.51, 0.49]]
    answers = combined(voted(3, None, "hard"), said(hardly, hardly, sure))
    assert answers.argmax(axis=1).tolist() == [0]
    narrow = combined(voted(2, [0.5001, 0.4999], "hard"), said(hardly, sure))
    assert narrow.argmax(axis=1).tolist() == [0]
    assert combined(voted(3, None, "soft"), said(hardly, hardly, sure)).argmax(axis=1).tolist() == [1]


def test_ties_go_to_what_the_members_find_likelier_and_nothing_is_impossible() -> None:
    answers = combined(voted(2, None, "hard"), said([[0.6, 0.3, 0.1]], [[0.05, 0.9, 0.05]]))
    assert answers.argmax(axis=1).tolist() == [1]
    assert answers.sum() == pytest.approx(1)
    assert (answers > 0).all()
    alike = combined(voted(3, None, "hard"), said([[0.8, 0.2]], [[0.7, 0.3]], [[0.9, 0.1]]))
    assert 0.7 < alike[0, 0] < 1


def test_every_class_with_as_many_votes_is_no_number_beyond_reach() -> None:
    third = [[0.4, 0.3, 0.3]], [[0.3, 0.4, 0.3]], [[0.2, 0.2, 0.6]]
    answers = combined(voted(3, None, "hard"), said(*third))
    assert np.isfinite(answers).all()
    assert answers.argmax(axis=1).tolist() == [2]


def test_a_logistic_meta_learner_with_weights_of_one_over_m_is_the_geometric_mean() -> None:
    members = said([[0.8, 0.2]], [[0.2, 0.8]], [[0.9, 0.1]])
    coef = np.tile(np.eye(2) / 3, (1, 3))
    meta = {"kind": "logistic", "inputs": "logits", "least": 1e-4, "coef": coef.tolist(), "intercept": [0.0, 0.0]}
    answers = combined({"method": "stacking", "voting": "soft", "weights": None, "meta": meta}, members)
    expected = np.prod(members, axis=0) ** (1 / 3)
    np.testing.assert_allclose(answers, expected / expected.sum())


def test_a_ridge_meta_learner_is_linear() -> None:
    meta = {"kind": "ridge", "inputs": "values", "coef": [[0.5, 2.0]], "intercept": [-1.0]}
    answers = combined({"voting": "soft", "weights": None, "meta": meta}, np.array([[2.0, 0.0], [1.0, 3.0]]))
    np.testing.assert_allclose(answers, [2.0, 5.0])
