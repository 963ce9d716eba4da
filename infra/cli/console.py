"""How the commands speak: tables and sentences for people on a terminal, JSON for programs with --json."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

_IN_A_PIPE = 1000

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console(*, stderr: bool = False) -> "Console":
    """A fresh console on the present stdout or stderr. Markup is off: names of columns may hold brackets."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _IN_A_PIPE
    return made


def print_json(value: Any) -> None:
    """One JSON value on a line of its own."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, if_empty: str) -> None:
    """A table. Only its last column is ever folded: names must be there whole, to be copied."""
    from rich.table import Table

    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not texts:
        typer.echo(if_empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns[:-1]):
        table.add_column(column, no_wrap=True, min_width=max(len(column), *(len(row[number]) for row in texts)))
    table.add_column(columns[-1])
    for text in texts:
        table.add_row(*text)
    console().print(table)


def ago(moment: str | None) -> str:
    """An ISO 8601 moment as people say it: `3 min ago`."""
    if not moment:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 1 else "now"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`, `3 days`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 48 * 3600:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")
    return f"{whole // 86400} days"


def counted(n: int, what: str) -> str:
    """`1 job`, `1,200 jobs`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def number(value: object) -> str:
    """A score to four digits; what is no number is told as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_interval(metrics: Mapping[str, Any], intervals: Mapping[str, Sequence[float]], name: str) -> str:
    """`0.9731 [0.951, 0.991]`, or the number alone where there is no interval."""
    if name not in metrics:
        return ""
    low_high = intervals.get(name)
    told = number(metrics[name])
    return f"{told} [{number(low_high[0])}, {number(low_high[1])}]" if low_high else told
