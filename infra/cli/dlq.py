"""Dead letters: what was put aside and why, and sending it back. All of it is read from the log itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.console import Json, print_json
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from infra.kafka.letters.book import Book, Choice, Known
    from infra.kafka.letters.filed import Filed
    from infra.settings import Settings

Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only of this topic (may be repeated).")]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only with this reason (may be repeated).")]

_SHOWN = 50

app = typer.Typer(
    no_args_is_help=True,
    help="Records that are no jobs: list them, look at one, send them back where they came from.",
)


@app.command("list")
def list_letters(
    topic: Topics = None,
    reason: Reasons = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were sent back, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most this many, newest first.")] = _SHOWN,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first. With --json all of them, without a limit."""
    from infra.cli.dlq_views import letter_json, print_letters
    from infra.kafka.letters.book import Choice

    choice = Choice.of(topics=topic or (), reasons=reason or ())
    chosen = [letter for letter in run(_book(load_settings())).letters() if letter in choice]
    found = [letter for letter in chosen if everything or letter.redriven is None]
    if as_json:
        print_json([letter_json(letter) for letter in found])
        return
    print_letters(found, limit, redriven=everything, hidden=len(chosen) - len(found))


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `dlq list` shows it: topic:partition:offset.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the original value to stdout, exactly its bytes.")] = False,
    as_json: Json = False,
) -> None:
    """Show one dead letter: why it was put aside, where it stood, its headers and its content."""
    from infra.cli.dlq_views import filed_json, print_filed

    if raw and as_json:
        raise CliError("--raw writes bytes and --json writes JSON: choose one", ExitCode.USAGE)
    filed, known = run(_find(load_settings(), _checked(letter_id)))
    if raw:
        typer.get_binary_stream("stdout").write(filed.letter.value or b"")
    elif as_json:
        print_json(filed_json(filed, known))
    else:
        print_filed(filed, known)


@app.command()
def redrive(
    letter_id: Annotated[list[str] | None, typer.Option("--id", help="This letter (may be repeated).")] = None,
    topic: Topics = None,
    reason: Reasons = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent back.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters back to their topics: the original bytes, key and headers, each letter once.

    A letter that was refused for what it says is refused again and becomes a new letter, unless what was missing
    then is there now: redrive after the cause is gone. A job that failed is no dead letter; publish it again under
    a new job_id.

    The record that is sent back has one header more, `redriven-from`, which names its letter. Two who redrive at the
    same time do not send a letter twice. One that was killed is finished by a redrive a minute later.
    """
    from infra.cli.dlq_redriving import Report, planned, send_back
    from infra.kafka.letters.book import Choice

    if not (letter_id or topic or reason or everything):
        raise CliError("say which letters: by --id, --topic or --reason, or --all of them", ExitCode.USAGE)
    if everything and (letter_id or topic or reason):
        raise CliError("--all takes no filter beside it: give one or the other", ExitCode.USAGE)
    require("dlq redrive", "worker")
    settings = load_settings()
    ids = [_checked(each) for each in letter_id or ()]
    chosen = _chosen(run(_book(settings)), Choice.of(ids, topic or (), reason or ()), ids)
    report = Report(chosen, dry_run=dry_run)
    try:
        run(planned(settings, report) if dry_run else send_back(settings, report))
    finally:
        report.print(as_json=as_json)
    raise typer.Exit(report.exit_code)


def _chosen(book: "Book", choice: "Choice", ids: list[str]) -> "list[Known]":
    letters = book.letters()
    known = {letter.id for letter in letters}
    if unknown := [each for each in ids if each not in known]:
        raise CliError(f"no dead letter {', '.join(unknown)}: see {program()} dlq list --all", ExitCode.NOT_FOUND)
    return [letter for letter in letters if letter in choice]


def _checked(letter_id: str) -> str:
    from infra.kafka.letters.book import short

    topic, _, place = letter_id.partition(":")
    numbers = place.split(":")
    if not topic or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise CliError(f"{letter_id!r} is no letter's id: it looks like automl.requested:0:17", ExitCode.USAGE)
    return short(letter_id)


async def _book(settings: "Settings") -> "Book":
    from infra.kafka.letters.book import Book
    from infra.kafka.letters.filed import dead_letters

    book = Book()
    async for filed in dead_letters(settings):
        book.add(filed)
    return book


async def _find(settings: "Settings", letter_id: str) -> "tuple[Filed, Known]":
    """One letter whole, and what the rest of the log says of it."""
    from infra.kafka.letters.book import Book, short
    from infra.kafka.letters.filed import dead_letters

    book, whole = Book(), None
    async for filed in dead_letters(settings):
        if short(filed.letter.place) == letter_id and book.add(filed):
            whole = filed
    if whole is None:
        raise CliError(f"no dead letter {letter_id}: see {program()} dlq list --all", ExitCode.NOT_FOUND)
    (known,) = book.letters()
    return whole, known
