"""Names from a dataset as text in a picture: one line, no control characters, and not too long."""

import unicodedata

_LONGEST = 200


def clean(name: object) -> str:
    """One line that XML and UTF-8 can hold: control characters, half surrogates and changes of direction are gone."""
    kept = "".join(_shown(character) for character in str(name)[: 20 * _LONGEST])
    return trimmed(" ".join(kept.split()), _LONGEST) or "(empty)"


def _shown(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " "
    return "" if kind[0] == "C" else character


def trimmed(text: str, columns: int) -> str:
    """At most that many columns wide; the middle goes, because long names often differ at their ends."""
    if width(text) <= columns:
        return text
    tail = _taken(text[::-1], (columns - 1) // 3)[::-1]
    return f"{_taken(text, columns - 1 - width(tail))}…{tail}"


def width(text: str) -> int:
    """Columns that a text takes: Chinese characters take two, combining marks none."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _taken(text: str, columns: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:place]
    return text
