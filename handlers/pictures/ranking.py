"""The pictures of how well a model ranks: ROC and precision-recall, with the baseline's beside."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.metrics import Floats, Predictions

from . import palette
from .bins import FEWEST
from .canvas import Canvas, Entry, legend_height
from .curves import GRID, Curves, by_class, macro
from .labels import trimmed
from .told import Picture, Told, rounded

#: More curves than that cannot be told apart.
_MOST_CLASSES = 10
_BAND = [10, 90]
_TOP, _SIZE, _BELOW = 50, 276, 40
_COLUMNS = 2


@dataclass(frozen=True, slots=True)
class _Kind:
    """What sets the two pictures apart."""

    name: str
    title: str
    x: str
    y: str
    area: str


_ROC = _Kind("roc", "ROC curve", "False-positive rate", "True-positive rate", "auroc")
_PRECISION = _Kind("precision_recall", "Precision and recall", "Recall", "Precision", "auprc")
_AREAS = {"auroc": "AUROC", "auprc": "AUPRC"}


def ranking(told: Told) -> list[Picture]:
    """Both pictures; none where the test rows have one class, for then there is nothing to rank."""
    model = by_class(told.said)
    if not model:
        return []
    baseline = by_class(told.plain) if told.plain is not None else {}
    return [_picture(kind, told, model, baseline) for kind in (_ROC, _PRECISION)]


def _picture(kind: _Kind, told: Told, model: dict[int, Curves], baseline: dict[int, Curves]) -> Picture:
    mean, plain = macro(model), macro(baseline) if baseline else None
    is_binary = len(told.labels) == 2
    single = {} if is_binary else _drawn(told.said, model)
    entries = _entries(kind, told, mean, plain, single, is_banded=not is_binary and not single)
    canvas = Canvas(
        _TOP + _SIZE + _BELOW + legend_height(len(entries), _COLUMNS) + 4, *_words(kind, told, n_drawn=len(single))
    )
    axes = _square(canvas, kind)
    _reference(axes, kind, told, is_binary)
    if not is_binary and not single:
        axes.fill_between(_x(kind), *_band(kind, model), color=palette.SHADES[0], linewidth=0)
    for number, code in enumerate(single):
        axes.plot(_x(kind), _y(kind, model[code]), color=palette.CLASSES[number], linewidth=1.1)
    if plain is not None:
        axes.plot(_x(kind), _y(kind, plain), color=palette.BASELINE, linewidth=2, linestyle=palette.DASHED)
    axes.plot(_x(kind), _y(kind, mean), color=palette.MODEL, linewidth=2.4)
    canvas.legend(entries, 14, _TOP + _SIZE + _BELOW + 4, _COLUMNS)
    return Picture(kind.name, canvas, _about(kind, mean, plain), _figures(kind, told, model, baseline))


def _words(kind: _Kind, told: Told, n_drawn: int) -> tuple[str, str]:
    if len(told.labels) == 2:
        return f"{kind.title} for «{trimmed(told.labels[1], 30)}»", told.subtitle
    left_out = n_drawn and n_drawn < len(np.unique(told.said.y))
    rare = ", rare classes in the mean only" if left_out else ""
    return f"{kind.title}{'s' * (kind is _ROC)}, each class against the rest", told.subtitle + rare


def _square(canvas: Canvas, kind: _Kind) -> Any:
    axes = canvas.axes((400 - _SIZE) / 2 + 8, _TOP, _SIZE, _SIZE)
    axes.set(xlim=(-0.012, 1.012), ylim=(-0.012, 1.012), xlabel=kind.x, ylabel=kind.y)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(color=palette.RULE, linewidth=0.5)
    return axes


def _drawn(said: Predictions, model: dict[int, Curves]) -> list[int]:
    """Classes with a curve of their own: few enough to tell apart, with rows enough to be more than one row's rank."""
    if len(model) > _MOST_CLASSES:
        return []
    return [code for code in model if (said.y == code).sum() >= FEWEST]


def _reference(axes: Any, kind: _Kind, told: Told, is_binary: bool) -> None:
    """What guessing would give; across classes there is no one precision of a guess."""
    if kind is _ROC:
        axes.plot([0, 1], [0, 1], color=palette.FAINT, linewidth=0.9, linestyle=":")
    elif is_binary:
        axes.axhline(float((told.said.y == 1).mean()), color=palette.FAINT, linewidth=0.9, linestyle=":")


def _entries(kind: _Kind, told: Told, mean: Curves, plain: Curves | None, single: Any, is_banded: bool) -> list[Entry]:
    which = "model" if len(told.labels) == 2 else "model (mean)"
    area = _AREAS[kind.area]
    entries = [Entry(f"{which}: {area} {getattr(mean, kind.area):.3f}", palette.MODEL, weight=2.4)]
    if plain is not None:
        name = trimmed(told.baseline_name, 22)
        entries.append(Entry(f"{name}: {getattr(plain, kind.area):.3f}", palette.BASELINE, palette.DASHED))
    if kind is _ROC or len(told.labels) == 2:
        entries.append(Entry("guessing", palette.FAINT, ":", 0.9))
    if is_banded:
        entries.append(Entry("middle 80 % of classes", palette.SHADES[0], band=True))
    for number, code in enumerate(single):
        entries.append(Entry(trimmed(told.labels[code], 22), palette.CLASSES[number], weight=1.4))
    return entries


def _x(kind: _Kind) -> Floats:
    return np.append(0, GRID) if kind is _ROC else GRID


def _y(kind: _Kind, curves: Curves) -> Floats:
    # A ROC curve starts at the origin and often rises there at once.
    return np.append(0, curves.tpr) if kind is _ROC else curves.precision


def _band(kind: _Kind, model: dict[int, Curves]) -> Floats:
    return np.asarray(np.percentile([_y(kind, one) for one in model.values()], _BAND, axis=0))


def _about(kind: _Kind, mean: Curves, plain: Curves | None) -> str:
    area = _AREAS[kind.area]
    beside = "" if plain is None else f"; baseline {getattr(plain, kind.area):.3f}"
    return f"{kind.y} against {kind.x.lower()}. {area} of the model {getattr(mean, kind.area):.3f}{beside}."


def _figures(kind: _Kind, told: Told, model: dict[int, Curves], baseline: dict[int, Curves]) -> dict[str, Any]:
    single = {code: model[code] for code in _drawn(told.said, model)} if len(told.labels) > 2 else {}
    return {
        "x": kind.x,
        "y": kind.y,
        "positive_class": told.labels[1] if len(told.labels) == 2 else None,
        "grid": rounded(_x(kind)),
        "model": _told(kind, macro(model)),
        "baseline": _told(kind, macro(baseline)) if baseline else None,
        "classes": [{"label": told.labels[code]} | _told(kind, one) for code, one in single.items()],
    }


def _told(kind: _Kind, curves: Curves) -> dict[str, Any]:
    return {kind.area: rounded(getattr(curves, kind.area)), "curve": rounded(_y(kind, curves))}
