"""Names beside rows, right-aligned, however long they are; and the words of the colours."""

from collections.abc import Collection, Sequence
from itertools import takewhile

from handlers.pictures import palette
from handlers.pictures.labels import trimmed, width

from .colours import DOWN, RAMP, UNKNOWN, UP
from .sheet import Sheet

#: What a character takes; digits and capitals, of which identifiers are made, are wide.
COLUMN = 6.6
_SMALL_COLUMN = 5.9
_COMMON = 4
_KEY = 6.2


def labels(names: Sequence[str], columns: int) -> list[str]:
    """Each name at most that many columns wide; no two that differ look alike.

    What all begin with goes first, where they are too long: of identifiers of genes the zeros.
    """
    shown = list(names)
    if len(shown) > 2 and max(map(width, shown)) > columns:
        common = _common(shown)
        if common >= _COMMON:
            shown = [f"…{name[common:]}" for name in shown]
    cut = [trimmed(name, columns) for name in shown]
    seen: dict[str, int] = {}
    for place, text in enumerate(cut):
        seen[text] = seen.get(text, 0) + 1
        if seen[text] > 1:
            mark = f" ({seen[text]})"
            cut[place] = trimmed(shown[place], columns - width(mark)) + mark
    return cut


def _common(names: Sequence[str]) -> int:
    """How many characters all begin with; the first and the last in order differ most."""
    pairs = zip(min(names), max(names), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def widest(names: Sequence[str]) -> float:
    return COLUMN * max(map(width, names), default=0)


def width_of_told(told: Sequence[str]) -> float:
    most = max(map(width, told), default=0)
    return _SMALL_COLUMN * most + 8 if most else 0.0


def write_names(
    sheet: Sheet, names: Sequence[str], middles: Sequence[float], right: float, told: Sequence[str] = ()
) -> None:
    """`told`: what is said of each cell, in a narrow column of its own."""
    aside = width_of_told(told)
    for name, y in zip(names, middles, strict=True):
        sheet.text(right - aside, y + 3.5, name, ha="right")
    for text, y in zip(told, middles, strict=False):
        if text:
            sheet.text(right, y + 3.5, text, size=9, colour=palette.FAINT, ha="right")


def write_ramp(sheet: Sheet, left: float, baseline: float, of: str, colours: Collection[int]) -> None:
    """«low ● ● ● ● ● high», of what, and what other dots are if there are any. `colours`: those in use."""
    if max(colours, default=-1) < 0:
        return
    sheet.text(left, baseline, "low", colour=palette.FAINT)
    for place, colour in enumerate(RAMP):
        sheet.dots([(left + 27 + 9 * place, baseline - 3.5)], colour, _KEY)
    words = f"high: {of}"
    sheet.text(left + 72, baseline, words, colour=palette.FAINT)
    if min(colours, default=0) < 0:
        left += 92 + 6.2 * width(words)
        sheet.dots([(left, baseline - 3.5)], UNKNOWN, _KEY)
        sheet.text(left + 8, baseline, "unknown", colour=palette.FAINT)


def write_halves(sheet: Sheet, left: float, baseline: float, of: str) -> None:
    """«● low ● high», of what."""
    for place, (word, colour) in enumerate((("low", DOWN), (f"high: {of}", UP))):
        sheet.dots([(left + 3 + 44 * place, baseline - 3.5)], colour, _KEY)
        sheet.text(left + 11 + 44 * place, baseline, word, colour=palette.FAINT)
