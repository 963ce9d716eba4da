"""Sampled orders, subsets, gradients and sums against games whose Shapley values are known."""

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from handlers.anatomy.asked import AskedPart
from handlers.attribution.games import ArrayGame, TableGame
from handlers.attribution.gradients import gradients
from handlers.attribution.permutation import pairs_for, sampled_values
from handlers.attribution.smooth import SmoothPart
from handlers.attribution.subsets import enumerated_values
from handlers.attribution.sums import Sum


def tell(_: float) -> None: ...


def numbers(n: int, p: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, p))


def bent(Z: Any) -> Any:
    """Two answers that are no sums of their columns."""
    return np.column_stack([Z[:, 0] * Z[:, 1] + np.abs(Z[:, 2]), np.tanh(Z.sum(axis=1))])


def arrays(p: int = 6) -> tuple[ArrayGame, Any, Any]:
    X, B = numbers(3, p), numbers(8, p, 1)
    return ArrayGame(bent, X, B, np.arange(p), p), bent(X), bent(B).mean(axis=0)


def test_orders_come_close_and_say_how_close() -> None:
    game, predictions, base = arrays()
    true = enumerated_values(game, np.arange(6), 2, tell)
    found = sampled_values(game, predictions, base, tell, seed=0, n_pairs=64)
    off = np.abs(found.values - true)
    assert np.allclose(found.values.sum(axis=1) + base, predictions)
    assert off.max() < 4 * max(found.errors.max(), 1e-12)
    assert np.sqrt((off**2).mean()) < 2 * np.sqrt((found.errors**2).mean())
    more = sampled_values(game, predictions, base, tell, seed=0, n_pairs=1024)
    assert more.errors.mean() < 0.5 * found.errors.mean()
    assert "1024 pairs" in more.account("orders").exactness


def test_the_same_seed_asks_and_says_the_same_however_fast_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    game, predictions, base = arrays()
    sizes: dict[float, list[int]] = {}
    found = []
    for seconds in (0.0, 1e-3, 100.0):  # between two looks at the clock
        asked: list[int] = sizes.setdefault(seconds, [])

        def told(Z: Any, asked: list[int] = asked) -> Any:
            asked.append(len(Z))
            return bent(Z)

        some = ArrayGame(told, numbers(3, 6), numbers(8, 6, 1), np.arange(6), 6)
        clock = SimpleNamespace(monotonic=count(0.0, seconds).__next__)
        monkeypatch.setattr("handlers.attribution.permutation.time", clock)
        found.append(sampled_values(some, predictions, base, tell, seed=3, n_pairs=300).values)
    assert sum(sizes[0.0]) > 2_000
    assert len(sizes[0.0]) > 2
    assert sizes[0.0] == sizes[1e-3] == sizes[100.0]
    assert np.array_equal(found[0], found[2])
    one = sampled_values(game, predictions, base, tell, 3, 10)
    assert not np.array_equal(one.values, sampled_values(game, predictions, base, tell, 4, 10).values)


def test_columns_that_are_alike_in_both_rows_have_no_share() -> None:
    X, B = numbers(2, 5), numbers(4, 5, 1)
    X[:, 3] = B[:, 3] = 0.5
    game = ArrayGame(bent, X, B, np.arange(5), 5)
    found = sampled_values(game, bent(X), bent(B).mean(axis=0), tell, 0, 8)
    assert (found.values[:, 3] == 0).all()
    assert (found.errors[:, 3] == 0).all()


def test_one_pair_of_orders_still_tells_an_error() -> None:
    game, predictions, base = arrays()
    found = sampled_values(game, predictions, base, tell, 0, n_pairs=1)
    assert found.errors.max() > 0
    assert (pairs_for(100, 30), pairs_for(50, 765), pairs_for(100, 20_000)) == (50, 5, 1)


