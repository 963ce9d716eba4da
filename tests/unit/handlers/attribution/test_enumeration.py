"""Shapley values out of a table of worths, against the definition over all orders."""

from itertools import permutations

import numpy as np

from handlers.attribution.enumeration import shares_of_table, sum_over_subsets


def test_shares_are_the_mean_over_all_orders() -> None:
    players, outputs = 5, 2
    table = np.random.default_rng(1).normal(size=(outputs, 1 << players))
    expected, orders = np.zeros((players, outputs)), list(permutations(range(players)))
    for order in orders:
        subset = 0
        for i in order:
            expected[i] += (table[:, subset | 1 << i] - table[:, subset]) / len(orders)
            subset |= 1 << i
    shares = np.full((players, outputs), np.nan)
    shares_of_table(table, players, shares)
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_one_player_gets_everything() -> None:
    shares = np.zeros((1, 1))
    shares_of_table(np.array([[2.0, 5.0]]), 1, shares)
    assert shares.item() == 3.0


def test_sums_over_subsets() -> None:
    table = np.array([[1.0, 10.0, 100.0, 1000.0]])
    sum_over_subsets(table, 2)
    assert table.tolist() == [[1.0, 11.0, 101.0, 1111.0]]
