"""`omniscope-ml doctor`: what is there, what is not, and what to do about it."""

from dataclasses import asdict

import typer

from infra.cli.console import Json, print_json
from infra.cli.errors import ExitCode
from infra.cli.runtime import load_settings, run


def doctor(as_json: Json = False) -> None:
    """Look whether everything is as it must be; exit code 1 if not."""
    from infra.cli.checks import examine

    findings = run(examine(load_settings()))
    if as_json:
        print_json([{**asdict(finding), "ok": finding.ok} for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.name:9} {finding.fact}")
            if finding.remedy:
                typer.echo(f"{'':15} → {finding.remedy}")
    raise typer.Exit(ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.FAILED)
