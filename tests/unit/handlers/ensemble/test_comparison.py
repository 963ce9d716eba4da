"""Members beside each other: which is the best, and how alike their errors are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.ensemble.comparison import best_of, error_correlation
from handlers.ensemble.members import Member, digest_of


def members(*validation: float | None) -> list[Member]:
    return [
        Member(str(place), Path(), {"validation_score": score}, {"features": []})
        for place, score in enumerate(validation)
    ]


@pytest.mark.parametrize(
    ("scores", "validation", "metric", "best"),
    [
        ([0.5, 0.3, 0.4], [0.1, 0.2, 0.3], "log_loss", 1),
        ([0.5, 0.3, 0.4], [0.1, 0.2, 0.3], "accuracy", 0),
        ([None, None, None], [0.1, 0.3, 0.2], "accuracy", 1),
        ([0.5, None, 0.4], [0.9, 0.2, 0.3], "log_loss", 1),
        ([None, None, None], [None, 0.3, None], "log_loss", 1),
        ([0.3, 0.3, 0.3], [0.1, 0.1, 0.1], "log_loss", 0),
    ],
)
def test_the_best_is_chosen_by_rows_that_nobody_has_seen(
    scores: list[Any], validation: list[Any], metric: str, best: int
) -> None:
    assert best_of(members(*validation), scores, metric) == best


def test_errors_of_classes_are_what_is_given_to_others_than_the_true_one() -> None:
    y = np.array([0, 1, 1, 0])
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    found = error_correlation(np.stack([right, right, np.full((4, 2), 0.5)]), y)
    assert found[0][:2] == [1.0, 1.0]
    assert found[2] == [None, None, None]
    assert found[0][2] is None


def test_errors_of_numbers_have_a_sign() -> None:
    y = np.array([1.0, 2.0, 3.0])
    error = np.array([0.1, -0.2, 0.3])
    assert error_correlation(np.stack([y + error, y - error]), y) == [[1.0, -1.0], [-1.0, 1.0]]


def test_one_hash_stands_for_all_files() -> None:
    files = {"a/b": "1" * 64, "a.b": "2" * 64}
    assert digest_of(files) == digest_of(dict(reversed(files.items())))
    assert digest_of(files) != digest_of({**files, "c": "3" * 64})
