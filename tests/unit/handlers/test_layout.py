"""The layout of features in a plane: everyone has a place of their own, neighbours belong together."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from handlers.networks.plane import Plane, side_of
from handlers.training.layout import MOST_SORTED, fit_layout


def likeness_of_neighbours(X: np.ndarray, cells: np.ndarray) -> float:
    """The mean correlation of features that lie side by side."""
    p = X.shape[1]
    square = np.full(side_of(p) ** 2, -1)
    square[cells] = np.arange(p)
    square = square.reshape(side_of(p), -1)
    Z = X - X.mean(axis=0)
    Z /= np.maximum(Z.std(axis=0), 1e-9)
    likeness = []
    for one, other in ((square[:, 1:], square[:, :-1]), (square[1:], square[:-1])):
        both = (one >= 0) & (other >= 0)
        likeness.append((Z[:, one[both]] * Z[:, other[both]]).mean(axis=0))
    return float(np.concatenate(likeness).mean())


@pytest.mark.parametrize("p", [1, 2, 3, 5, 16, 17, 30, 200, MOST_SORTED + 1])
@pytest.mark.parametrize("n", [1, 20])
def test_every_feature_has_a_cell_of_its_own_in_the_smallest_square(n: int, p: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, p))
    cells = fit_layout(X)
    assert cells.shape == (p,)
    assert len(set(cells.tolist())) == p
    assert cells.min() >= 0
    assert cells.max() < side_of(p) ** 2
    assert (side_of(p) - 1) ** 2 < p <= side_of(p) ** 2


def test_shuffled_pixels_find_their_neighbours_again() -> None:
    pixels = load_digits().data[:300]
    shuffled = pixels[:, np.random.default_rng(1).permutation(64)]
    assert likeness_of_neighbours(shuffled, np.arange(64)) < 0.05
    assert likeness_of_neighbours(shuffled, fit_layout(shuffled)) > 0.2


def test_many_features_are_sorted_by_what_they_share() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 3000)) + 0.5 * rng.normal(size=(60, 3000))
    assert likeness_of_neighbours(shared, fit_layout(shared)) > 0.3


def test_the_same_rows_give_the_same_layout_in_any_units() -> None:
    X = np.random.default_rng(3).normal(size=(40, 90))
    assert (fit_layout(X) == fit_layout(X.copy())).all()
    assert (fit_layout(X) == fit_layout(X * 1024)).all()


@pytest.mark.parametrize("X", [np.zeros((10, 30)), np.full((10, 30), 1e300), np.eye(10, 30) * 1e300])
def test_constant_and_immense_features_are_taken_as_they_come(X: np.ndarray) -> None:
    assert len(set(fit_layout(X).tolist())) == 30


def test_twenty_thousand_genes_have_a_layout_too() -> None:
    cells = fit_layout(np.random.default_rng(4).normal(size=(60, 20_000)))
    assert len(set(cells.tolist())) == 20_000


def test_a_plane_puts_every_feature_into_its_cell() -> None:
    plane = Plane([3, 0, 1])
    assert plane(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[[[2.0, 3.0], [0.0, 1.0]]]]


@pytest.mark.parametrize("layout", [[], [0, 0, 1], [0, 1, 4], [-1, 0, 1]])
def test_a_plane_refuses_cells_that_do_not_fit(layout: list[int]) -> None:
    with pytest.raises(ValueError, match=f"{len(layout)} features need different cells"):
        Plane(layout)
