"""How dead letters are shown. Whoever may publish chose their bytes: nothing of them reaches a terminal as it is."""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from infra.cli.console import ago, console, counted, print_table

if TYPE_CHECKING:
    from events.dead_letters import Redriven
    from infra.kafka.letters.book import Known
    from infra.kafka.letters.filed import Filed

_LONGEST_NAME = 40
_NARROWEST = 20
#: How much of a value is shown; --raw has the rest.
_PREVIEW = 8_000
_HEX_PREVIEW = 512
_LAST_MS = 253_402_300_799_999


def print_letters(letters: "Sequence[Known]", limit: int, *, redriven: bool, hidden: int) -> None:
    """A table of the first `limit`, each on one line of the terminal, and how many there are for each reason.

    `hidden`: how many of those that were asked for are left out, as they were sent back.
    """
    columns = ["letter", "reason", "put aside", "key or job", "bytes", *(["sent back"] if redriven else []), "message"]
    rows = [_row(letter, redriven) for letter in letters[:limit]]
    used = sum(2 + max([len(name), *(len(row[n]) for row in rows)]) for n, name in enumerate(columns[:-1]))
    room = max(console().width - used, _NARROWEST)
    back = f" {counted(hidden, 'letter')} sent back: --all shows them." if hidden else ""
    print_table(columns, ([*row[:-1], shortened(row[-1], room)] for row in rows), if_empty=f"No dead letters.{back}")
    if not letters:
        return
    reasons = ", ".join(f"{n:,} {safe(reason)}" for reason, n in Counter(x.reason for x in letters).most_common())
    more = f"; {len(letters) - limit:,} more: --limit {len(letters)}, or a filter" if len(letters) > limit else ""
    typer.echo(f"\n{counted(len(letters), 'letter')} ({reasons}){more}.{back}")


def _row(letter: "Known", redriven: bool) -> list[str]:
    return [
        safe(letter.id),
        safe(letter.reason),
        ago(_iso(letter.dead_at_ms)),
        shortened(safe(letter.about), _LONGEST_NAME),
        f"{letter.size:,}{' (cut)' if letter.cut else ''}",
        *([ago(_iso(letter.redriven.at_ms)) if letter.redriven else ""] if redriven else []),
        safe(letter.message),
    ]


def letter_json(letter: "Known") -> dict[str, Any]:
    """A letter for a program, without its content."""
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "message": letter.message,
        "dead_at": _iso(letter.dead_at_ms),
        "key_or_job": letter.about,
        "size": letter.size,
        "cut": letter.cut,
        "redriven_from": letter.came_from,
        "redriven": redriven_json(letter.redriven),
    }


def redriven_json(redriven: "Redriven | None") -> dict[str, Any] | None:
    """When, by whom, and where the original stands now."""
    if redriven is None:
        return None
    at = {"partition": redriven.partition, "offset": redriven.offset}
    return {"at": _iso(redriven.at_ms), "by": redriven.by, **at}


def filed_json(filed: "Filed", known: "Known") -> dict[str, Any]:
    """A letter for a program, whole: bytes in base64, and as text where they are UTF-8."""
    letter = filed.letter
    return letter_json(known) | {
        "timestamp": _iso(letter.timestamp_ms),
        "key_base64": _base64(letter.key),
        "headers": [[name, _base64(value)] for name, value in letter.headers],
        "value_base64": _base64(letter.value),
        "value_text": _text(letter.value),
    }


def print_filed(filed: "Filed", known: "Known") -> None:
    """A letter for a person."""
    letter = filed.letter
    told = {
        "letter": known.id,
        "reason": letter.reason,
        "message": letter.message,
        "stood at": f"{letter.topic}, partition {letter.partition}, offset {letter.offset}",
        "published": _moment(letter.timestamp_ms),
        "put aside": _moment(filed.timestamp_ms),
        "key": "none" if letter.key is None else readable(letter.key),
        "came from": known.came_from or "",
        "sent back": _told(letter.topic, known.redriven),
    }
    for name, text in told.items():
        if text:
            typer.echo(f"{name:10} {safe(text)}")
    for name, value in letter.headers:
        typer.echo(f"{'header':10} {safe(name)} = {'null' if value is None else safe(readable(value))}")
    typer.echo(f"{'content':10} {_content(letter.value, cut=letter.cut)}")


def _told(topic: str, redriven: "Redriven | None") -> str:
    if redriven is None:
        return ""
    place = f"{topic}, partition {redriven.partition}, offset {redriven.offset}"
    return f"{_moment(redriven.at_ms)} by {redriven.by}: it stands at {place} now"


def _content(value: bytes | None, *, cut: bool) -> str:
    if not value:
        return "no value" if value is None else "0 bytes"
    size = f"{counted(len(value), 'byte')}{', of a larger original' if cut else ''}"
    shown = _pretty(value)
    more = f"\n… {len(shown) - _PREVIEW:,} characters more: --raw writes them all" if len(shown) > _PREVIEW else ""
    return f"{size}\n{shown[:_PREVIEW]}{more}"


def _pretty(value: bytes) -> str:
    """JSON indented, other text as it is, bytes in hexadecimal; all of it harmless on a terminal."""
    text = _text(value)
    if text is None:
        dots = " …" if len(value) > _HEX_PREVIEW else ""
        return f"{value[:_HEX_PREVIEW].hex(' ', 1)}{dots}"
    with suppress(ValueError, RecursionError):  # what is no JSON is shown as it is
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return "\n".join(map(safe, text.split("\n")))


def readable(raw: bytes) -> str:
    """Text where it is UTF-8, else hexadecimal."""
    text = _text(raw)
    return f"0x{raw.hex()}" if text is None else text


def safe(text: str) -> str:
    """The text with everything escaped that would move a cursor, change a colour or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shortened(text: str, room: int) -> str:
    """At most `room` characters of it."""
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _iso(at_ms: int) -> str | None:
    return datetime.fromtimestamp(min(at_ms, _LAST_MS) / 1000, UTC).isoformat() if at_ms >= 0 else None


def _moment(at_ms: int) -> str:
    told = _iso(at_ms)
    return f"{told} ({ago(told)})" if told else "at no time that it tells"
