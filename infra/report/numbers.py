"""Figures and names as a reader wants them: three decimals or four digits, so that they stand in line; no novels."""

import math
from collections.abc import Sequence
from datetime import datetime

_MINUS = "\N{MINUS SIGN}"


def figure(value: object) -> str:
    """`0.973`, `12.34`, `12,340`, `−0.250`; what is no number is told as it is, and nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    told = f"{value:,}" if isinstance(value, int) else _four_digits(value)
    return told.replace("-", _MINUS)


def _four_digits(value: float) -> str:
    size = abs(value)
    if not math.isfinite(value) or size >= 1e15 or 0 < size < 1e-3:
        return f"{value:.3g}"
    decimals = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{decimals}f}"


def short(name: str, longest: int = 100) -> str:
    """A name for a sentence: the whole of a long one stands elsewhere."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def interval(low_high: Sequence[float] | None) -> str:
    """`0.910 to 0.980`, or nothing where there is none."""
    return f"{figure(float(low_high[0]))} to {figure(float(low_high[1]))}" if low_high else ""


def seconds(value: float) -> str:
    """`0.42 s`, `41.3 s`, `2 min 5 s`."""
    if value >= 60:
        return f"{int(value // 60)} min {round(value % 60)} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def moment(told: str) -> str:
    """An ISO 8601 moment as `24 November 2026, 05:39 UTC`; what is none is told as it is."""
    try:
        when = datetime.fromisoformat(told.replace("Z", "+00:00"))
    except ValueError:
        return told
    return f"{when.day} {when:%B %Y, %H:%M} UTC"
