"""`dlq redrive`: the letters that were chosen, window by window, and the report of what became of each."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import typer

from infra.cli.console import console, counted, print_json, print_table
from infra.cli.dlq_views import redriven_json, safe
from infra.cli.errors import CliError, ExitCode
from infra.cli.publishing import whoami

if TYPE_CHECKING:
    from events.dead_letters import Redriven
    from infra.kafka.letters.book import Known
    from infra.kafka.letters.filed import Filed
    from infra.kafka.letters.redrive import Redriver, Told
    from infra.settings import Settings

#: So many letters, or so many bytes of them, are on their way together.
_WINDOW, _WINDOW_BYTES = 64, 8_000_000
#: From here on a person wants to see how far it is.
_MANY = 100
_SHOWN = 20


class Report:
    """What became of each of the `chosen` letters. Those that the log knows as sent back are told of at once."""

    def __init__(self, chosen: "list[Known]", *, dry_run: bool) -> None:
        from infra.kafka.letters.redrive import Fate

        self.dry_run = dry_run
        self.open = {known.filed: known for known in chosen if known.redriven is None}
        self._chosen = len(chosen)
        self._fates: list[dict[str, Any]] = []
        for known in chosen:
            if known.redriven is not None:
                self.add(known, Fate.ALREADY, f"{known.redriven.by} has sent it back", known.redriven)

    def add(self, known: "Known", fate: str, message: str = "", redriven: "Redriven | None" = None) -> None:
        self._fates.append(
            {
                "id": known.id,
                "topic": known.topic,
                "size": known.size,
                "fate": str(fate),
                "message": message,
                "redriven": redriven_json(redriven),
            }
        )

    @property
    def exit_code(self) -> ExitCode:
        """Failed where a letter is not where it should be, by all that is known."""
        return ExitCode.FAILED if {"refused", "underway"} & self.count().keys() else ExitCode.OK

    def print(self, *, as_json: bool) -> None:
        count = self.count()
        if as_json:
            print_json({"dry_run": self.dry_run, "count": dict(count), "letters": self._fates})
            return
        if not self._chosen:
            typer.echo("No dead letter is like that: nothing to send back.")
            return
        if self.dry_run:
            self._print_plan()
        for fate in self._fates:
            if fate["message"] and fate["fate"] != "already_redriven":
                typer.echo(f"! {safe(fate['id'])} {_SAID[fate['fate']]}: {safe(fate['message'])}", err=True)
        said = [f"{counted(count[fate], 'letter')} {words}" for fate, words in _SAID.items() if count[fate]]
        missing = self._chosen - len(self._fates)
        typer.echo("; ".join([*said, *([f"{counted(missing, 'letter')} not tried"] if missing else [])]))

    def _print_plan(self) -> None:
        going = [fate for fate in self._fates if fate["fate"] == "would_be_redriven"]
        rows = ([safe(fate["id"]), f"{fate['size']:,}", safe(fate["topic"])] for fate in going[:_SHOWN])
        if going:
            print_table(("letter", "bytes", "to topic"), rows, if_empty="")
            typer.echo(f"… and {len(going) - _SHOWN:,} more\n" if len(going) > _SHOWN else "")

    def count(self) -> Counter[str]:
        """How many letters have which fate."""
        return Counter(fate["fate"] for fate in self._fates)


#: The fates in the order in which they are told of, and how.
_SAID = {
    "redriven": "sent back",
    "would_be_redriven": "would be sent back",
    "already_redriven": "sent back before",
    "underway": "being sent back by somebody else",
    "refused": "refused",
}


async def planned(settings: "Settings", report: Report) -> None:
    """What `send_back` would do, as far as that can be known; nothing is written anywhere."""
    from infra.kafka.letters.redrive import Fate, obstacle
    from infra.kafka.topics import partition_counts

    partitions = await partition_counts(settings)
    for known in report.open.values():
        why = obstacle(known.topic, known.cut, partitions)
        report.add(known, Fate.REFUSED if why else "would_be_redriven", why or "")


async def send_back(settings: "Settings", report: Report) -> None:
    """Reads the letters again and sends those that are open back.

    Raises:
        CliError: the artifact store's address makes no sense, or the store failed.
        BrokerUnreachable: the broker is away, or went away.
    """
    from infra.jobs.ports import StoreError
    from infra.kafka.letters.redrive import Redriver
    from infra.kafka.log_epoch import ensure_epoch
    from infra.storage.redrive_claims import RedriveClaims

    if not report.open:
        return
    who = f"{whoami()}@{socket.gethostname()}"
    try:
        claims = RedriveClaims.open(settings.artifacts, await ensure_epoch(settings), who)
    except ValueError as error:
        raise CliError(f"ARTIFACTS_URI: {error}", ExitCode.USAGE) from error
    with _progress(len(report.open)) as advance:
        try:
            async with Redriver(settings, claims, who) as redriver:
                await _send_all(settings, redriver, report, advance)
        except StoreError as error:
            raise CliError(f"{error}: who sends which letter is decided in the artifact store") from error


async def _send_all(settings: "Settings", redriver: "Redriver", report: Report, advance: Callable[[], None]) -> None:
    from infra.kafka.letters.filed import dead_letters

    window: list[Filed] = []

    async def send_window() -> None:
        known = {filed.letter.place: report.open[filed.partition, filed.offset] for filed in window}

        def tell(told: "Told") -> None:
            report.add(known[told.letter.place], told.fate, told.message, told.redriven)
            advance()

        await redriver.redrive(window, tell)
        window.clear()

    async with aclosing(dead_letters(settings)) as filed_letters:
        async for filed in filed_letters:
            if (filed.partition, filed.offset) in report.open:
                window.append(filed)
            if _is_full(window):
                await send_window()
        await send_window()


def _is_full(window: "list[Filed]") -> bool:
    return len(window) >= _WINDOW or sum(len(filed.letter.value or b"") for filed in window) >= _WINDOW_BYTES


@contextmanager
def _progress(n: int) -> Iterator[Callable[[], None]]:
    """Shows on a terminal how far it is; yields what is to be called after each letter."""
    shown = console(stderr=True)
    if n < _MANY or not shown.is_terminal:
        yield lambda: None
        return
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("sending back"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, transient=True) as progress:
        task = progress.add_task("", total=n)
        yield lambda: progress.advance(task)
