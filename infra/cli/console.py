"""How the commands speak: tables and sentences for people on a terminal, JSON for programs with --json."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console(*, stderr: bool = False) -> "Console":
    """A fresh console on the present stdout or stderr. Markup is off: names of columns may hold brackets."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on a line of its own."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, if_empty: str) -> None:
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        typer.echo(if_empty)


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