def mixed(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "größe": rng.normal(size=n),
            "n": rng.integers(0, 4, n),
            "ja": rng.random(n) < 0.5,
            "wort": pd.Categorical(rng.choice(["a", "b"], n)),
            "tag": pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9, n), unit="D"),
            "text": rng.choice(["x", "y", None], n),
            "lücke": np.where(rng.random(n) < 0.5, np.nan, 1.5),
        }
    )


def told(table: pd.DataFrame) -> Any:
    day = (table["tag"] - pd.Timestamp("2020-01-01", tz="UTC")).dt.days
    amount = table["größe"] * (1 + table["ja"]) + table["n"] * (table["wort"] == "a") + day * table["lücke"].fillna(0)
    return (amount + 2 * (table["text"] == "x")).to_numpy(dtype=float)[:, None]


def test_tables_of_mixed_types_keep_them() -> None:
    X, B = mixed(6, 0), mixed(7, 1)
    game = TableGame(told, X, B)
    every = np.ones((6, 7), dtype=bool)
    assert game.hybrids(np.arange(6), np.zeros(6, dtype=int), every).equals(X)
    assert game.hybrids(np.zeros(7, dtype=int), np.arange(7), ~every[:1].repeat(7, axis=0)).equals(B)
    same = X["lücke"].isna().to_numpy()[:, None] & B["lücke"].isna().to_numpy()
    assert [[game.differ(i, j)[6] for j in range(7)] for i in range(6)] == (
        X["lücke"].fillna(0).to_numpy()[:, None] != B["lücke"].fillna(0).to_numpy()
    ).tolist()
    assert same.any()


def test_a_part_that_is_asked_goes_through_all_subsets_of_few_columns() -> None:
    X, B = mixed(4, 0), mixed(5, 1)
    part = AskedPart(list(X), 1, told)
    found = part.attributions(X, B, tell, 0)
    assert found.additivity_error() < 1e-12
    # Two columns that only go together share alike what they make.
    alone = AskedPart(["größe", "ja"], 1, lambda t: (t["größe"] * t["ja"]).to_numpy(dtype=float)[:, None])
    shares = alone.attributions(X, B, tell, 0).values[:, :, 0]
    x, y, b, c = X["größe"], X["ja"], B["größe"], B["ja"]
    first = [np.mean([(x[i] * y[i] - b[j] * y[i] + x[i] * c[j] - b[j] * c[j]) / 2 for j in range(5)]) for i in range(4)]
    assert np.allclose(shares[:, 0], first)


def test_sums_are_as_their_parts() -> None:
    X, B = mixed(4, 0), mixed(5, 1)
    first = AskedPart(list(X), 1, told)
    second = AskedPart(["n", "größe"], 1, lambda t: (t["n"] * t["größe"]).to_numpy(dtype=float)[:, None], "odd")
    both = Sum(list(X), [first, second], [0.75, -2.0], constant=3.0)
    found = both.attributions(X, B, tell, 0)
    assert np.allclose(found.predictions, both.answers(X))
    assert found.additivity_error() < 1e-12
    one, other = (part.attributions(X, B, tell, 0) for part in (first, second))
    assert np.allclose(found.values[:, 1], 0.75 * one.values[:, 1] - 2 * other.values[:, 0])
    assert np.allclose(found.values[:, 2], 0.75 * one.values[:, 2])
    assert found.exactness == "exact"
    assert found.method.startswith("all subsets of the features (odd) (0.73 of the answer)")


def network(f: Callable[[Any], Any], p: int = 40) -> SmoothPart:
    names = [f"g{i}" for i in range(p)]
    return SmoothPart(names, 2, lambda t: t.to_numpy(np.float32), f, np.arange(p))


def linear(Z: torch.Tensor) -> torch.Tensor:
    said = Z @ torch.linspace(-1, 1, Z.shape[1])[:, None]
    return torch.cat([said, -said], dim=1) / 30 + 0.5


def interplay(Z: torch.Tensor) -> torch.Tensor:
    said = torch.sigmoid(20 * Z[:, :8].prod(dim=1, keepdim=True) + 4 * torch.sin(5 * Z[:, 8:16]).sum(1, keepdim=True))
    return torch.cat([said, 1 - said], dim=1)


