"""How far each feature moves the answers on average, with intervals over samples; of many classes in one bar."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.metrics import Floats
from handlers.pictures import palette
from handlers.pictures.labels import trimmed
from handlers.pictures.told import Picture

from .colours import UNKNOWN
from .explained import Explained, drawable, ranked
from .grid import significant
from .names import labels, widest, write_names
from .scale import Scale
from .sheet import SIZE, Sheet

NAME = "bar_plot"
_MOST, _CLASSES = 20, 8
_ROW, _BAR, _TOP = 21, 12.5, 54
_NAME_COLUMNS = 32
_NUMBER_WIDTH = 46
_KEY_COLUMNS = 20


def bars(explained: Explained) -> Picture:
    top = explained.top(_MOST)
    digits = 3 if explained.n >= 10 else 2
    shown = [_told(explained, feature, digits) for feature in top]
    parts = _parts(explained, top) if len(explained.outputs) > 1 else None
    more = len(explained.features) - len(top)
    key_lines = -(-len(parts[0]) // 3) if parts else 0
    height = _TOP + _ROW * (len(top) + (more > 0)) + 44 + (16 * key_lines + 10 if parts else 0)
    sheet = Sheet(height, _title(explained), _subtitle(explained, len(top)))
    left = _draw(sheet, explained, shown, parts)
    if more:
        rest = significant(float(drawable(explained.importance).sum() - drawable(explained.importance)[top].sum()), 2)
        words = f"and {more:,} other{'s' * (more > 1)}, together {max(rest, 0.0):.2g}"
        sheet.text(left + 4, _TOP + _ROW * (len(top) + 0.5) + 3.5, words, colour=palette.FAINT)
    figures: dict[str, Any] = {"features": shown, "others": more, "samples": explained.n}
    if parts:
        figures["classes"] = parts[0]
        for one, shares in zip(shown, parts[1], strict=True):
            one["shares"] = [round(float(share), 3) for share in shares]
    about = f"The most important of {len(explained.features)} features: {shown[0]['feature']}."
    return Picture(NAME, sheet, about, figures)


def _title(explained: Explained) -> str:
    if len(explained.outputs) > 1:
        return "How far each feature moves the probabilities of classes"
    return f"How far each feature moves {explained.what(0)}"


def _subtitle(explained: Explained, top: int) -> str:
    more = f"; top {top} of {len(explained.features):,} features" if len(explained.features) > top else ""
    plural = "s" * (explained.n != 1)
    by = "" if explained.is_shap else " by LIME"
    within = ", with 95 % intervals" if np.isfinite(explained.intervals).any() else ""
    return f"mean size{by} over {explained.n:,} sample{plural}{within}{more}"


def _told(explained: Explained, feature: int, digits: int) -> dict[str, Any]:
    importance = float(drawable(explained.importance)[feature])
    told: dict[str, Any] = {"feature": explained.name(feature), "importance": significant(importance, digits)}
    if not np.isfinite(explained.intervals[feature]).all():
        return told | {"low": None, "high": None}
    low, high = sorted(drawable(explained.intervals[feature]).tolist())
    return told | {
        "low": significant(min(low, importance), digits),
        "high": significant(max(high, importance), digits),
    }


def _reach(one: Mapping[str, Any]) -> float:
    """How far to the right a bar and its interval go."""
    return float(one["importance"] if one["high"] is None else one["high"])


def _parts(explained: Explained, top: Sequence[int]) -> tuple[list[str], Floats]:
    """Names of the classes that are moved most, and their shares in each feature's bar; the last is all others'."""
    sizes = np.abs(np.nan_to_num(explained.values[:, top, :])).mean(axis=0)
    all_sizes = np.nan_to_num(np.abs(explained.values)).sum(axis=(0, 1))
    k = len(explained.outputs)
    kept = sorted(ranked(all_sizes, _CLASSES - (k > _CLASSES))) if k > _CLASSES else list(range(k))
    others = [output for output in range(k) if output not in kept]
    names = [explained.class_name(output) for output in kept]
    found = sizes[:, kept]
    if others:
        names.append(f"{len(others)} other classes")
        found = np.column_stack([found, sizes[:, others].sum(axis=1)])
    total = found.sum(axis=1, keepdims=True)
    return names, np.divide(found, total, out=np.full_like(found, 1 / found.shape[1]), where=total > 0)


def _draw(
    sheet: Sheet, explained: Explained, shown: Sequence[dict[str, Any]], parts: tuple[list[str], Floats] | None
) -> float:
    names = labels([one["feature"] for one in shown], _NAME_COLUMNS)
    left = 22 + widest(names)
    most = max(map(_reach, shown)) or 1.0
    scale = Scale(0.0, most * 1.02, left, SIZE - 16 - _NUMBER_WIDTH)
    bottom = _TOP + _ROW * (len(shown) + (len(explained.features) > len(shown)))
    sheet.axis(scale, _TOP, bottom)
    middles = [_TOP + _ROW * (place + 0.5) for place in range(len(shown))]
    shares = parts[1] if parts else np.ones((len(shown), 1))
    colours = [palette.MODEL] if not parts else [*palette.CLASSES[: len(parts[0])]]
    if parts and parts[0][-1].endswith(" other classes"):
        colours[-1] = UNKNOWN
    ends = np.cumsum(shares, axis=1)
    for at, colour in enumerate(colours):
        corners = []
        for row, (one, middle) in enumerate(zip(shown, middles, strict=True)):
            begin = scale(one["importance"] * (ends[row, at] - shares[row, at]))
            end = scale(one["importance"] * ends[row, at])
            corners.append((begin, middle - _BAR / 2, end, middle + _BAR / 2))
        sheet.boxes(corners, colour)
    whiskers = [
        (scale(one["low"]), y, scale(one["high"]), y)
        for one, y in zip(shown, middles, strict=True)
        if one["high"] is not None
    ]
    caps = [(x, y - 2.5, x, y + 2.5) for x0, y, x1, _ in whiskers for x in (x0, x1)]
    sheet.lines([*whiskers, *caps], palette.GROUND, 2.6)
    sheet.lines([*whiskers, *caps], palette.INK, 1.0)
    write_names(sheet, names, middles, left - 8)
    for one, middle in zip(shown, middles, strict=True):
        sheet.text(scale(_reach(one)) + 6, middle + 3.5, _number(one["importance"]), size=9, colour=palette.FAINT)
    sheet.below(scale, bottom, "mean size of the change")
    if parts:
        _keys(sheet, parts[0], colours, bottom + 54)
    return left


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if value < 1e5 else f"{value:.2e}"


def _keys(sheet: Sheet, names: Sequence[str], colours: Sequence[str], top: float) -> None:
    lines = -(-len(names) // 3)
    for at, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x, y = 14 + (at // lines) * 178, top + (at % lines) * 16
        sheet.boxes([(x, y - 9, x + 10, y + 1)], colour)
        sheet.text(x + 16, y, trimmed(name, _KEY_COLUMNS + 4))
