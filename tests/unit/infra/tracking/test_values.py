"""Nested settings within MLflow's limits."""

import math

from infra.tracking.values import LONGEST_PARAM, MOST_PARAMS, batches, finite, params


def test_nested_settings_become_flat_and_what_says_nothing_is_left_out() -> None:
    told = params(
        {"dataset_id": "cohort", "seed": 0, "name": None, "note": "", "tuning": False},
        {"hyperparameters": {"GBM": {"lr": 0.1, "empty": {}}, "layers": [1, 2]}},
    )
    assert told == {
        "dataset_id": "cohort",
        "seed": "0",
        "tuning": "false",
        "hyperparameters.GBM.lr": "0.1",
        "hyperparameters.GBM.empty": "{}",
        "hyperparameters.layers": "[1, 2]",
    }


def test_twenty_thousand_columns_are_counted_and_cut() -> None:
    told = params({"feature_columns": [f"gene {i}" for i in range(20_000)]})["feature_columns"]
    assert told.startswith('20000: ["gene 0", ')
    assert len(told) == LONGEST_PARAM


def test_no_more_parameters_than_anybody_reads() -> None:
    assert len(params({str(i): i for i in range(10_000)})) == MOST_PARAMS


def test_what_is_no_number_is_no_score() -> None:
    assert finite({"a": 1.0, "b": math.nan, "c": math.inf, "d": None, "e?": 2.0}) == {"a": 1.0, "e_": 2.0}


def test_batches() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([])) == []
