"""`omniscope-ml rebuild`: the tables made anew from the log, and what was not as it should be."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.console import Json, counted, duration, print_json, print_table
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from infra.kafka.rebuild import Rebuilt
    from infra.kafka.replay import Progress
    from infra.storage.comparing import Difference

_LINE_EVERY_S = 2.0
_DROP = "--drop-unknown-rows"
_NOT_COMPARED = "job_events.id, which counts rows in the order of their arrival, is not compared."


def rebuild(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare; exit code 1 if they differ.")] = False,
    drop_unknown: Annotated[
        bool, typer.Option(_DROP, help="Go on even if rows vanish that the log does not know, or know less then.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the tables anew from the log, and tell what was different. The projector may go on running."""
    require("rebuild", "api")
    from infra.kafka.rebuild import rebuild as rebuild_tables
    from infra.storage.fresh import RebuildRefused

    told = {} if as_json else {"told": progress_teller()}
    try:
        rebuilt = run(rebuild_tables(load_settings(), dry_run=dry_run, drop_unknown=drop_unknown, **told))
    except RebuildRefused as refused:
        raise CliError(str(refused)) from refused
    print_json(as_json_value(rebuilt, dry_run)) if as_json else show(rebuilt, dry_run)
    if rebuilt.refused and not dry_run:
        raise CliError(f"{rebuilt.refused}: nothing was changed ({_DROP} accepts that)")
    if dry_run and not rebuilt.identical:
        raise typer.Exit(ExitCode.FAILED)


def progress_teller() -> Callable[["Progress"], None]:
    """Says on stderr how far the replay is: in one line on a terminal, every few seconds in a log."""
    last = time.monotonic()
    terminal = sys.stderr.isatty()

    def tell(progress: "Progress") -> None:
        nonlocal last
        if time.monotonic() < last + (0.2 if terminal else _LINE_EVERY_S):
            return
        last = time.monotonic()
        percent = 100 * progress.done / max(progress.total, 1)
        to_go = f", {duration(progress.eta_s)} to go" if progress.eta_s else ""
        line = f"{percent:5.1f} %  {progress.done:,} of {progress.total:,} records, {progress.per_s:,.0f}/s{to_go}"
        typer.echo(f"\r{line:<79}" if terminal else line, err=True, nl=not terminal)

    return tell


def as_json_value(rebuilt: "Rebuilt", dry_run: bool) -> dict[str, Any]:
    tables = [{**asdict(table), "identical": table.identical} for table in rebuilt.tables]
    rate = round(rebuilt.records / max(rebuilt.seconds, 1e-9))
    return {
        **asdict(rebuilt), "tables": tables, "identical": rebuilt.identical, "dry_run": dry_run,
        "seconds": round(rebuilt.seconds, 3), "records_per_second": rate, "not_compared": ["job_events.id"],
    }  # fmt: skip


def show(rebuilt: "Rebuilt", dry_run: bool) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{'':<79}\r", err=True, nl=False)
    head = ("table", "rows", "only in the old", "only in the new", "different", "")
    rows = [
        (t.table, f"{t.rows_before:,}", f"{t.only_before:,}", f"{t.only_after:,}", f"{t.different:,}", notes(t))
        for t in rebuilt.tables
    ]
    print_table(head, rows, if_empty="")
    if rebuilt.unprojectable:
        typer.echo(f"{counted(rebuilt.unprojectable, 'record')} cannot be projected: {program()} dlq list shows them")
    for topic in rebuilt.trimmed:
        typer.echo(f"the broker no longer has the beginning of {topic}")
    typer.echo(f"{sentence(rebuilt, dry_run)} {_NOT_COMPARED}")


def notes(table: "Difference") -> str:
    """Which columns and which rows."""
    parts = [f"columns {', '.join(table.columns)}"] if table.columns else []
    if table.gone_back:
        parts.append(f"{table.gone_back:,} would know less")
    if table.kept:
        parts.append(f"{table.kept:,} kept that are older than what the broker keeps")
    parts += [f"{_SAID[sort]} {_keys(keys)}" for sort, keys in table.examples.items()]
    return "; ".join(parts)


_SAID = {"only_before": "old:", "only_after": "new:", "different": "different:"}


def _keys(keys: list[list[Any]]) -> str:
    return ", ".join("/".join(map(str, key)) for key in keys)


def sentence(rebuilt: "Rebuilt", dry_run: bool) -> str:
    rate = rebuilt.records / max(rebuilt.seconds, 1e-9)
    read = f"{counted(rebuilt.records, 'record')} in {rebuilt.seconds:.1f} s ({rate:,.0f}/s)"
    if rebuilt.identical:
        return f"Identical, row for row: {read}."
    if rebuilt.swapped:
        return f"The tables are now what the log says: {read}."
    if dry_run and rebuilt.refused:
        return f"The tables are not what the log says: {read}. Nothing was changed. {rebuilt.refused}."
    return f"The tables are not what the log says: {read}. Nothing was changed."
