"""What a fit is made of: rows, the linear path, the mix, settings, news, checkpoints."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from handlers.contract import Outputs
from handlers.datasets.problem import Problem
from handlers.training import linear
from handlers.training.checkpoints import Checkpoints
from handlers.training.mixing import best_mix
from handlers.training.news import News
from handlers.training.rows import Rows, training_rows
from handlers.training.settings import Settings


def problem_of(y: Any, groups: Any = None, classes: bool = True, sha: str = "ab" * 32) -> Problem:
    target = pd.Series(y)
    codes, labels = pd.factorize(target, sort=True)
    return Problem(
        X=pd.DataFrame({"gene": np.arange(len(target), dtype=float)}),
        y=codes.astype(np.int64) if classes else target.to_numpy(dtype=float),
        target=target,
        groups=None if groups is None else pd.Series(groups),
        rows=np.arange(len(target)),
        problem_type="multiclass" if classes else "regression",
        classes=tuple(labels.tolist()) if classes else None,
        target_column="kind",
        group_column=None if groups is None else "patient",
        dataset_sha256=sha,
    )


def inner(problem: Problem, train: np.ndarray | None = None) -> Rows:
    train = np.arange(len(problem.y)) if train is None else train
    return training_rows(np.zeros((len(train), 1), np.float32), problem, train)


# --- rows


def test_a_fifth_of_the_training_rows_validates_stratified_the_same_each_time() -> None:
    problem = problem_of(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    rows = inner(problem)
    assert np.array_equal(np.sort(np.concatenate([rows.fit, rows.validation])), np.arange(100))
    assert np.bincount(rows.y[rows.validation]).tolist() == [12, 6, 2]
    again, other = inner(problem), inner(problem_of(problem.target, sha="cd" * 32))
    assert np.array_equal(again.fit, rows.fit)
    assert not np.array_equal(other.fit, rows.fit)


def test_positions_are_those_among_the_training_rows() -> None:
    problem = problem_of([0.0, 1.0] * 50, classes=False)
    train = np.arange(20, 100)
    rows = inner(problem, train)
    assert len(rows.X) == len(rows.y) == 80
    assert np.array_equal(rows.y, problem.y[train])
    assert np.array_equal(np.sort(np.concatenate([rows.fit, rows.validation])), np.arange(80))
    assert (rows.n_classes, rows.n_outputs) == (None, 1)


def test_the_inner_split_is_not_the_outer_one() -> None:
    """Dealt out by the same keys, the rows that validate would be the next of those that test."""
    problem = problem_of(["a", "b"] * 50)
    rows = inner(problem)
    assert not np.array_equal(rows.validation, problem.split().test)


def test_groups_stay_whole() -> None:
    patients = np.repeat([f"p{number}" for number in range(20)], 6)
    rows = inner(problem_of(["a", "b", "c"] * 40, patients))
    assert len(rows.validation) == 24
    assert not set(patients[rows.fit]) & set(patients[rows.validation])


def test_a_class_that_only_validation_rows_show_is_learned_with_its_whole_group() -> None:
    # The rare class is in one patient of ten: whichever part that one falls to, it must be learned.
    for patient in range(10):
        patients = np.repeat(np.arange(10), 8)
        kinds = np.where(np.arange(80) % 2 == 0, "a", "b").astype(object)
        kinds[np.flatnonzero(patients == patient)[:2]] = "rare"
        rows = inner(problem_of(kinds, patients))
        assert set(rows.y[rows.fit]) == {0, 1, 2}, patient
        assert not set(patients[rows.fit]) & set(patients[rows.validation]), patient
        assert len(rows.fit) + len(rows.validation) == 80


def test_of_a_few_rows_a_few_validate_and_of_one_group_none() -> None:
    rows = inner(problem_of(["a", "b"] * 8))
    assert np.bincount(rows.y[rows.validation]).tolist() == [2, 2]
    assert len(inner(problem_of(np.arange(16.0), classes=False)).validation) > 0
    lonely = inner(problem_of(["a", "b"] * 8, ["p"] * 16))
    assert len(lonely.validation) == 0
    assert len(lonely.fit) == 16


# --- the linear path


def rows_for(X: np.ndarray, y: np.ndarray, n_classes: int | None, n_validation: int) -> Rows:
    n = len(X)
    return Rows(X.astype(np.float32), y, n_classes, np.arange(n - n_validation), np.arange(n - n_validation, n))


def data(n: int, p: int, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised features, class codes and values that depend on them."""
    rng = np.random.default_rng(n + p)
    X = rng.normal(size=(n, p))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    values = X[:, :3].sum(axis=1) + 0.5 * rng.normal(size=n)
    codes = np.digitize(values, np.quantile(values, np.arange(1, k) / k))
    return X, codes, (values - values.mean()) / values.std()


