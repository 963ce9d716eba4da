"""How a network learned: its losses by epoch, and what the best epoch is by.

Means over all rows of a part, so that no number is a row's. Of many epochs evenly many are drawn, the first, the last
and the best among them; where a loss was not finite there is a gap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import LOWER_IS_BETTER, Floats, Indices

from . import palette
from .canvas import Canvas, Entry
from .told import Picture

NAME = "learning_curve"
_MOST = 200
_LEFT, _WIDTH = 66, 316
_TOP, _HEIGHT = 50, 168
_GAP = 14
_LARGEST = 1e30
#: A loss that fell to a twentieth is drawn by its logarithm: the end of the curve would be a flat line.
_STEEP = 20.0
_SERIES = ("train_loss", "validation_loss", "validation_score", "learning_rate")
_SIX = 6


@dataclass(frozen=True, slots=True)
class _History:
    """Arrays of e epochs, not-a-number where nothing is known. `best`: a place in them."""

    epochs: Indices
    series: dict[str, Floats]
    best: int | None


def learning_curve(history: Sequence[Mapping[str, float]], metric: str) -> Picture | None:
    """The picture; made within `settings()`. None where no epoch has a finite loss.

    `history`: an entry for each epoch with `epoch`, `train_loss` and, where there were validation rows,
    `validation_loss` and `validation_score` (of `metric`). The best epoch has the lowest validation loss, or without
    one the lowest training loss.
    """
    known = _known(history)
    if known.best is None:
        return None
    has_score = bool(np.isfinite(known.series["validation_score"]).any())
    height = _TOP + _HEIGHT + (_GAP + 96 if has_score else 0) + 62
    n, best = len(known.epochs), int(known.epochs[known.best])
    canvas = Canvas(height, "Learning curve", f"{n:,} epoch{'s' * (n != 1)}, best after epoch {best:,}")
    shown = _thinned(known)
    _losses(canvas, known, shown, is_last=not has_score)
    if has_score:
        _scores(canvas, known, shown, metric)
    _keys(canvas, known, height - 12)
    figures = {
        "metric": metric,
        "n_epochs": n,
        "best_epoch": best,
        "epoch": known.epochs[shown].tolist(),
        **{name: _told(values[shown]) for name, values in known.series.items()},
    }
    return Picture(NAME, canvas, _about(known), figures)


def _known(history: Sequence[Mapping[str, float]]) -> _History:
    series = {name: np.array([_number(entry.get(name)) for entry in history]) for name in _SERIES}
    epochs = np.array([entry["epoch"] for entry in history], dtype=np.int64)
    for name in ("validation_loss", "train_loss"):
        if np.isfinite(series[name]).any():
            return _History(epochs, series, int(np.nanargmin(series[name])))
    return _History(epochs, series, None)


def _number(value: Any) -> float:
    if value is None or not math.isfinite(value):
        return math.nan
    return min(max(float(value), -_LARGEST), _LARGEST)


def _thinned(known: _History) -> Indices:
    n = len(known.epochs)
    even = np.linspace(0, n - 1, min(n, _MOST)).round().astype(np.int64)
    return np.union1d(even, [known.best if known.best is not None else 0])


def _losses(canvas: Canvas, known: _History, shown: Indices, is_last: bool) -> None:
    axes = _panel(canvas, _TOP, _HEIGHT, known, is_last)
    looks = (("train_loss", palette.BASELINE, palette.DASHED), ("validation_loss", palette.MODEL, "-"))
    for name, colour, dashes in looks:
        values = known.series[name][shown]
        marker = "o" if len(shown) == 1 else _lonely(values)
        axes.plot(known.epochs[shown], values, color=colour, linestyle=dashes, linewidth=1.8, marker=marker)
    both = np.concatenate([known.series["train_loss"][shown], known.series["validation_loss"][shown]])
    both = both[np.isfinite(both)]
    if both.min() > 0 and both.max() > _STEEP * both.min():
        _by_logarithm(axes, both)
    axes.set_ylabel("Loss")


def _by_logarithm(axes: Any, values: Floats) -> None:
    axes.set_yscale("log")
    is_wide = values.max() > 1000 * values.min()
    axes.yaxis.get_major_locator().set_params(subs=(1.0,) if is_wide else (1.0, 2.0, 5.0))
    # Plain numbers: what matplotlib writes of its own accord are formulas.
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _scores(canvas: Canvas, known: _History, shown: Indices, metric: str) -> None:
    axes = _panel(canvas, _TOP + _HEIGHT + _GAP, 96, known, is_last=True)
    values = known.series["validation_score"][shown]
    marker = "o" if len(shown) == 1 else _lonely(values)
    axes.plot(known.epochs[shown], values, color=palette.INK, linewidth=1.6, marker=marker)
    way = "lower" if metric in LOWER_IS_BETTER else "higher"
    axes.set_ylabel(f"{metric}\n({way} is better)")
    axes.locator_params(axis="y", nbins=4)


def _lonely(values: Floats) -> str:
    """A marker where no two neighbours are known: there is no line to see."""
    there = np.isfinite(values)
    return "" if (there[1:] & there[:-1]).any() else "."


def _panel(canvas: Canvas, top: float, down: float, known: _History, is_last: bool) -> Any:
    axes = canvas.axes(_LEFT, top, _WIDTH, down)
    first, last = int(known.epochs.min()), int(known.epochs.max())
    room = max(0.5, 0.015 * (last - first))
    axes.set_xlim(first - room, last + room)
    axes.locator_params(axis="x", nbins=7, integer=True, min_n_ticks=1)
    axes.grid(color=palette.RULE, linewidth=0.4)
    assert known.best is not None
    axes.axvline(int(known.epochs[known.best]), color=palette.FAINT, linewidth=1.0, linestyle=":")
    if is_last:
        axes.set_xlabel("Epoch")
    else:
        axes.tick_params(axis="x", labelbottom=False)
    return axes


def _keys(canvas: Canvas, known: _History, top: float) -> None:
    entries = [Entry("training rows", palette.BASELINE, palette.DASHED, 1.8)]
    if np.isfinite(known.series["validation_loss"]).any():
        entries.append(Entry("validation rows", palette.MODEL, weight=1.8))
    canvas.legend([*entries, Entry("best epoch", palette.FAINT, ":", 1.0)], 14, top, 3)


def _about(known: _History) -> str:
    assert known.best is not None
    epoch = int(known.epochs[known.best])
    for name, rows in (("validation_loss", "validation"), ("train_loss", "training")):
        values = known.series[name]
        if np.isfinite(values[known.best]):
            return f"Loss by epoch. On {rows} rows it was lowest after epoch {epoch}: {values[known.best]:.4g}."
    return "Loss by epoch."


def _told(values: Floats) -> list[float | None]:
    return [float(f"{value:.{_SIX}g}") if math.isfinite(value) else None for value in values]
