"""A network fitted on training rows: scaled, its linear path solved, its deep path trained, both weighed."""

import json
import logging
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from handlers.contract import Outputs, Report
from handlers.networks.network import Network

from . import linear
from .checkpoints import Checkpoints
from .lesson import Lesson
from .mixing import best_mix
from .news import News
from .rows import Rows
from .settings import Settings

#: What the fit of a job that has one alone is called.
_ONLY = "network"
#: A column's deviation, itself and beside its mean, from which on it varies: less is rounding.
_LEAST_SPREAD, _LEAST_SHARE = 1e-30, 1e-9


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit came to; the network is on the CPU, ready to predict.

    `history`: an entry for each epoch. `mix`: the deep path's share of the answer. `strength`: of the linear path's
    penalty. `validation_score`: both paths' in the deciding metric; None without validation rows.
    """

    network: Network
    history: list[dict[str, float]]
    best_epoch: int
    epochs_run: int
    mix: float
    strength: float
    validation_score: float | None
    stopped: bool
    seconds: float
    accelerator: str
    precision: str


def fit(
    network: Network,
    rows: Rows,
    settings: Settings,
    out: Outputs,
    report: Report,
    *,
    known: linear.Linear | None = None,
    name: str = _ONLY,
    what: str = "Training",
    percents: tuple[float, float] = (0.0, 100.0),
) -> Fitted:
    """Fits `network`, in place, on training rows. Same network, rows, settings and machine: same numbers.

    Args:
        known: the linear path of another cohort, for these features and classes.
        name: of its checkpoints, and of its metrics where a job has several fits. Where an attempt before has left a
            checkpoint, the fit goes on from there.
        what: stands before each word of progress, which goes from the first to the second of `percents`.

    Raises:
        JobRefused: `diverged`.
    """
    _scale(network, rows)
    scaled, y = _scaled(network, rows)
    weights = rows.alike() if settings.weighted else np.ones(len(scaled))
    while_choosing, final = linear.solve(scaled, y, rows, known, weights)
    checkpoints = Checkpoints(out, name, _told(network, settings), report)
    lesson = Lesson(network, rows, settings, _news(report, settings, percents, what, name), checkpoints)
    begun = time.monotonic()
    precision = _run(lesson)
    deep = lesson.best_said().double().numpy()
    linear_said = while_choosing(scaled[rows.validation])
    validation = rows.validation
    mix = best_mix(linear_said, deep, y[validation], rows, trusted=settings.trusted, weights=weights[validation])
    network.mix.fill_(mix)
    network.weight.copy_(torch.as_tensor(final.weight))
    network.bias.copy_(torch.as_tensor(final.bias))
    return Fitted(
        network=network,
        history=lesson.history,
        best_epoch=lesson.best_epoch + 1,
        epochs_run=len(lesson.history),
        mix=mix,
        strength=final.strength,
        validation_score=lesson.news.score(_in_units(network, (1 - mix) * linear_said + mix * deep), rows),
        stopped=lesson.stopped,
        seconds=round(time.monotonic() - begun, 3),
        accelerator=lesson.accelerator,
        precision=precision,
    )


def _news(report: Report, settings: Settings, percents: tuple[float, float], what: str, name: str) -> News:
    prefix = "" if name == _ONLY else f"{name.replace('-', '_')}_"
    return News(report, settings, *percents, what, prefix)


def _told(network: Network, settings: Settings) -> str:
    """What a fit is of: a checkpoint of anything else is of no use to it."""
    return json.dumps([network.arguments(), settings.as_record(), torch.__version__], sort_keys=True)


def _scale(network: Network, rows: Rows) -> None:
    """Means and deviations of the training rows; a column that does not vary stays as it is, whatever its unit."""
    mean, spread = rows.X.mean(axis=0, dtype=np.float64), rows.X.std(axis=0, dtype=np.float64)
    varies = spread > np.maximum(_LEAST_SPREAD, _LEAST_SHARE * np.abs(mean))
    network.mean.copy_(torch.as_tensor(mean))
    network.scale.copy_(torch.as_tensor(np.where(varies, spread, 1.0)))
    if rows.n_classes is None:
        network.y_mean.fill_(float(rows.y.mean()))
        network.y_scale.fill_(float(rows.y.std()) or 1.0)


def _scaled(network: Network, rows: Rows) -> tuple[Any, Any]:
    with torch.inference_mode():
        X = network.scaled(torch.as_tensor(rows.X)).double().numpy()
    if rows.n_classes is not None:
        return X, rows.y
    return X, (rows.y - float(network.y_mean)) / float(network.y_scale)


def _run(lesson: Lesson) -> str:
    """Trains, from a checkpoint if there is one; the precision that it was done in."""
    import pytorch_lightning as lightning

    precision: Any = "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # It advises on workers of a loader that has one item, and on folders that hold a checkpoint.
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="auto", devices=1, max_epochs=lesson.settings.epochs, precision=precision, barebones=True
        )
        found = lesson.checkpoints.found()
        if found is not None and found["lesson"]["ended"]:
            lesson.take(found["lesson"])
        else:
            trainer.fit(lesson, ckpt_path=lesson.checkpoints.path if found else None, weights_only=True)
    return str(precision)


def _in_units(network: Network, said: Any) -> Any:
    return network.in_units(torch.as_tensor(said)).numpy()