@pytest.mark.parametrize("k", [2, 3])
def test_classes_by_logistic_regression(k: int) -> None:
    X, y, _ = data(150, 6, k)
    while_choosing, final = linear.solve(X, y, rows_for(X, y, k, 30))
    assert while_choosing.strength == final.strength
    # The strength is the one whose log-loss on validation rows is least.
    losses = {}
    for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        model = LogisticRegression(C=strength, max_iter=200).fit(X[:120], y[:120])
        said = model.predict_proba(X[120:])
        losses[strength] = -np.log(said[np.arange(30), y[120:]]).mean()
    assert final.strength == min(losses, key=losses.__getitem__)
    for solved, seen in ((while_choosing, slice(120)), (final, slice(None))):
        model = LogisticRegression(C=final.strength, max_iter=200).fit(X[seen], y[seen])
        logits = solved(X)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(likely / likely.sum(axis=1, keepdims=True), model.predict_proba(X), atol=1e-6)


def test_values_by_ridge() -> None:
    X, _, y = data(150, 6)
    while_choosing, final = linear.solve(X, y, rows_for(X, y, None, 30))
    for solved, seen in ((while_choosing, slice(120)), (final, slice(None))):
        model = Ridge(alpha=final.strength).fit(X[seen], y[seen])
        np.testing.assert_allclose(solved(X)[:, 0], model.predict(X), atol=1e-9)
    losses = {
        alpha: float(((Ridge(alpha=alpha).fit(X[:120], y[:120]).predict(X[120:]) - y[120:]) ** 2).mean())
        for alpha in (10.0**power for power in range(-2, 6))
    }
    assert final.strength == min(losses, key=losses.__getitem__)


@pytest.mark.parametrize("n_classes", [None, 2, 3])
def test_more_features_than_rows_come_to_the_same_as_the_direct_way(n_classes: int | None) -> None:
    X, codes, values = data(60, 90, n_classes or 2)
    y = values if n_classes is None else codes
    # 60 rows of 90 features go through the rows' own space; scikit-learn solves them as they are.
    _, final = linear.solve(X, y, rows_for(X, y, n_classes, 12))
    if n_classes is None:
        np.testing.assert_allclose(final(X)[:, 0], Ridge(alpha=final.strength).fit(X, y).predict(X), atol=1e-7)
        return
    model = LogisticRegression(C=final.strength, max_iter=5000, tol=1e-8).fit(X, y)
    logits = final(X)
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(likely / likely.sum(axis=1, keepdims=True), model.predict_proba(X), atol=2e-3)


def test_a_class_that_is_not_shown_is_not_said() -> None:
    X, y, _ = data(90, 4, 2)
    for shown in (np.where(y == 1, 2, 0), np.where(y == 1, 3, 1)):
        rows = Rows(X.astype(np.float32), shown, 4, np.arange(70), np.arange(70, 90))
        _, final = linear.solve(X, shown, rows)
        logits = final(X)
        assert logits.shape == (90, 4)
        assert set(logits.argmax(axis=1)) == set(shown)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        hidden = sorted({0, 1, 2, 3} - set(shown))
        assert (likely[:, hidden] < 1e-6 * likely.sum(axis=1, keepdims=True)).all()


