"""Making a model again from its record, and telling whether the same numbers came out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.client import Api, ApiClient
from infra.cli.console import Json, console, number, print_json, print_table
from infra.cli.errors import CliError, ExitCode
from infra.cli.jobs import told, until_final
from infra.cli.models import find_model, model_directory
from infra.cli.publishing import build, send, whoami
from infra.cli.runtime import load_settings, program, run

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infra.settings import Settings

#: How long to wait for the projector to have written the new job down.
_PATIENCE_S = 30.0
#: What a new request says anew.
_NOT_AGAIN = ("job_id", "rerun_of", "created_by", "name", "timeout_s")
#: What a network's plan tells of its training in single numbers.
_OF_THE_FIT = ("epochs_run", "best_epoch", "mix", "strength")
_WEIGHTS = ".safetensors"
#: Hexadecimal digits of a SHA-256.
_SHA256 = 64


def rerun(
    model: Annotated[str, typer.Argument(help="Its id or name, or how it begins.")],
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Train a model again as it was recorded, without a clock, and compare every number with the first run's."""
    settings = load_settings()
    with ApiClient(settings, api) as client:
        first = find_model(client, model)
        receipt = run(send(settings, request_for(first)))
        if not as_json:
            typer.echo(f"{receipt.job_id} trains {first['model_name']} again: {receipt.message}")
        again = _result(client, receipt.job_id, as_json=as_json)
    compared = compare(first, again)
    same = all(before == after for before, after in compared.values())
    if as_json:
        print_json({"first": first["model_id"], "again": again["model_id"], "same": same, "numbers": compared})
    else:
        _print(first, again, compared, settings, same=same)
    raise typer.Exit(ExitCode.OK if same else ExitCode.FAILED)


def request_for(first: dict[str, Any]) -> "BaseModel":
    """The request that makes a model again: AutoML replays its recorded plan, a network follows from request and data.

    Raises:
        CliError: it is of a kind that cannot be made again by its record, or its training was cut short.
    """
    from events.requests import AutomlRequested, DeepLearningRequested, TransferLearningRequested

    config = {name: value for name, value in first["training_config"].items() if name not in _NOT_AGAIN}
    config["created_by"] = whoami()
    plan = first.get("plan") or {}
    if plan.get("stopped_after"):
        raise CliError(
            f"{first['model_name']} was stopped after epoch {plan['stopped_after']}: nobody can ask for that again, "
            "and the request as it was would train on"
        )
    match first["model_type"] if plan else None:
        case "automl":
            return build(AutomlRequested, {**config, "rerun_of": first["model_id"]})  # type: ignore[no-any-return]
        case "deep_learning":
            return build(DeepLearningRequested, config)  # type: ignore[no-any-return]
        case "transfer_learning":
            return build(TransferLearningRequested, config)  # type: ignore[no-any-return]
    raise CliError(
        f"{first['model_name']} has no recorded plan: only AutoML models and networks can be made again by it yet"
    )


def compare(first: dict[str, Any], again: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every number by name: the first run's and the new one's."""
    pairs = {"split": (first["split_id"], again["split_id"])}
    pairs["validation score"] = (first["validation_score"], again["validation_score"])
    for name in sorted({*first["metrics"], *again["metrics"]}):
        pairs[name] = (first["metrics"].get(name), again["metrics"].get(name))
        pairs[f"{name}, interval"] = (first["intervals"].get(name), again["intervals"].get(name))
    before, after = first["plan"].get("weights", {}), again["plan"].get("weights", {})
    for name in sorted({*before, *after}):
        pairs[f"weight of {name}"] = (before.get(name), after.get(name))
    for name in (name for name in _OF_THE_FIT if name in first["plan"] or name in again["plan"]):
        pairs[name.replace("_", " ")] = (first["plan"].get(name), again["plan"].get(name))
    if "history" in first["plan"] or "history" in again["plan"]:
        pairs["every epoch"] = (first["plan"].get("history"), again["plan"].get("history"))
    for path in sorted(path for path in {*_files(first), *_files(again)} if path.endswith(_WEIGHTS)):
        pairs[path.rpartition("/")[2]] = (_files(first).get(path), _files(again).get(path))
    return pairs


def _files(results: dict[str, Any]) -> dict[str, str]:
    return results.get("files") or {}


def _result(client: ApiClient, job_id: str, *, as_json: bool) -> dict[str, Any]:
    try:
        final = until_final(client, job_id, as_json=as_json, patience_s=_PATIENCE_S)
    except KeyboardInterrupt:
        raise CliError(
            f"no longer watching; the job goes on. To come back: {program()} watch {job_id}", ExitCode.INTERRUPTED
        ) from None
    if final["status"] != "completed":
        raise CliError(f"the job {final['status']}: {told(final)}")
    return client.results_of(final)


def _print(
    first: dict[str, Any],
    again: dict[str, Any],
    compared: dict[str, tuple[Any, Any]],
    settings: "Settings",
    *,
    same: bool,
) -> None:
    rows = (
        (name, _shown(before), _shown(after), "same" if before == after else "DIFFERENT")
        for name, (before, after) in compared.items()
        if not name.endswith("interval") or before != after
    )
    print_table(("", first["model_name"], again["model_name"], ""), rows, if_empty="Nothing to compare.")
    for warning in again["warnings"] if not same else []:
        typer.echo(f"! {warning}")
    count = sum(before == after for before, after in compared.values())
    console().print(f"\n{count} of {len(compared)} numbers are the same to the last digit, intervals included")
    typer.echo(f"model  {model_directory(again, settings)}")


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):  # a history: its end says most
        return ", ".join(number(last) for last in value[-1].values())
    if isinstance(value, str) and len(value) == _SHA256:
        return f"SHA-256 {value[:12]}…"
    return ", ".join(map(number, value)) if isinstance(value, list) else number(value)
