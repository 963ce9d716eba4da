"""A network in a folder: the same numbers after reading, and a reason for every folder that is none."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.networks import network_of, problem_of

from handlers.networks.predicting import predict_probabilities, predict_values
from handlers.networks.saved import ABOUT, NETWORK, TABLE, WEIGHTS, load, save

ENCODERS = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")
ABOUT_IT = {"target_column": "größe", "classes": ["α", "β", "γ"]}


def frame(n: int = 50, p: int = 9) -> pd.DataFrame:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(n, p))).add_prefix("基因 ")
    return X.assign(kind=np.array(["a", "b"])[np.arange(n) % 2])


THREE = problem_of(frame(), pd.Series(np.array(["α", "β", "γ"])[np.arange(50) % 3]))
VALUES = problem_of(frame(), pd.Series(np.arange(50.0)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "network"
    save(folder, *network_of(THREE), ABOUT_IT)
    return folder


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_architecture_says_the_same_once_read(tmp_path: Path, encoder: str) -> None:
    network, table = network_of(THREE, encoder)
    save(tmp_path, network, table, ABOUT_IT)
    before = torch.random.get_rng_state()
    again, read, about = load(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not again.training
    assert about == ABOUT_IT
    said, expected = predict_probabilities(again, read, THREE.X), predict_probabilities(network, table, THREE.X)
    assert (said == expected).all()
    assert said.shape == (50, 3)
    assert np.abs(said.sum(axis=1) - 1).max() < 1e-12
    assert said.std(axis=0).min() > 1e-4


def test_four_files_that_everybody_may_read_and_no_pickle(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {WEIGHTS, NETWORK, TABLE, ABOUT}
    assert {path.stat().st_mode & 0o777 for path in whole.iterdir()} == {(whole / ABOUT).stat().st_mode & 0o777}
    assert not any(path.read_bytes().startswith((b"PK", b"\x80")) for path in whole.iterdir())


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, table = network_of(VALUES)
    whole = predict_values(network, table, VALUES.X)
    monkeypatch.setattr(type(network.encoder), "rows_at_once", 7)
    np.testing.assert_allclose(predict_values(network, table, VALUES.X), whole, rtol=1e-5, atol=1e-5)
    assert predict_values(network, table, VALUES.X[:0]).shape == (0,)


def test_numbers_beyond_all_bounds_have_an_answer() -> None:
    network, table = network_of(THREE)
    X = THREE.X.iloc[:4].copy()
    X.iloc[:, :9] = [[1e300] * 9, [-1e300] * 9, [np.inf] * 9, [np.nan] * 9]
    assert np.abs(predict_probabilities(network, table, X).sum(axis=1) - 1).max() < 1e-12


def test_weights_that_are_not_finite_are_told() -> None:
    network, table = network_of(VALUES)
    network.bias.fill_(np.nan)
    with pytest.raises(ValueError, match="no finite answer"):
        predict_values(network, table, VALUES.X)


def cut(name: str, share: float = 0.5) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(len(raw) * share)])

    return damage


def told(name: str, **changed: object) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        now = json.loads((folder / name).read_text("utf-8")) | changed
        (folder / name).write_text(json.dumps(now), encoding="utf-8")

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    "no network": (lambda folder: (folder / NETWORK).unlink(), NETWORK),
    "no table": (lambda folder: (folder / TABLE).unlink(), TABLE),
    "no about": (lambda folder: (folder / ABOUT).unlink(), ABOUT),
    "half of the weights": (cut(WEIGHTS), WEIGHTS),
    "a few of the weights": (cut(WEIGHTS, 0.001), WEIGHTS),
    "empty weights": (cut(WEIGHTS, 0), WEIGHTS),
    "half of the table": (cut(TABLE), TABLE),
    "half of the network": (cut(NETWORK), NETWORK),
    "a pickle": (lambda folder: torch.save({}, folder / WEIGHTS), WEIGHTS),
    "not text": (lambda folder: (folder / NETWORK).write_bytes(b"\xff\xfe"), NETWORK),
    "a list": (lambda folder: (folder / TABLE).write_text("[]"), TABLE),
    "very deep": (lambda folder: (folder / ABOUT).write_text("[" * 200_000), ABOUT),
    "another version": (told(NETWORK, version=99), NETWORK),
    "another encoder": (told(NETWORK, encoder={"name": "resnet of tomorrow"}), NETWORK),
    "an encoder without arguments": (told(NETWORK, encoder={"name": "cnn_1d"}), NETWORK),
    "no encoder": (told(NETWORK, encoder=None), NETWORK),
    "more outputs": (told(NETWORK, n_outputs=4), WEIGHTS),
    "negative outputs": (told(NETWORK, n_outputs=-4), NETWORK),
    "more features than memory": (told(NETWORK, n_features=10**15), NETWORK),
    "another table": (told(TABLE, columns=["a"], kinds=["number"], middles=[0.0], categories=[]), TABLE),
    "a table that does not fit together": (told(TABLE, middles=[]), TABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_folder_that_is_none_is_refused_by_its_file(whole: Path, tmp_path: Path, name: str) -> None:
    damage, file = DAMAGES[name]
    shutil.copytree(whole, tmp_path / "network")
    damage(tmp_path / "network")
    with pytest.raises(ValueError, match=re.escape(file)):
        load(tmp_path / "network")


def test_flipped_bits_are_refused_or_still_a_network(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "network")
    dice = random.Random(0)
    for name in (NETWORK, TABLE, WEIGHTS):
        raw = (whole / name).read_bytes()
        for _ in range(30):
            changed = bytearray(raw)
            changed[dice.randrange(min(len(raw), 2000))] ^= 1 << dice.randrange(8)
            (tmp_path / "network" / name).write_bytes(changed)
            try:
                load(tmp_path / "network")
            except ValueError as error:
                assert any(file in str(error) for file in (NETWORK, TABLE, WEIGHTS))  # noqa: PT017
        (tmp_path / "network" / name).write_bytes(raw)
