"""A look at the API's datasets before a request is published: a misspelt id is cheaper to hear of now than later."""

import os
from typing import TYPE_CHECKING

import typer

from infra.cli.client import ApiClient
from infra.cli.errors import CliError
from infra.cli.extras import missing

if TYPE_CHECKING:
    from infra.settings import Settings

_QUICK_S = 1.0
_MOST = 200


def warn_if_unknown(settings: "Settings", dataset_id: str) -> None:
    """Warns on stderr where the API answers quickly and does not know the dataset. Never keeps anybody from asking."""
    known = _known(settings)
    if known is None or dataset_id in known:
        return
    from handlers.datasets.columns import did_you_mean

    typer.echo(
        f"no dataset «{dataset_id}» is known yet{did_you_mean([dataset_id], known)}; "
        f"the job waits up to {settings.dataset_wait_s:g} s for it",
        err=True,
    )


def _known(settings: "Settings") -> list[str] | None:
    """The ids of all datasets; None where that cannot be told."""
    signs = os.environ.get("OMNISCOPE_TOKEN") or settings.api_jwt_secret or settings.secret_file.exists()
    if missing("api") or not signs:
        return None  # asking would make a secret on a machine that has no API
    from infra.settings import SettingsError

    try:
        with ApiClient(settings, os.environ.get("OMNISCOPE_API"), timeout_s=_QUICK_S) as client:
            page = client.get("/api/ml/datasets", limit=str(_MOST))
            return None if page["next"] else [dataset["dataset_id"] for dataset in page["items"]]
    except (CliError, SettingsError, LookupError, TypeError, ValueError):
        return None  # no API, or not ours: the broker alone is needed here