def test_gradients_add_up_line_by_line_and_are_exact_where_nothing_bends() -> None:
    X, B = numbers(3, 40).astype(np.float32), numbers(9, 40, 1).astype(np.float32)
    found = gradients(linear, X, B, tell)
    weights = np.linspace(-1, 1, 40) / 30
    assert np.allclose(found.values[:, :, 0], (X - B.mean(axis=0)) * weights, atol=1e-6)
    assert found.missed < 1e-5
    rough = gradients(interplay, X, B, tell)
    whole = interplay(torch.from_numpy(X)).numpy() - interplay(torch.from_numpy(B)).numpy().mean(axis=0)
    assert np.allclose(rough.values.sum(axis=1), whole, atol=1e-5)
    assert rough.missed > found.missed


@pytest.mark.parametrize(("f", "method"), [(linear, "expected gradients"), (interplay, "permutation")])
def test_what_is_measured_to_be_closer_is_taken(f: Callable[[Any], Any], method: str) -> None:
    part = network(f)
    X, B = (pd.DataFrame(numbers(n, 40, seed), columns=part.features) for n, seed in ((4, 0), (20, 1)))
    found = part.attributions(X, B, tell, 0)
    assert method in found.method
    assert found.additivity_error() < 1e-5
    assert "off" in found.exactness


def test_gradients_that_do_not_add_up_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.attribution.smooth._MEASURING", 0)  # nothing is measured: as of a costly network

    def steps(Z: torch.Tensor) -> torch.Tensor:
        said = (torch.round(4 * Z.mean(dim=1, keepdim=True)) / 4 + 0.5).clamp(0, 1) + 0 * Z.sum(dim=1, keepdim=True)
        return torch.cat([said, 1 - said], dim=1)

    X, B = (pd.DataFrame(numbers(n, 40, seed), columns=[f"g{i}" for i in range(40)]) for n, seed in ((4, 0), (20, 1)))
    assert "permutation" in network(steps).attributions(X, B, tell, 0).method
    assert network(linear).attributions(X, B, tell, 0).method == "expected gradients"


def product(Z: torch.Tensor) -> torch.Tensor:
    """A cubic: lines with three points miss nothing, and what few background rows tell of the others is all that is."""
    said = (Z[:, :20].mean(1) * Z[:, 20:].mean(1))[:, None]
    return torch.cat([said, -said], dim=1)


def test_few_lines_are_held_against_the_whole_background(monkeypatch: pytest.MonkeyPatch) -> None:
    part, one = network(product), network(product)
    X, B = (pd.DataFrame(3 * numbers(n, 40, seed), columns=part.features) for n, seed in ((3, 0), (90, 1)))
    whole = part.answers(B).mean(axis=0)
    monkeypatch.setattr("handlers.attribution.smooth._LINES", 10)
    monkeypatch.setattr("handlers.attribution.smooth._MEASURING", 400_000)
    found = part.attributions(X, B, tell, 0)
    assert "all 90 background rows" in found.exactness
    # On squares and products, lines from all rows have the Shapley values themselves.
    true = gradients(product, X.to_numpy(np.float32), B.to_numpy(np.float32), tell).values
    assert np.allclose(found.values, true, atol=1e-6)
    monkeypatch.setattr("handlers.attribution.smooth._MEASURING", 0)
    few = one.attributions(X, B, tell, 0)
    assert "10 of 90 background rows" in few.exactness
    for said in (found, few):
        assert np.allclose(said.base, whole, atol=1e-12)
        assert said.additivity_error() < 1e-9


def test_it_can_be_stopped() -> None:
    class Stop(Exception): ...

    def stop(_: float) -> None:
        raise Stop

    part = network(interplay)
    X, B = (pd.DataFrame(numbers(n, 40, seed), columns=part.features) for n, seed in ((4, 0), (20, 1)))
    with pytest.raises(Stop):
        part.attributions(X, B, stop, 0)