def test_without_validation_rows_the_penalty_is_a_moderate_one() -> None:
    """Next to none would learn sixteen rows by heart, the strongest would not learn at all."""
    X, y, values = data(16, 40, 2)
    for target, n_classes in ((y, 2), (values, None)):
        while_choosing, final = linear.solve(X, target, rows_for(X, target, n_classes, 0))
        assert while_choosing is final
        assert final.strength == {2: 0.1, None: 100.0}[n_classes]


def test_rows_beyond_a_measure_are_thinned_out_and_no_class_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_MOST_CELLS", 100)
    X, y, _ = data(2001, 2, 2)
    y = np.zeros(2001, dtype=np.int64)
    y[1002] = 1  # between two of the rows that are kept
    X[1002] = 5
    _, final = linear.solve(X, y, rows_for(X, y, 2, 0))
    assert np.isfinite(final(X)).all()
    assert final.weight[1].sum() > 0


# --- mixing


def logits_of(right: np.ndarray, sure: np.ndarray) -> np.ndarray:
    return np.column_stack([np.where(right, sure, 0.0), np.where(right, 0.0, sure)])


Y = np.zeros(200, dtype=np.int64)
ROWS = Rows(np.zeros((200, 1), np.float32), Y, 2, np.arange(0), np.arange(200))
VALUES = Rows(np.zeros((200, 1), np.float32), np.zeros(200), None, np.arange(0), np.arange(200))


def test_without_validation_rows_a_share_is_for_those_who_were_trusted_before() -> None:
    empty = np.zeros((0, 2))
    assert best_mix(empty, empty, Y[:0], ROWS) == 0
    assert best_mix(empty, empty, Y[:0], ROWS, trusted=True) == 0.5


def test_a_path_that_is_clearly_better_takes_all() -> None:
    rng = np.random.default_rng(0)
    good, bad = (
        logits_of(rng.random(200) < 0.99, np.full(200, 4.0)),
        logits_of(rng.random(200) < 0.3, np.full(200, 9.0)),
    )
    assert best_mix(bad, good, Y, ROWS) == 1.0
    assert best_mix(good, bad, Y, ROWS) == 0.0


def test_a_deep_path_that_adds_nothing_has_no_part() -> None:
    said = logits_of(np.arange(200) < 180, np.full(200, 2.0))
    assert best_mix(said, said.copy(), Y, ROWS) == 0.0
    # Better by luck, on seven rows, and worse on five is not clearly better.
    by_luck = np.select([np.arange(200) < 7, np.arange(200) < 12], [0.5, -0.5], 0.0)
    lucky = said + np.column_stack([by_luck, np.zeros(200)])
    assert best_mix(said, lucky, Y, ROWS) == 0.0


def test_paths_whose_errors_cancel_count_alike() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 200, 1))
    assert 0.3 <= best_mix(one, other, np.zeros(200), VALUES) <= 0.5
    assert best_mix(one, other, np.zeros(200), VALUES, trusted=True) == 0.5


def test_of_shares_that_do_as_well_the_most_even_one_is_taken() -> None:
    # Of use, but hardly better at 1 than at 0.6: the errors of one path are those of the other, halved, and noise.
    rng = np.random.default_rng(3)
    one = rng.normal(size=(200, 1))
    other = 0.1 * one + 0.9 * rng.normal(size=(200, 1))
    mix = best_mix(one, other, np.zeros(200), VALUES)
    losses = {share / 10: ((1 - share / 10) * one[:, 0] + share / 10 * other[:, 0]) ** 2 for share in range(11)}
    best = min(losses, key=lambda share: losses[share].mean())
    lost = losses[mix] - losses[best]
    assert best > mix >= 0.5
    assert lost.mean() <= lost.std() / math.sqrt(200)


