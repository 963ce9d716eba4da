"""Models of trees, explained exactly where that can be: interventional TreeSHAP in double precision."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from . import links
from .accounts import Account
from .catboost_trees import read_catboost
from .forest_trees import read_forest
from .lightgbm_trees import read_lightgbm
from .orders import REPEATS, draw_places, first_state, standard_error
from .packed_trees import Array, PackedTrees
from .sampling_words import CARRIED, sampled_pairs
from .tree_leaves import leaf_shares
from .tree_routes import margins, order_weights, routes
from .tree_samples import shares_of_sample
from .values import Attributions, Floats, NotReadable, Tell
from .xgboost_trees import read_xgboost

METHOD = "interventional TreeSHAP, double precision"
#: Routes held at a time, in bytes.
_BLOCK = 20_000_000


def read_trees(model: Any) -> PackedTrees:
    """A fitted model of LightGBM, XGBoost, CatBoost, or a forest of scikit-learn. NotReadable: anything else."""
    library = type(model).__module__.split(".")[0]
    readers: dict[str, Callable[[Any], PackedTrees]] = {
        "lightgbm": read_lightgbm,
        "xgboost": read_xgboost,
        "catboost": read_catboost,
    }
    if library in readers:
        return readers[library](model)
    if hasattr(model, "estimators_") and hasattr(model, "n_outputs_"):
        return read_forest(model)
    raise NotReadable(f"no trees are read from {type(model).__name__}")


@dataclass(frozen=True, slots=True)
class TreesPart:
    """Trees on a table: `encode` makes the (n, e) numbers that they were trained on, column by column.

    `owner` (e,) tells which of `features` each encoded column was made from: those of one change sides together.
    """

    features: list[str]
    trees: PackedTrees
    encode: Callable[[pd.DataFrame], Array]
    owner: Array

    @property
    def n_outputs(self) -> int:
        return len(self.trees.base)

    def answers(self, X: pd.DataFrame) -> Floats:
        return links.answers(self.trees.link, margins(self.trees, routes(self.trees, self._read(X))))

    def attributions(self, X: pd.DataFrame, background: pd.DataFrame, tell: Tell, seed: int) -> Attributions:
        mine, theirs = self._read(X), self._read(background)
        starts = margins(self.trees, routes(self.trees, theirs))
        ends = margins(self.trees, routes(self.trees, mine))
        players, player = self._players()
        values, account = None, Account(METHOD)
        if self.trees.link == links.IDENTITY:
            values = self._summed(mine, theirs, len(players), player, tell)
        if values is None:
            values, account = self._through_link(mine, theirs, ends, starts, len(players), player, tell, seed)
        every = np.zeros((len(X), len(self.features), values.shape[2]))
        every[:, players] = values
        base = links.answers(self.trees.link, starts).mean(axis=0)
        return Attributions(every, base, links.answers(self.trees.link, ends), [account])

    def _read(self, X: pd.DataFrame) -> Floats:
        return self.trees.reading.read(np.asarray(self.encode(X[self.features])))

    def _players(self) -> tuple[Array, Array]:
        """The features that any split asks for, and for each node the place of its feature among them."""
        extra = [self.owner[column] for column, _ in self.trees.reading.memberships]
        owner = np.concatenate([self.owner, np.array(extra, dtype=int)]).astype(int)
        splits = self.trees.child[:, 0] >= 0
        players, places = np.unique(owner[self.trees.column[splits]], return_inverse=True)
        player = np.zeros(len(splits), np.int32)
        player[splits] = places
        return players, player

    def _arrays(self, player: Array) -> tuple[Array, ...]:
        return self.trees.child, player, self.trees.value, self.trees.output, self.trees.roots

    def _summed(self, mine: Floats, theirs: Floats, p: int, player: Array, tell: Tell) -> Floats | None:
        """(n, p, K) leaf by leaf; None where a way down has too many players for that."""
        trees, roots, rows = self._arrays(player), self.trees.roots, len(mine) + len(theirs)
        out, weights = np.zeros((len(mine), p, len(self.trees.base))), order_weights(self.trees.depth + 2)
        first = 0
        while first < len(roots) - 1:
            # A block of trees whose routes fit, and no more work than about a second's.
            room = min(_BLOCK // rows, max(1, 200_000_000 // max(1, len(mine) * len(theirs))))
            last = max(first + 1, int(np.searchsorted(roots, roots[first] + room, side="right")) - 1)
            begin, end = int(roots[first]), int(roots[last])
            ways = [np.ascontiguousarray(routes(self.trees, X, begin, end).T) for X in (mine, theirs)]
            if not leaf_shares(trees, first, last, begin, self.trees.depth, ways[0], ways[1], weights, out):
                return None
            first = last
            tell(first / (len(roots) - 1))
        return out / len(theirs)

    def _through_link(
        self, mine: Floats, theirs: Floats, ends: Floats, starts: Floats, p: int, player: Array, tell: Tell, seed: int
    ) -> tuple[Floats, Account]:
        n, m, k = len(mine), len(theirs), len(self.trees.base)
        trees, weights = self._arrays(player), order_weights(self.trees.depth + 2)
        their_ways = routes(self.trees, theirs)
        values, errors, places = np.zeros((n, p, k)), np.zeros((n, p, k)), np.zeros((REPEATS, m, p))
        sampled = 0
        for i in range(n):
            way = routes(self.trees, mine[i : i + 1])[0]
            if self.trees.link != links.IDENTITY:
                draw_places(first_state(seed, i), places)
            rest = np.zeros((REPEATS, p, k))
            sampled += shares_of_sample(
                self.trees.link,
                trees,
                self.trees.depth,
                way,
                their_ways,
                ends[i],
                starts,
                weights,
                places,
                values[i],
                rest,
            )
            values[i] = (values[i] + rest[0]) / m
            errors[i] = standard_error(rest[1], m)
            tell((i + 1) / n)
        return values, sampled_pairs(METHOD, CARRIED, sampled, n * m, errors)
