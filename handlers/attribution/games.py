"""Hybrids of samples and background rows: what a model is asked when players are taken from one or from the other."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from .values import Floats

Ints = np.ndarray[Any, np.dtype[np.int64]]
Masks = np.ndarray[Any, np.dtype[np.bool_]]


class Game(Protocol):
    """n samples against m background rows; p players; the model gives c answers."""

    @property
    def n_samples(self) -> int: ...

    @property
    def n_background(self) -> int: ...

    @property
    def n_players(self) -> int: ...

    def ask(self, samples: Ints, rows: Ints, masks: Masks) -> Floats:
        """(r, c) answers for r hybrids: of sample `samples[i]` where `masks[i]` (p,), else of `rows[i]`."""

    def differ(self, sample: int, row: int) -> Masks:
        """(p,): which players are not the same in both. All others have no share in the difference."""


class TableGame:
    """Players are the columns of tables, of any types; two gaps are the same."""

    def __init__(self, answers: Callable[[pd.DataFrame], Floats], X: pd.DataFrame, background: pd.DataFrame) -> None:
        self._answers, self._columns = answers, X.columns
        self.n_samples, self.n_background, self.n_players = len(X), len(background), X.shape[1]
        both = pd.concat([X, background], ignore_index=True)
        # Columns of one plain type are mixed at once, others (categories, dates with zones, words) one by one.
        places: dict[Any, list[int]] = {}
        for place, dtype in enumerate(both.dtypes):
            places.setdefault(dtype if _is_plain(dtype) else place, []).append(place)
        self._blocks = [(some, _block(both, some)) for some in places.values()]
        self._codes = _codes(both, self._blocks)

    def ask(self, samples: Ints, rows: Ints, masks: Masks) -> Floats:
        """See `Game`."""
        return self._answers(self.hybrids(samples, rows, masks))

    def hybrids(self, samples: Ints, rows: Ints, masks: Masks) -> pd.DataFrame:
        """The tables that are asked about."""
        there = self.n_samples + rows
        parts = []
        for some, values in self._blocks:
            if isinstance(values, np.ndarray):
                own = masks if len(some) == self.n_players else masks[:, some]
                mixed = np.where(own, values[samples], values[there])
                parts.append(pd.DataFrame(mixed, columns=some))
            else:
                chosen = values.take(np.where(masks[:, some[0]], samples, there)).reset_index(drop=True)
                parts.append(pd.DataFrame({some[0]: chosen}))
        table = parts[0] if len(parts) == 1 else pd.concat(parts, axis="columns")[list(range(self.n_players))]
        return table.set_axis(self._columns, axis="columns")

    def differ(self, sample: int, row: int) -> Masks:
        """See `Game`."""
        return np.asarray(self._codes[sample] != self._codes[self.n_samples + row])


class ArrayGame:
    """Players own columns of numbers: `owners` (q,) names the player of each of q columns; they change together."""

    def __init__(self, answers: Callable[[Any], Floats], X: Any, background: Any, owners: Ints, n_players: int) -> None:
        self._answers, self._X, self._background, self._owners = answers, X, background, owners
        self.n_samples, self.n_background, self.n_players = len(X), len(background), n_players
        self._is_plain = np.array_equal(owners, np.arange(n_players))

    def ask(self, samples: Ints, rows: Ints, masks: Masks) -> Floats:
        """See `Game`."""
        own = masks if self._is_plain else masks[:, self._owners]
        return self._answers(np.where(own, self._X[samples], self._background[rows]))

    def differ(self, sample: int, row: int) -> Masks:
        """See `Game`."""
        found = np.zeros(self.n_players, dtype=bool)
        # Two gaps are not equal, and count as different: that costs an answer, and changes none.
        found[self._owners[self._X[sample] != self._background[row]]] = True
        return found


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def _block(both: pd.DataFrame, places: list[int]) -> Any:
    if _is_plain(both.dtypes.iloc[places[0]]):
        return both.iloc[:, places].to_numpy()
    return both.iloc[:, places[0]]


def _codes(both: pd.DataFrame, blocks: list[tuple[list[int], Any]]) -> Floats:
    """(n + m, p): numbers that are equal where cells are."""
    codes = np.zeros(both.shape)
    for places, values in blocks:
        if isinstance(values, np.ndarray):
            codes[:, places] = np.where(np.isnan(values), np.inf, values) if values.dtype.kind == "f" else values
        else:
            codes[:, places[0]] = pd.factorize(values)[0]
    return codes
