"""Submitting trainings: a command for each kind, with the options that all share and those of its own."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.errors import CliError, ExitCode
from infra.cli.options import Asking, Learning, spread
from infra.cli.publishing import build, whoami
from infra.cli.sending import submit

if TYPE_CHECKING:
    from events.requests import TrainingRequested

_EPOCHS = "Most passes over the training rows; fewer where nothing is gained any more.  [default: {}]"


@spread
def automl(
    learning: Learning,
    *,
    time_limit: Annotated[int | None, typer.Option(help="Seconds to train.  [default: 600]")] = None,
    quality: Annotated[str | None, typer.Option(help="medium, good, high or best.  [default: good]")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Also try other settings of each model.")] = False,
    asking: Asking,
) -> None:
    """Train the best model AutoGluon finds in the time given."""
    from events.requests import AutomlRequested

    own = {"time_limit": time_limit, "quality": quality, "hyperparameter_tuning": tune or None}
    _submit(AutomlRequested, learning, own, asking)


@spread
def deep_learning(
    learning: Learning,
    *,
    architecture: Annotated[str, typer.Option(help="cnn_1d, cnn_2d, rnn, lstm or transformer.")],
    epochs: Annotated[int | None, typer.Option(help=_EPOCHS.format(100))] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of one step.  [default: 32]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest one.  [default: 0.001]")] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(help="What a row is: CHANNELSxLENGTH (6x100) or CHANNELSxHEIGHTxWIDTH.  [default: a table's row]"),
    ] = None,
    asking: Asking,
) -> None:
    """Train a neural network."""
    from events.requests import DeepLearningRequested

    own = {
        "architecture": architecture,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "input_shape": shape(input_shape),
    }
    _submit(DeepLearningRequested, learning, own, asking)


@spread
def transfer_learning(
    learning: Learning,
    *,
    base_model: Annotated[
        str,
        typer.Option(
            help="job:MODEL_ID (trained here), bundled:NAME, torchvision:NAME (or its bare name), timm:NAME, hf:NAME "
            "or file:PATH."
        ),
    ],
    fine_tune_layers: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="How many of the last blocks learn on; auto: what is best on validation rows.  [default: 3]",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=_EPOCHS.format(50))] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the head; earlier layers get a lower one.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="pretrained, or random: the network from scratch.  [default: pretrained]")
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option(help="Of true images, for a vision network: CHANNELSxHEIGHTxWIDTH, as in 1x8x8.")
    ] = None,
    asking: Asking,
) -> None:
    """Go on from a network that has learned from other data."""
    from events.requests import TransferLearningRequested

    own = {
        "base_model": base_model,
        "fine_tune_layers": depth(fine_tune_layers),
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weights": weights,
        "input_shape": shape(input_shape),
    }
    _submit(TransferLearningRequested, learning, own, asking)


def shape(told: str | None) -> list[int] | None:
    """`6x100` → [6, 100].

    Raises:
        CliError: it is no product of two or three numbers.
    """
    if told is None:
        return None
    parts = told.lower().replace("×", "x").split("x")
    if len(parts) not in (2, 3) or not all(part.strip().isdecimal() for part in parts):
        raise CliError(
            f"--input-shape {told} is no shape: say CHANNELSxLENGTH as in 6x100, or CHANNELSxHEIGHTxWIDTH as in 1x8x8",
            ExitCode.USAGE,
        )
    return [int(part) for part in parts]


def depth(told: str | None) -> int | str | None:
    """A number of layers, or `auto`.

    Raises:
        CliError: it is neither.
    """
    if told is None or told == "auto":
        return told
    if not told.isdecimal():
        raise CliError(f"--fine-tune-layers {told}: say a number from 0, or auto", ExitCode.USAGE)
    return int(told)


def _submit(model: "type[TrainingRequested]", learning: Learning, own: dict[str, Any], asking: Asking) -> None:
    told = {**learning.told(), **own, **asking.told(), "created_by": whoami()}
    submit(build(model, told), watch=asking.watch, as_json=asking.as_json)
