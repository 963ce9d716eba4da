"""A report as one HTML file: no script, no request to anywhere, every word escaped."""

import re
import uuid
from functools import cache
from pathlib import Path

from .data import ReportData

#: By this a report of ours is known, so that no other file is ever overwritten.
_MARK = '<meta name="generator" content="OmniScope ML report">'
_MARK_IS_WITHIN = 2000
#: Signs that are not seen and change how others are shown («Trojan Source», Boucher and Anderson 2021).
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def render(data: ReportData) -> str:
    """The page. The same data give the same bytes."""
    return _template().render(report=data, mark=_MARK)  # type: ignore[no-any-return]


@cache
def _template():  # type: ignore[no-untyped-def]
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2")


def visible(value: object) -> object:
    """Text with a sign for each character that would turn the rest of the line round, or is none at all."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value


def is_ours(path: Path) -> bool:
    """Whether the file was written by `save`."""
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_MARK_IS_WITHIN)


def save(html: str, path: Path) -> None:
    """Writes the page. Whoever reads `path` finds the whole of it, or what was there before."""
    draft = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        draft.write_text(html, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
