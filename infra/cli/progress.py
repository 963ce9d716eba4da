"""Progress as it is shown: a live bar on a terminal, a line per news in a log, a JSON line per news for programs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

from infra.cli.console import duration, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_LINE_EVERY_S = 2.0


class View(Protocol):
    """Shows statuses of one job, as the read API tells them. `shown`: whether there was one."""

    shown: bool

    def update(self, job: dict[str, Any]) -> None: ...

    def finish(self, job: dict[str, Any]) -> None: ...


@contextmanager
def view(as_json: bool, console: "Console") -> Iterator[View]:
    """The way of showing that fits where the output goes."""
    if as_json:
        yield JsonLines()
    elif console.is_terminal:
        with _bar(console) as bar:
            yield LiveBar(bar)
    else:
        yield PlainLines()


def sentence(job: dict[str, Any]) -> str:
    """What to say of a running job beside its percentage."""
    told = job["message"] or job["status"]
    if job["attempt"] > 1:
        told += f" (attempt {job['attempt']})"
    if job["stalled"]:
        told += " (stalled: silent for more than a minute)"
    return str(told)


class JsonLines:
    """Every change as one JSON line."""

    def __init__(self) -> None:
        self.shown = False
        self._last: dict[str, Any] | None = None

    def update(self, job: dict[str, Any]) -> None:
        if job != self._last:
            print_json(job)
        self.shown, self._last = True, job

    def finish(self, job: dict[str, Any]) -> None:
        """The caller prints the end."""


class PlainLines:
    """A line for each change of the message, else every few seconds."""

    def __init__(self) -> None:
        self.shown = False
        self._last = ("", -1.0)
        self._at = 0.0

    def update(self, job: dict[str, Any]) -> None:
        self.shown = True
        if job["progress"] >= 100 and not job["stalled"]:
            return  # the end is a line of its own, and comes at once
        news = (sentence(job), job["progress"])
        if news == self._last or (news[0] == self._last[0] and time.monotonic() < self._at + _LINE_EVERY_S):
            return
        self._last, self._at = news, time.monotonic()
        to_go = f"  ({duration(job['eta_s'])} to go)" if job["eta_s"] else ""
        typer.echo(f"{job['progress']:5.1f} %  {news[0]}{to_go}")

    def finish(self, job: dict[str, Any]) -> None:
        typer.echo(f"{job['progress']:5.1f} %  {job['status']}")


class LiveBar:
    """One bar that stays in its place."""

    def __init__(self, bar: "Progress") -> None:
        self.shown = False
        self._bar = bar
        self._task: TaskID | None = None

    def update(self, job: dict[str, Any]) -> None:
        self.shown = True
        to_go = f"{duration(job['eta_s'])} to go" if job["eta_s"] else ""
        self._show(job["progress"], sentence(job), to_go)

    def finish(self, job: dict[str, Any]) -> None:
        self._show(job["progress"], job["status"], "")

    def _show(self, percent: float, text: str, to_go: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=100.0, text=text, to_go=to_go)
        self._bar.update(self._task, completed=percent, text=text, to_go=to_go)


@contextmanager
def _bar(console: "Console") -> Iterator["Progress"]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[to_go]}", style="cyan", markup=False),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console, refresh_per_second=8) as bar:
        yield bar