def test_a_single_row_decides_as_far_as_one_can() -> None:
    rows = Rows(np.zeros((1, 1), np.float32), np.zeros(1), None, np.arange(0), np.arange(1))
    assert best_mix(np.array([[1.0]]), np.array([[0.0]]), np.zeros(1), rows) == 1.0
    assert best_mix(np.array([[0.0]]), np.array([[1.0]]), np.zeros(1), rows) == 0.0


# --- settings


def settings(**more: Any) -> Settings:
    told = {"epochs": 100, "batch_size": 32, "learning_rate": 0.001, "seed": 0, "metric": "log_loss"}
    return Settings(**{**told, **more})


@pytest.mark.parametrize(("epochs", "patience"), [(1, 10), (50, 10), (100, 20), (1000, 200)])
def test_patience_is_a_fifth_of_the_epochs_and_ten_at_least(epochs: int, patience: int) -> None:
    assert settings(epochs=epochs).patience == patience


def test_classes_weigh_alike_only_for_metrics_that_count_by_class() -> None:
    weighted = [
        metric for metric in ("log_loss", "accuracy", "auroc", "auprc", "rmse") if settings(metric=metric).weighted
    ]
    assert weighted == []
    assert all(settings(metric=metric).weighted for metric in ("balanced_accuracy", "f1", "mcc"))
    assert settings(metric="mcc").as_record()["weighted"] is True


# --- news


