"""Tokens for the read API."""

from typing import Annotated

import typer

from infra.cli.console import Json, print_json
from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require
from infra.cli.publishing import whoami
from infra.cli.runtime import load_settings


def token(
    hours: Annotated[float, typer.Option(help="How long it is good for.")] = 12.0,
    subject: Annotated[str | None, typer.Option(help="Whom it names.  [default: your user name]")] = None,
    as_json: Json = False,
) -> None:
    """Print a token for the read API, signed with this installation's secret."""
    require("token", "api")
    from infra.api.tokens import issue

    try:
        signed = issue(load_settings(), subject=subject or whoami(), hours=hours)
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    print_json({"token": signed, "hours": hours}) if as_json else typer.echo(signed)
