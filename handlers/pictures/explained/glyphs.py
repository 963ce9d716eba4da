"""Fonts for what matplotlib's own has no glyph for: of those that this machine has. SVG leaves that to the browser."""

from functools import cache
from typing import Any

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

_OWN = "DejaVu Sans"
#: Beginnings of names, the best first.
_WIDE = (
    "Noto Sans CJK", "Source Han Sans", "Hiragino Sans", "PingFang", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic",
    "WenQuanYi", "Noto Sans", "Arial Unicode", "Noto Serif CJK", "Droid Sans Fallback",
)  # fmt: skip
_MOST = 4


def with_all_glyphs(figure: Any) -> None:
    """Texts that need it are drawn with further fonts."""
    for text in figure.texts:
        if not _has(text.get_text()):
            text.set_fontfamily([_OWN, *_further()])


def _has(text: str) -> bool:
    return text.isascii() or all(_glyph(character) for character in set(text))


@cache
def _glyph(character: str) -> bool:
    return get_font(findfont(FontProperties(family=[_OWN]))).get_char_index(ord(character)) != 0


@cache
def _further() -> tuple[str, ...]:
    names = sorted({font.name for font in fontManager.ttflist})
    return tuple(name for begin in _WIDE for name in names if name.startswith(begin))[:_MOST]