class Told:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[float, str, float | None, dict[str, float]]] = []
        self.checkpoints = 0

    def __call__(
        self, percent: float, message: str, *, eta_s: float | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        self.said.append((percent, message, eta_s, dict(metrics or {})))

    def should_stop(self) -> bool:
        return False

    def checkpoint(self) -> None:
        self.checkpoints += 1


def test_an_epoch_is_told_with_loss_score_percent_and_eta(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("handlers.training.news.time.monotonic", lambda: now[0])
    report = Told()
    news = News(report, settings(metric="auroc"), 10, 60)
    news.within(43, 0.5)
    now[0] += 5
    word = {"epoch": 44, "train_loss": 0.51234, "validation_loss": 0.6, "validation_score": 0.91, "learning_rate": 0.1}
    news.after(word)
    now[0] += 10
    news.after({**word, "epoch": 45})
    first, second, third = report.said
    assert first[0] == pytest.approx(10 + 0.435 * 50)
    assert first[1] == "Training epoch 44/100"
    assert first[3] == {}
    assert second[1] == "Training epoch 44/100: loss 0.512, validation loss 0.6, auroc 0.91"
    assert second[3] == {
        "train_loss": 0.51234,
        "validation_loss": 0.6,
        "validation_auroc": 0.91,
        "learning_rate": 0.1,
    }
    assert third[0] == pytest.approx(32.5)
    assert third[1] == "Training epoch 45/100: loss 0.512, validation loss 0.6, auroc 0.91"
    # Two epochs took 15 s since the first word, 55 are left.
    assert third[2] == pytest.approx(15 / 2 * 55)
    assert word["epoch"] == 44, "the history's own entry is left as it is"


def test_a_loss_is_not_told_twice_and_what_is_not_there_not_at_all() -> None:
    report = Told()
    news = News(report, settings(), 0, 100, "Fine-tuning the head:")
    news.after({"epoch": 1, "train_loss": 1.0, "validation_loss": 2.0, "validation_score": 2.0})
    news.after({"epoch": 100, "train_loss": 1.0})
    assert report.said[0][1] == "Fine-tuning the head: epoch 1/100: loss 1, validation loss 2"
    assert report.said[1][:2] == (100, "Fine-tuning the head: epoch 100/100: loss 1")


def test_the_score_of_validation_rows_is_the_metric_that_decides() -> None:
    said = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
    rows = Rows(np.zeros((4, 1), np.float32), np.array([0, 1, 1, 0]), 2, np.arange(0), np.arange(4))
    assert News(Told(), settings(metric="accuracy"), 0, 1).score(said, rows) == 0.75
    one_class = Rows(np.zeros((4, 1), np.float32), np.zeros(4, dtype=int), 2, np.arange(0), np.arange(4))
    assert News(Told(), settings(metric="auroc"), 0, 1).score(said, one_class) is None
    assert News(Told(), settings(metric="rmse"), 0, 1).score(np.zeros((0, 1)), VALUES) is None


# --- checkpoints


class Trainer:
    """What writes a checkpoint: here a lesson's part alone."""

    def __init__(self, **lesson: Any) -> None:
        self.lesson = {"ended": False, **lesson}
        self.saved = 0

    def save_checkpoint(self, path: Path) -> None:
        self.saved += 1
        torch.save({"lesson": self.lesson, "of": "this fit", "state_dict": {"weight": torch.zeros(50)}}, path)


@pytest.fixture
def out(tmp_path: Path) -> Outputs:
    for name in ("out", "keep"):
        (tmp_path / name).mkdir()
    return Outputs(tmp_path / "out", tmp_path / "keep")


def test_a_checkpoint_is_found_again_and_nothing_lies_beside_it(out: Outputs) -> None:
    report = Told()
    checkpoints = Checkpoints(out, "network", "this fit", report)
    assert checkpoints.found() is None
    checkpoints.after_epoch(Trainer(), None)
    assert report.checkpoints == 1
    assert Checkpoints(out, "network", "this fit", report).found() is not None
    assert [path.name for path in out.keep.iterdir()] == ["network.ckpt"]
    assert list(out.directory.iterdir()) == []
    assert Checkpoints(out, "scratch", "this fit", report).found() is None, "another fit's"


def test_checkpoints_are_few_but_the_last_epochs_is_among_them(out: Outputs) -> None:
    trainer, checkpoints = Trainer(), Checkpoints(out, "network", "this fit", Told())
    for epoch in range(20):
        checkpoints.after_epoch(trainer, {"ended": True} if epoch == 19 else None)
    assert trainer.saved == 1
    assert checkpoints.found() == {"lesson": {"ended": True}, "of": "this fit"}


def test_one_that_is_cut_off_while_it_is_written_leaves_the_one_before(out: Outputs) -> None:
    Checkpoints(out, "network", "this fit", Told()).after_epoch(Trainer(epoch=1), None)

    class Dying(Trainer):
        def save_checkpoint(self, path: Path) -> None:
            path.write_bytes(b"PK half of it")
            raise KeyboardInterrupt

    report = Told()
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(out, "network", "this fit", report).after_epoch(Dying(), None)
    assert report.checkpoints == 0
    found = Checkpoints(out, "network", "this fit", Told()).found()
    assert found is not None
    assert found["lesson"]["epoch"] == 1


def damages(whole: bytes) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    middle = len(whole) // 2
    noise = rng.bytes(len(whole))
    return {
        "empty": b"",
        "cut": whole[:middle],
        "tail lost": whole[:-30],
        "zeros": bytes(len(whole)),
        "noise": noise,
        "noise in the middle": whole[: middle - 200] + noise[:400] + whole[middle + 200 :],
        "text": b"no checkpoint",
        "a pickle": b"\x80\x04\x95\x00\x00\x00",
        "head lost": whole[10:],
    }


@pytest.mark.parametrize("damage", damages(b"").keys())
def test_a_damaged_one_is_none_and_the_fit_begins_anew(out: Outputs, damage: str) -> None:
    checkpoints = Checkpoints(out, "network", "this fit", Told())
    checkpoints.after_epoch(Trainer(), None)
    path = out.keep / "network.ckpt"
    path.write_bytes(damages(path.read_bytes())[damage])
    found = Checkpoints(out, "network", "this fit", Told()).found()
    assert found is None
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [{"lesson": {"ended": True}, "of": "another"}, [1, 2], {"state_dict": {}}, torch.zeros(2), {"lesson": None}],
)
def test_a_file_of_something_else_is_none(out: Outputs, content: Any) -> None:
    torch.save(content, out.keep / "network.ckpt")
    assert Checkpoints(out, "network", "this fit", Told()).found() is None
