"""Weights and meta-learners on answers that are made up."""

from functools import partial

import numpy as np
import pytest

from events.requests import EnsembleRequested
from handlers.ensemble.blending import _losses, blended, selected
from handlers.ensemble.combining import combined
from handlers.ensemble.folds import deal, strata_of
from handlers.ensemble.learning import learned
from handlers.ensemble.practice import Practice
from handlers.ensemble.stacking import fitted, stacked
from handlers.units import units_of


def chances(y: np.ndarray, k: int, skill: float, seed: int) -> np.ndarray:
    """(n, k): what somebody says who knows the truth as far as `skill` goes."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(len(y), k))
    scores[np.arange(len(y)), y] += skill
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def classes(*skills: float, n: int = 120, k: int = 3, seed: int = 0) -> Practice:
    y = np.random.default_rng(seed).integers(0, k, n)
    said = [chances(y, k, skill, 100 * seed + place) for place, skill in enumerate(skills)]
    return Practice.of(np.stack(said), y, None)


def values(*noises: float, n: int = 120, seed: int = 0) -> Practice:
    rng = np.random.default_rng(seed)
    y = 50 + 10 * rng.normal(size=n)
    return Practice.of(np.stack([y + noise * rng.normal(size=n) for noise in noises]), y, None)


def loss(combination: dict, practice: Practice) -> float:
    return float(practice.losses(combined(combination, practice.said)).mean())


# --- blending


@pytest.mark.parametrize("practice", [classes(2, 1, 0), values(3, 6, 30)])
def test_blending_gives_shares_that_sum_to_one(practice: Practice) -> None:
    found = blended(practice, 0)
    assert sum(found["weights"]) == pytest.approx(1)
    assert min(found["weights"]) >= 0
    assert found == blended(practice, 0)


def test_greedy_selection_prefers_who_knows() -> None:
    weights = selected(classes(4, 0, 0, n=400), 0)
    assert weights[0] > 0.7
    useless = selected(values(1, 100, 100, n=400), 0)
    assert useless[0] > 0.9


def test_where_all_know_as_much_weights_stay_equal() -> None:
    found = blended(classes(1.5, 1.5, 1.5, 1.5, n=60), 0)
    assert max(found["weights"]) - min(found["weights"]) < 0.2


def test_a_member_that_knows_nothing_is_left_out_where_rows_say_so() -> None:
    found = blended(classes(3, -2, n=300), 0)
    assert found["weights"][0] > 0.85
    assert found["shrunk"] < 1


def test_an_error_weighs_the_same_in_every_fold_of_groups() -> None:
    groups = np.repeat(np.arange(10), 6)
    # Groups differ much, rows of one group little: a fold's own variance is not that of all.
    y = 100.0 * groups**2 + np.random.default_rng(0).normal(size=60)
    practice = Practice.of(np.stack([y + 1, y + 1]), y, groups)
    np.testing.assert_allclose(_losses(practice, 0), np.full((5, 60), 1 / y.var()), rtol=1e-6)


# --- stacking


def test_without_any_evidence_stacking_is_equal_weights() -> None:
    found = fitted(classes(2, 1, 0.5), 1e6)["meta"]
    np.testing.assert_allclose(np.array(found["coef"])[0].reshape(3, 3)[:, 0], 1 / 3, atol=1e-4)
    np.testing.assert_allclose(found["intercept"], 0, atol=1e-4)
    ridge = fitted(values(3, 6), 1e9)["meta"]
    np.testing.assert_allclose(ridge["coef"], [[0.5, 0.5]], atol=1e-6)
    assert ridge["intercept"][0] == pytest.approx(0, abs=1e-4)


def test_stacking_finds_the_weights_that_squares_would() -> None:
    practice = values(2, 4, n=2000)
    ridge = fitted(practice, 1e-9)["meta"]
    rows = np.column_stack([practice.said.T, np.ones(2000)])
    expected = np.linalg.lstsq(rows, practice.y, rcond=None)[0]
    np.testing.assert_allclose([*ridge["coef"][0], ridge["intercept"][0]], expected, rtol=1e-3)


def test_stacking_sharpens_members_that_know_different_things() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(500, 3))
    y = (hidden.sum(axis=1) > 0).astype(int)
    one = 1 / (1 + np.exp(-hidden.T))
    practice = Practice.of(np.stack([1 - one, one], axis=2), y, None)
    equal = {"voting": "soft", "weights": [1 / 3] * 3, "meta": None}
    found = stacked(practice, 0)
    assert loss(found, practice) < loss(equal, practice) - 0.1
    assert np.min(found["meta"]["coef"]) >= 0


def test_impossible_answers_do_not_break_it() -> None:
    y = np.array([0, 1] * 20)
    sure = np.eye(2)[y]
    wrong = np.eye(2)[1 - y]
    for step in (blended, stacked):
        answers = combined(step(Practice.of(np.stack([sure, wrong]), y, None), 0), np.stack([sure, wrong]))
        assert np.isfinite(answers).all()
        assert (answers.argmax(axis=1) == y).all()
    constant = Practice.of(np.ones((2, 40)), np.ones(40), None)
    assert np.isfinite(combined(stacked(constant, 0), constant.said)).all()
    assert blended(constant, 0)["weights"] == pytest.approx([0.5, 0.5])


# --- folds


def test_folds_are_alike_and_the_same_each_time() -> None:
    y = np.repeat([0, 1, 2], [60, 25, 5])
    folds = deal(strata_of(y, 3), units_of(None, 90), 5, seed=1)
    assert [np.bincount(folds[y == label], minlength=5).tolist() for label in range(3)] == [[12] * 5, [5] * 5, [1] * 5]
    assert (folds == deal(strata_of(y, 3), units_of(None, 90), 5, seed=1)).all()
    assert (folds != deal(strata_of(y, 3), units_of(None, 90), 5, seed=2)).any()


def test_groups_stay_whole() -> None:
    groups = np.repeat([f"P{i}" for i in range(12)], 7)
    folds = deal(strata_of(np.arange(84.0), None), units_of(groups, 84), 4, seed=0)
    assert all(len(set(folds[groups == name])) == 1 for name in set(groups))
    assert set(folds) == set(range(4))
    assert np.bincount(folds).tolist() == [21] * 4


def test_no_row_is_answered_by_what_has_seen_its_group() -> None:
    groups = np.repeat(np.arange(10), 6)
    practice = Practice.of(values(1, 2, n=60).said, values(1, 2, n=60).y, groups)
    asked: list[set[int]] = []

    def learn(part: Practice) -> dict:
        asked.append(set(np.unique(part.units)))
        return {"voting": "soft", "weights": [0.5, 0.5], "meta": None}

    practice.unseen(learn, practice.folds(0))
    assert len(asked) == 5
    assert all(len(seen) == 8 for seen in asked)
    assert set.union(*({*range(10)} - seen for seen in asked)) == set(range(10))


# --- a request


def requested(method: str, **more: object) -> EnsembleRequested:
    return EnsembleRequested.model_validate({"model_ids": ["a", "b"], "method": method, **more})


def test_the_combinations_score_is_of_rows_it_has_not_seen() -> None:
    practice = classes(1, 1, n=40, k=3)
    found = learned(requested("stacking"), practice, 2, "log_loss")
    seen = loss(stacked(practice, 0), practice)
    assert found.score is not None
    assert found.score >= seen
    assert found.scores == pytest.approx([practice.losses(said).mean() for said in practice.said])
    vote = learned(requested("voting"), practice, 2, "log_loss")
    assert vote.score == pytest.approx(loss(vote.combination, practice))


def test_without_rows_weights_are_equal_and_that_is_said() -> None:
    found = learned(requested("stacking"), None, 2, "log_loss")
    assert found.combination["weights"] == [0.5, 0.5]
    assert (found.score, found.scores) == (None, [None, None])
    assert "equal weights" in found.warnings[0]
    assert not learned(requested("voting"), None, 2, "log_loss").warnings


def test_one_patient_teaches_nothing() -> None:
    rows = classes(3, 0, n=30)
    alone = Practice.of(rows.said, rows.y, np.zeros(30))
    assert learned(requested("blending"), alone, 2, "log_loss").combination["weights"] == [0.5, 0.5]


def test_very_many_rows_are_thinned() -> None:
    many = classes(1, 1, n=5000)
    assert len(many.thinned(0).y) == 2000
    assert (many.thinned(0).y == many.thinned(0).y).all()
    assert partial(many.thinned, 1)().said.shape == (2, 2000, 3)
