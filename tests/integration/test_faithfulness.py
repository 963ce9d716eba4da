"""Planted genes among noise: the ranking finds them, and what it ranks first moves the model most."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import finished
from support.libraries import for_learning

from handlers.anatomy.model import part_of
from handlers.attribution.values import Part
from handlers.contract import ModelFiles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GENES, PLANTED, N, M = 40, 5, 20, 30
Made = Callable[[pd.DataFrame, Path], ModelFiles]


_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)


def tell(_: float) -> None: ...


def planted(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, set[str]]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, GENES)), columns=[f"gene{place}" for place in range(GENES)])
    chosen = rng.choice(X.columns.to_numpy(), PLANTED, replace=False)
    amount = X[chosen].to_numpy() @ np.array([1.6, -1.6, 1.3, -1.3, 1.1]) + 0.3 * rng.normal(size=n)
    return X.assign(target=np.where(amount > 0, "ill", "healthy")), set(chosen)


def trees(frame: pd.DataFrame, folder: Path) -> ModelFiles:
    return finished.automl(frame, folder, "GBM", "XGB", "XT")


def tabular_network(frame: pd.DataFrame, folder: Path) -> ModelFiles:
    return finished.automl(frame, folder, "NN_TORCH", epochs=40)  # after four it has not learned the genes itself


def linear(frame: pd.DataFrame, folder: Path) -> ModelFiles:
    return finished.automl(frame, folder, "LR")


def network(architecture: str) -> Made:
    """Its deep path has all of the say: what is explained is the network, not the linear model beside it."""

    def made(frame: pd.DataFrame, folder: Path) -> ModelFiles:
        model = finished.deep(frame, folder, architecture, epochs=15)
        finished.only_deep(model)
        return model

    return made


def both(frame: pd.DataFrame, folder: Path) -> ModelFiles:
    members = [trees(frame, folder / "trees"), network("cnn_1d")(frame, folder / "net")]
    return finished.ensemble(members, folder / "ensemble", weights=[0.5, 0.5])


def stacked(frame: pd.DataFrame, folder: Path) -> ModelFiles:
    members = [linear(frame, folder / "linear"), network("rnn")(frame, folder / "net")]
    meta = {"kind": "logistic", "inputs": "logits", "least": 1e-6, "intercept": [0.0, 0.0]}
    return finished.ensemble(
        members, folder / "ensemble", method="stacking", meta={**meta, "coef": [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]}
    )


MADE: dict[str, Made] = {
    "trees": trees,
    "NN_TORCH": tabular_network,
    "LR": linear,
    "cnn_1d": network("cnn_1d"),
    "transformer": network("transformer"),
    "ensemble": both,
    "stacked": stacked,
}


@pytest.mark.parametrize("kind", list(MADE))
def test_planted_genes_are_found(kind: str, tmp_path: Path) -> None:
    frame, chosen = planted()
    part = part_of(MADE[kind](frame, tmp_path / "m"), {})
    X = frame.drop(columns="target")
    mine, theirs = X.iloc[:N].reset_index(drop=True), X.iloc[200 : 200 + M]
    found = part.attributions(mine, theirs, tell, 0)
    ranking = np.argsort(-np.abs(found.values).mean(axis=(0, 2)))
    first = {part.features[place] for place in ranking[:PLANTED]}
    order = np.argsort(-found.values[:, :, 0], axis=1)
    dice = np.random.default_rng(1)
    at_random = np.array([dice.permutation(GENES) for _ in range(N)])
    fallen, by_chance = (curve(part, mine, theirs, some, inserted=False) for some in (order, at_random))
    risen, risen_by_chance = (curve(part, mine, theirs, some, inserted=True) for some in (order, at_random))
    print(
        f"{kind}: {len(first & chosen)} of {PLANTED} found; deletion {fallen:.3f} (random {by_chance:.3f}), "
        f"insertion {risen:.3f} (random {risen_by_chance:.3f}); additivity {found.additivity_error():.1g}; "
        f"{found.method}; {found.exactness}"
    )
    assert first == chosen
    assert fallen < by_chance - 0.1
    assert risen > risen_by_chance + 0.1
    assert found.additivity_error() < 1e-6


def curve(part: Part, mine: pd.DataFrame, theirs: pd.DataFrame, order: Any, *, inserted: bool) -> float:
    """The mean answer while genes change sides in their order (Petsiuk, Das and Saenko 2018), over background rows."""
    steps = (0, 1, 2, 3, 5, 8, 13, 20)
    whole = theirs.to_numpy()[:8]
    tables = []
    for step in steps:
        own = np.zeros(order.shape, dtype=bool)
        np.put_along_axis(own, order[:, :step], True, axis=1)
        own = own if inserted else ~own
        tables.append(np.where(own[:, None], mine.to_numpy()[:, None], whole[None]).reshape(-1, GENES))
    asked = pd.DataFrame(np.concatenate(tables), columns=mine.columns)
    return float(part.answers(asked).mean())
