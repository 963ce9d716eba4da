"""Sums of terms through each link: exact for a dozen features, right within the standard error above."""

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from support.all_subsets import by_all_subsets

from handlers.anatomy.linear import additive
from handlers.attribution.additive import AdditivePart
from handlers.attribution.enumeration import answer_table, shares_of_table
from handlers.attribution.links import IDENTITY, SIGMOID, SOFTMAX


def quiet(share: float) -> None:
    assert 0 <= share <= 1


def part(p: int, outputs: int, link: int) -> AdditivePart:
    weights = np.random.default_rng(5).normal(size=(p, outputs))
    names = [f"gene {i}" for i in range(p)]
    return AdditivePart(names, lambda X: X.to_numpy()[:, :, None] * weights, np.linspace(-1, 1, outputs), link)


def tables(p: int, rows: int = 3, background: int = 9) -> tuple[pd.DataFrame, pd.DataFrame]:
    X = np.random.default_rng(2).normal(size=(rows + background, p))
    table = pd.DataFrame(X, columns=[f"gene {i}" for i in range(p)])
    return table[:rows], table[rows:]


@pytest.mark.parametrize(("outputs", "link"), [(1, IDENTITY), (1, SIGMOID), (2, SOFTMAX), (3, SOFTMAX), (3, SIGMOID)])
def test_exact_for_few_features(outputs: int, link: int) -> None:
    model, (X, background) = part(6, outputs, link), tables(6)
    found = model.attributions(X, background, quiet, 0)
    weights, bias = model.terms(pd.DataFrame(np.eye(6), columns=model.features)).sum(axis=1), model.bias
    linked = {IDENTITY: lambda z: z, SIGMOID: expit, SOFTMAX: lambda z: softmax(z, axis=1)}[link]

    def ask(rows: np.ndarray) -> np.ndarray:
        answers = linked(bias + rows @ weights)
        return answers[:, 1:] if link == SOFTMAX and outputs == 2 else answers

    expected = by_all_subsets(ask, X.to_numpy(), background.to_numpy())
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.exactness == "exact"
    assert found.values.shape[2] == model.n_outputs
    assert found.additivity_error() < 1e-12


@pytest.mark.parametrize(("outputs", "link"), [(1, SIGMOID), (3, SOFTMAX)])
def test_many_features_are_right_within_the_standard_error(outputs: int, link: int) -> None:
    p = 14
    model, (X, background) = part(p, outputs, link), tables(p, rows=4, background=40)
    expected = np.zeros((len(X), p, outputs))
    mine, theirs, shares = model.terms(X), model.terms(background), np.zeros((p, outputs))
    subsets = np.arange(1 << p)[:, None] >> np.arange(p) & 1
    for i in range(len(X)):
        for b in range(len(background)):
            start = model.bias + theirs[b].sum(axis=0)
            table = np.ascontiguousarray((start + subsets @ (mine[i] - theirs[b])).T)
            answer_table(link, table, p)
            shares_of_table(table, p, shares)
            expected[i] += shares / len(background)
    found = model.attributions(X, background, quiet, 0)
    said = re.search(r"standard error ([\d.e-]+), measured on every value \(largest ([\d.e-]+)\)", found.exactness)
    assert said, found.exactness
    error = found.values - expected
    assert 0 < np.sqrt((error**2).mean()) < 3 * float(said[1])
    assert np.abs(error).max() < 5 * float(said[2])
    assert float(said[2]) < 0.05
    assert found.additivity_error() < 1e-12


def test_features_that_do_not_differ_get_nothing() -> None:
    model, (X, background) = part(20, 1, SIGMOID), tables(20)
    background = background.assign(**{name: X[name].iloc[0] for name in model.features[5:]})
    found = model.attributions(X[:1], background, quiet, 0)
    assert found.exactness == "exact"
    assert (found.values[0, 5:] == 0).all()
    assert (found.values[0, :5] != 0).all()


def test_it_stops_when_told() -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        part(20, 1, SIGMOID).attributions(*tables(20), stop, 0)


def test_answers_of_many_columns_and_classes_need_no_term_of_each() -> None:
    n, p, k = 1_000, 20_000, 10
    dice = np.random.default_rng(0)
    weight, bias = dice.normal(size=(k, p)) / p, dice.normal(size=k)
    names = [f"gene {i}" for i in range(p)]
    model = additive(names, lambda X: X.to_numpy().astype(np.float64), np.arange(p), weight, bias, SOFTMAX)
    X = pd.DataFrame(dice.normal(size=(n, p)), columns=names)
    tracemalloc.start()
    try:
        said = model.answers(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300e6
    np.testing.assert_allclose(said, softmax(X.to_numpy() @ weight.T + bias, axis=1), atol=1e-12)
    assert model.answers(X[:0]).shape == (0, k)


@pytest.mark.parametrize(("k", "link"), [(1, IDENTITY), (1, SIGMOID), (2, SOFTMAX), (3, SOFTMAX)])
def test_margins_are_the_sums_of_terms(k: int, link: int) -> None:
    dice = np.random.default_rng(0)
    weight, owners = dice.normal(size=(k, 4)), np.array([0, 1, 1, 2])
    X = pd.DataFrame(dice.normal(size=(5, 3)), columns=["a", "b", "c"])
    model = additive(list(X), lambda t: t.to_numpy()[:, owners] ** 2, owners, weight, np.linspace(-1, 1, k), link)
    assert isinstance(model, AdditivePart)
    np.testing.assert_allclose(model.answers(X), replace(model, margins=None).answers(X), atol=1e-12)
    found = model.attributions(X, X, quiet, 0)
    assert found.additivity_error() < 1e-12


def test_what_is_sampled_is_told_as_it_is_done() -> None:
    said = part(20, 1, SIGMOID).attributions(*tables(20), quiet, 0).exactness
    assert "orders are sampled" in said
    assert "carried" not in said
