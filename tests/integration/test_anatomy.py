"""Every kind of finished model, taken apart: it answers as itself, and its values are those of all subsets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import finished
from support.libraries import for_learning

from handlers.anatomy.checked import CheckedPart
from handlers.anatomy.model import part_of
from handlers.anatomy.opened import asking, opened, served
from handlers.attribution.games import TableGame
from handlers.attribution.subsets import enumerated_values
from handlers.attribution.values import Attributions, Part
from handlers.contract import ModelFiles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

N, M = 5, 12
NETWORKS = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")
FAMILIES = ("LR", "GBM", "XGB", "CAT", "RF", "XT", "NN_TORCH")


_libraries = pytest.fixture(scope="module", autouse=True)(for_learning)


def tell(_: float) -> None: ...


def compared(
    name: str, model: ModelFiles, frame: pd.DataFrame, answers: float = 1e-6
) -> tuple[Part, Attributions, float]:
    """The part, its values, and how far they are from those of all subsets, asked of the artifact itself."""
    X = frame.drop(columns="target")
    mine, theirs = X.iloc[:N], X.iloc[60 : 60 + M]
    part = part_of(model, {})
    itself = opened(model.path, {})
    ask = asking(itself, served(itself))
    expected = ask(mine)
    # Of probabilities the unit is 1; of numbers their spread, and what single precision holds of their size.
    numbers = itself.about["classes"] is None
    size = max(float(np.ptp(expected)), 0.1 * float(np.abs(expected).max())) if numbers else 1.0
    assert np.abs(part.answers(mine) - expected).max() <= answers * size
    found = part.attributions(mine, theirs, tell, 0)
    game = TableGame(ask, mine[part.features], theirs[part.features])
    true = enumerated_values(game, np.arange(len(part.features)), part.n_outputs, tell)
    off = float(np.abs(found.values - true).max()) / size
    print(f"{name}: max error {off:.2g}, additivity {found.additivity_error():.2g}; {found.method}; {found.exactness}")
    assert found.additivity_error() <= 1e-6 * size
    assert np.abs(found.predictions - expected).max() <= answers * size
    return part, found, off


@pytest.mark.parametrize("k", [2, 3, 0])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_of_autogluon(family: str, k: int, tmp_path: Path) -> None:
    frame = finished.rough(k)
    _, found, off = compared(f"{family} {k}", finished.automl(frame, tmp_path / "m", family), frame)
    assert off <= 1e-6
    assert "permutation" not in found.method


@pytest.mark.parametrize("k", [2, 0])
@pytest.mark.parametrize("family", ["LR", "GBM", "XGB", "RF", "NN_TORCH", "CAT"])
def test_words_dates_flags_and_gaps_are_one_player_each(family: str, k: int, tmp_path: Path) -> None:
    frame = finished.mixed(k)
    part, found, off = compared(f"mixed {family} {k}", finished.automl(frame, tmp_path / "m", family), frame)
    assert part.features == list(frame.columns[:-1])
    assert off <= 1e-6
    assert ("all subsets" in found.method) == (family in ("NN_TORCH", "CAT"))


def test_a_bag_is_the_mean_of_its_folds(tmp_path: Path) -> None:
    frame = finished.rough(2)
    model = finished.automl(frame, tmp_path / "m", "LR", "GBM", "XT", quality="high")
    _, _, off = compared("bagged", model, frame)
    assert off <= 1e-6


@pytest.mark.parametrize("encoder", NETWORKS)
def test_each_network(encoder: str, tmp_path: Path) -> None:
    frame = finished.rough(3)
    _, found, off = compared(encoder, finished.untrained(frame, tmp_path / "m", encoder), frame)
    assert off <= 1e-5
    assert "single precision" in found.exactness


@pytest.mark.parametrize("k", [2, 3, 0])
def test_a_network_without_its_deep_path_is_linear(k: int, tmp_path: Path) -> None:
    frame = finished.mixed(k)
    _, found, off = compared(f"linear {k}", finished.untrained(frame, tmp_path / "m", "rnn", mix=0.0), frame)
    assert off <= 1e-6
    assert found.exactness == "exact"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[ModelFiles]]:
    folder = tmp_path_factory.mktemp("members")
    return {
        k: [
            finished.automl(finished.rough(k), folder / f"trees-{k}", "GBM"),
            finished.untrained(finished.rough(k), folder / f"net-{k}", "rnn"),
        ]
        for k in (2, 3, 0)
    }


HALF = {"weights": [0.25, 0.75]}
LOGISTIC = {
    "kind": "logistic", "inputs": "logits", "least": 1e-6,
    "coef": [[1.0, 0, 0, 0.5, 0, 0], [0, 1.0, 0, 0, 0.5, 0], [0, 0, 1.0, 0, 0, 0.5]], "intercept": [0.1, 0.0, -0.1],
}  # fmt: skip
RIDGE = {"kind": "ridge", "inputs": "values", "coef": [[0.4, 0.8]], "intercept": [-20.0]}


@pytest.mark.parametrize(
    ("k", "told", "is_sum"),
    [
        (2, HALF, True),
        (3, HALF, True),
        (0, HALF, True),
        (3, {**HALF, "voting": "hard"}, False),
        (3, {"method": "stacking", "meta": LOGISTIC}, False),
        (0, {"method": "stacking", "meta": RIDGE}, True),
    ],
)
def test_ensembles(
    k: int, told: dict[str, Any], is_sum: bool, members: dict[int, list[ModelFiles]], tmp_path: Path
) -> None:
    frame = finished.rough(k)
    model = finished.ensemble(members[k], tmp_path / "e", **told)
    _, found, off = compared(f"ensemble {k} {told}", model, frame)
    # A vote of the hard kind jumps where members are at odds by less than single precision holds.
    assert off <= 1e-6
    assert ("ensemble" in found.method) != is_sum


def test_members_that_lie_elsewhere_and_ensembles_of_ensembles(
    members: dict[int, list[ModelFiles]], tmp_path: Path
) -> None:
    frame = finished.rough(2)
    inner = finished.ensemble(members[2], tmp_path / "inner", **HALF)
    outer = finished.ensemble(members[2], tmp_path / "outer", embedded=False, **HALF)
    there = {member.model_id: member for member in members[2]}
    X = frame.drop(columns="target")
    one = part_of(inner, {}).attributions(X[:N], X[60:70], tell, 0)
    other = part_of(outer, there).attributions(X[:N], X[60:70], tell, 0)
    assert np.allclose(one.values, other.values, atol=1e-12)


def test_what_is_taken_apart_wrongly_is_asked_instead(members: dict[int, list[ModelFiles]]) -> None:
    X = finished.rough(2).drop(columns="target")
    part = part_of(members[2][0], {})
    assert isinstance(part, CheckedPart)
    other = part_of(members[2][1], {})
    wrong = CheckedPart(other, part.whole, are_shares=True)
    found = wrong.attributions(X[:N], X[60:70], tell, 0)
    assert "would answer otherwise" in found.method
    assert np.allclose(found.values, part.attributions(X[:N], X[60:70], tell, 0).values, atol=1e-6)
    # As LIME does it: answers alone. A believed part answers itself, within its rounding.
    asked = CheckedPart(other, part.whole, are_shares=True)
    assert np.array_equal(asked.answers(X), part.whole.answers(X))
    assert np.abs(other.answers(X) - part.whole.answers(X)).max() > 1e-3
