"""Networks and their encoders: shapes, what JSON makes again, what stays frozen, and the linear path beside."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge

from handlers.networks.catalogue import build_encoder
from handlers.networks.network import Network, build

ARCHITECTURES = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")
SEQUENCES = ("cnn_1d", "rnn", "lstm", "transformer")
#: What each reads: plain tables, down to a single feature, and features that are a series or an image.
CASES = [
    *((name, p, None) for name in ARCHITECTURES for p in (1, 2, 7, 40)),
    *((name, p, shape) for name in SEQUENCES for p, shape in ((1, [1, 1]), (60, [3, 20]), (200, [1, 200]))),
    ("cnn_2d", 1, [1, 1, 1]),
    ("cnn_2d", 60, [3, 4, 5]),
    ("cnn_2d", 30, [1, 1, 30]),
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are computed before a second thread has begun."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(name: str, p: int, shape: list[int] | None = None, k: int = 3, seed: int = 0, **more: Any) -> Network:
    torch.manual_seed(seed)
    encoder = {"name": name, "n_features": p, "shape": shape, **more}
    told = {"version": 1, "n_features": p, "n_outputs": k, "dropout": 0.2, "encoder": encoder}
    return build(told).eval()


def rows_of(p: int, n: int = 4) -> torch.Tensor:
    return torch.randn((n, p), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "p", "shape"), CASES)
def test_rows_become_embeddings_and_answers_block_by_block(name: str, p: int, shape: list[int] | None) -> None:
    network, x = made(name, p, shape), rows_of(p)
    encoder = network.encoder
    with torch.no_grad():
        embedding = encoder(x)
        assert embedding.shape == (4, encoder.width)
        assert network(x).shape == (4, 3)
        assert torch.isfinite(network(x)).all()
        step = x
        for block in encoder.blocks:
            step = block(step)
        assert torch.equal(step, embedding)
        for frozen in range(len(encoder.blocks) + 1):
            before = encoder.until(x, frozen)
            assert torch.equal(encoder(before, start=frozen), embedding), frozen
            assert torch.equal(network.deep(before, frozen), network.deep(x)), frozen


@pytest.mark.parametrize(("name", "p", "shape"), CASES)
def test_its_arguments_as_json_make_it_again(name: str, p: int, shape: list[int] | None) -> None:
    network = made(name, p, shape)
    again = build(json.loads(json.dumps(network.arguments(), allow_nan=False))).eval()
    assert again.arguments() == network.arguments()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(again(rows_of(p)), network(rows_of(p)))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_row_is_read_by_itself_and_every_feature_is_looked_at(name: str) -> None:
    network, x = made(name, 12), rows_of(12)
    with torch.no_grad():
        torch.testing.assert_close(network(x[2:3]), network(x)[2:3], rtol=1e-4, atol=1e-5)  # float32 inside
        for feature in range(12):
            other = x.clone()
            other[:, feature] += 1
            assert not torch.equal(network(other), network(x)), feature


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_reach_every_weight_of_the_deep_path_and_none_of_the_linear(name: str) -> None:
    network = made(name, 12).train()
    network.deep(rows_of(12)).square().sum().backward()
    for part, weight in network.named_parameters():
        assert weight.grad is not None, part
        assert weight.grad.abs().sum() > 0, part
    assert not any(buffer.requires_grad for buffer in network.buffers())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    one, same, other = (made(name, 12, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_series_is_not_read_as_a_bag_of_values(name: str) -> None:
    """Turned round it is another series; nothing but its order has changed."""
    network, x = made(name, 60, [1, 60]), rows_of(60)
    with torch.no_grad():
        assert not torch.allclose(network.encoder(x.flip(1)), network.encoder(x), atol=1e-3)


def test_a_plane_follows_its_layout() -> None:
    layout = np.random.default_rng(0).permutation(12)
    plain, laid = made("cnn_2d", 12), made("cnn_2d", 12, layout=layout.tolist())
    state = {key: value for key, value in plain.state_dict().items() if not key.endswith("cells")}
    laid.load_state_dict(state, strict=False)
    x = rows_of(12)
    there = torch.zeros(4, 12)
    there[:, torch.as_tensor(layout)] = x
    with torch.no_grad():
        assert torch.equal(laid.encoder(x), plain.encoder(there))
        assert not torch.equal(laid.encoder(x), plain.encoder(x))


def test_a_layout_is_saved_with_the_weights_and_not_needed_to_build() -> None:
    laid = made("cnn_2d", 9, layout=[8, 7, 6, 5, 4, 3, 2, 1, 0])
    assert "layout" not in laid.arguments()["encoder"]
    again = build(laid.arguments()).eval()
    again.load_state_dict(laid.state_dict())
    with torch.no_grad():
        assert torch.equal(again(rows_of(9)), laid(rows_of(9)))


def test_scaled_features_are_cut_where_nothing_was_seen_in_training() -> None:
    network = made("cnn_1d", 3)
    network.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    network.scale.copy_(torch.tensor([2.0, 0.5, 1.0]))
    x = torch.tensor([[3.0, 2.5, 3.0], [1e30, -1e30, torch.inf]])
    assert network.scaled(x).tolist() == [[1.0, 1.0, 0.0], [10.0, -10.0, 10.0]]
    with torch.no_grad():
        assert torch.isfinite(network(x)).all()


def standardised(X: np.ndarray) -> np.ndarray:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def test_the_linear_path_alone_is_scikit_learns_logistic_regression() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:200], y[:200]
    network = made("lstm", 30, k=2)
    network.mean.copy_(torch.as_tensor(X.mean(axis=0)))
    network.scale.copy_(torch.as_tensor(X.std(axis=0)))
    model = LogisticRegression(C=0.1).fit(standardised(X), y)
    network.weight[1] = torch.as_tensor(model.coef_[0])
    network.bias[1] = float(model.intercept_[0])
    network.mix.fill_(0)
    with torch.no_grad():
        said = network(torch.as_tensor(X, dtype=torch.float32)).softmax(dim=1).numpy()
    # Ten deviations away the network cuts, which scikit-learn does not.
    assert np.abs(standardised(X)).max() < 10
    np.testing.assert_allclose(said, model.predict_proba(standardised(X)), atol=1e-4)


def test_a_regression_answers_in_the_targets_unit() -> None:
    X, y = load_diabetes(return_X_y=True)
    network = made("rnn", 10, k=1)
    network.mean.copy_(torch.as_tensor(X.mean(axis=0)))
    network.scale.copy_(torch.as_tensor(X.std(axis=0)))
    model = Ridge(alpha=1.0).fit(standardised(X), (y - y.mean()) / y.std())
    network.weight.copy_(torch.as_tensor(model.coef_[None]))
    network.bias.fill_(float(model.intercept_))
    network.y_mean.fill_(y.mean())
    network.y_scale.fill_(y.std())
    network.mix.fill_(0)
    x = torch.as_tensor(X, dtype=torch.float32)
    with torch.no_grad():
        said = network(x)[:, 0].numpy()
        expected = model.predict(standardised(X)) * y.std() + y.mean()
        np.testing.assert_allclose(said, expected, rtol=1e-4)
        network.mix.fill_(1)
        deep = network.deep(network.scaled(x))[:, 0] * y.std() + y.mean()
        torch.testing.assert_close(network(x)[:, 0], deep.double(), rtol=1e-5, atol=1e-5)


def test_what_is_said_lies_between_both_paths_as_the_mix_has_it() -> None:
    network, x = made("cnn_1d", 6, k=2), rows_of(6)
    network.weight.fill_(0.3)
    with torch.no_grad():
        linear, deep = network.linear(network.scaled(x)), network.deep(network.scaled(x))
        network.mix.fill_(0.3)
        torch.testing.assert_close(network(x), (0.7 * linear + 0.3 * deep).double())


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="of version 2, this code reads 1"):
        build({**made("rnn", 3).arguments(), "version": 2})


def test_an_encoder_nobody_knows_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="'mlp': known are cnn_1d, cnn_2d, rnn, lstm, transformer"):
        build_encoder({"name": "mlp"})
    with pytest.raises(TypeError):
        build_encoder({"name": "cnn_1d", "n_features": 3, "of_another_time": 1})
