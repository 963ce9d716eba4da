"""The command line. Starts fast: a command imports what it needs when it runs, never before."""

import logging
import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from infra.cli import (
    cancel,
    datasets,
    delete,
    demo,
    dlq,
    doctor,
    errors,
    explain,
    jobs,
    models,
    promote,
    rebuild,
    rerun,
    services,
    submit,
    token,
    try_it,
    up,
    weights,
)
from infra.cli.errors import ExitCode, debugging


class SentenceGroup(TyperGroup):
    """Turns whatever goes wrong into one sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has enough (`… | head`); writing more at exit would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(ExitCode.OK) from None
        except Exception as error:
            if debugging() or type(error).__module__.startswith("typer."):
                raise
            sentence, code = errors.explain(error)
            typer.echo(f"omniscope-ml: {sentence}", err=True)
            raise typer.Exit(code) from None


app = typer.Typer(
    cls=SentenceGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Machine-learning jobs for omics: requests are events, results are models you can read about.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"omniscope-ml {version('omniscope-ml')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (or set OMNISCOPE_DEBUG=1).")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    if debug:
        os.environ["OMNISCOPE_DEBUG"] = "1"
    # A client's own words about a broker that is away would come before our sentence. Services log them.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


app.command("try")(try_it.try_it)
app.command()(up.up)
app.command()(demo.demo)
app.add_typer(datasets.app, name="dataset")
app.add_typer(submit.app, name="submit")
app.add_typer(dlq.app, name="dlq")
app.command()(jobs.watch)
app.command()(jobs.jobs)
app.command()(models.models)
app.command()(rerun.rerun)
app.command()(explain.explain)
app.command()(cancel.cancel)
app.command()(promote.promote)
app.command()(delete.delete)
app.command("datasets")(datasets.list_datasets)
app.add_typer(weights.app, name="weights")
app.command()(rebuild.rebuild)
app.command()(token.token)
app.command()(doctor.doctor)
for service in (services.agent, services.projector, services.registrar, services.api, services.broker):
    app.command()(service)


def main() -> None:
    app(prog_name="omniscope-ml")


if __name__ == "__main__":
    main()
