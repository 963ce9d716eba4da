"""What is told of values: each method once, its weight, and errors that add up as errors do."""

import pytest

from handlers.attribution.accounts import Account, exactness, method, of_blocks, of_sum

TREES, TERMS = Account("trees"), Account("terms")
SAMPLED = Account("trees", "sampled", error=0.03, largest=0.1)


def test_one_exact_method_is_told_in_two_words() -> None:
    told = of_sum([[TREES.weighed(0.7)], [TREES.weighed(0.3)]])
    assert (method(told), exactness(told)) == ("trees", "exact")


def test_methods_stand_by_their_weight_however_deep_the_sum() -> None:
    inner = of_sum([[TERMS.weighed(0.5)], [SAMPLED.weighed(0.5)]])
    told = of_sum([[account.weighed(0.8) for account in inner], [TERMS.weighed(0.2)]])
    assert method(told) == "terms (0.6 of the answer), trees (0.4 of the answer)"
    assert exactness(told) == (
        "terms: exact; trees: sampled; standard error 0.01, measured on every value (largest 0.04)"
    )


def test_independent_errors_add_up_as_squares_and_the_largest_at_worst() -> None:
    (told,) = of_sum([[SAMPLED.weighed(0.6)], [SAMPLED.weighed(-0.8)]])
    assert told.error == pytest.approx(0.03)
    assert told.largest == pytest.approx(0.14)
    assert told.weight == pytest.approx(1.4)


def test_blocks_of_samples_share_their_errors_by_size() -> None:
    (told,) = of_blocks([[SAMPLED], [Account("trees", "sampled", error=0.0, largest=0.02)]], [1, 3])
    assert told.error == pytest.approx(0.015)
    assert (told.largest, told.weight) == (0.1, pytest.approx(1))
