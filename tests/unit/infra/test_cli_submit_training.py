"""`submit deep-learning` and `submit transfer-learning`: what is said becomes the request, and nothing else does."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner, Result

from events import Publisher
from events.requests import AutomlRequested, DeepLearningRequested, TransferLearningRequested
from infra.cli.main import app
from infra.cli.options import Learning, spread

DATA = ("--dataset", "d", "--target", "y")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that a broker took."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "OMNISCOPE_TOKEN", "OMNISCOPE_API"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    taken: list[Any] = []

    class Broker:
        async def request(self, request: Any) -> Any:
            from events.publisher import _receipt

            taken.append(request)
            return _receipt(Publisher("nowhere", source="test").event(request))

    @asynccontextmanager
    async def publisher(settings: Any) -> Any:
        yield Broker()

    monkeypatch.setattr("infra.cli.sending.publisher", publisher)
    return taken


def submit(*words: str) -> Result:
    return CliRunner().invoke(app, ["submit", *words], prog_name="omniscope-ml")


def test_a_network_for_series(published: list[Any]) -> None:
    result = submit(
        *("deep-learning", *DATA, "--architecture", "cnn_1d", "--epochs", "7", "--batch-size", "16"),
        *("--learning-rate", "0.01", "--input-shape", "6x100", "--group", "patient", "--seed", "3"),
    )
    assert result.exit_code == 0, result.stderr
    (request,) = published
    assert isinstance(request, DeepLearningRequested)
    assert (request.architecture, request.epochs, request.batch_size) == ("cnn_1d", 7, 16)
    assert (request.learning_rate, request.input_shape, request.group_column) == (0.01, [6, 100], "patient")
    assert (request.seed, request.dataset_id, request.target_column) == (3, "d", "y")


def test_what_is_not_said_is_left_to_the_defaults(published: list[Any]) -> None:
    submit("deep-learning", *DATA, "--architecture", "lstm")
    submit("transfer-learning", *DATA, "--base-model", "job:m-1")
    assert published[0].model_fields_set == {"dataset_id", "target_column", "architecture", "created_by"}
    assert published[1].model_fields_set == {"dataset_id", "target_column", "base_model", "created_by"}


@pytest.mark.parametrize(("told", "depth"), [("auto", "auto"), ("0", 0), ("12", 12)])
def test_from_one_cohort_to_another(published: list[Any], told: str, depth: int | str) -> None:
    base = ("--base-model", "job:m-1", "--weights", "random", "--epochs", "5", "--learning-rate", "0.002")
    result = submit("transfer-learning", *DATA, "--fine-tune-layers", told, *base, "--batch-size", "8")
    assert result.exit_code == 0, result.stderr
    (request,) = published
    assert isinstance(request, TransferLearningRequested)
    assert (request.base_model, request.fine_tune_layers, request.weights) == ("job:m-1", depth, "random")
    assert (request.epochs, request.learning_rate, request.batch_size) == (5, 0.002, 8)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("deep-learning", "--architecture", "resnet"), "'cnn_1d', 'cnn_2d', 'rnn', 'lstm' or 'transformer'"),
        (("deep-learning", "--architecture", "rnn", "--epochs", "0"), "epochs"),
        (("deep-learning", "--architecture", "rnn", "--learning-rate", "nan"), "learning_rate"),
        (("deep-learning", "--architecture", "rnn", "--input-shape", "600"), "CHANNELSxLENGTH"),
        (("deep-learning", "--architecture", "rnn", "--input-shape", "0x600"), "input_shape"),
        (("transfer-learning", "--base-model", "job:m", "--fine-tune-layers", "some"), "a number from 0, or auto"),
        (("transfer-learning", "--base-model", "job:m", "--fine-tune-layers", "-1"), "a number from 0, or auto"),
        (("transfer-learning", "--base-model", "resnet50", "--weights", "imagenet"), "weights"),
        (("transfer-learning",), "--base-model"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_sent(published: list[Any], words: tuple[str, ...], told: str) -> None:
    result = submit(*words, *DATA)
    assert result.exit_code == 2
    assert told in result.stderr
    assert published == []


def test_all_trainings_share_what_may_be_said_of_a_table(published: list[Any]) -> None:
    shared = (
        *("--features", "a,b", "--exclude", "id", "--group", "patient", "--problem-type", "regression"),
        *("--eval-metric", "mae", "--seed", "5", "--name", "pilot", "--timeout", "60", "--job-id", "j1"),
    )
    for kind in (("automl",), ("deep-learning", "--architecture", "rnn"), ("transfer-learning", "--base-model", "b")):
        assert submit(*kind, *DATA, *shared).exit_code == 0
    told = [
        request.model_dump(exclude_unset=True, exclude={"architecture", "base_model", "created_by"})
        for request in published
    ]
    assert [type(request) for request in published] == [
        AutomlRequested,
        DeepLearningRequested,
        TransferLearningRequested,
    ]
    assert told[0] == told[1] == told[2]
    assert set(told[0]) == {field for field in AutomlRequested.model_fields if field not in _OWN}


_OWN = {"time_limit", "quality", "hyperparameter_tuning", "rerun_of", "resources", "created_by"}


def test_a_command_gets_its_dataclasses_whole() -> None:
    @dataclass
    class Also:
        loud: Annotated[bool, typer.Option("--loud")] = False

    got: list[Any] = []
    own = typer.Typer()

    def command(learning: Learning, *, count: int = 1, also: Also) -> None:
        """What it does."""
        got.append((learning, count, also))

    command.__annotations__["also"] = Also  # a class of a function is not found by its name
    own.command()(spread(command))
    assert CliRunner().invoke(own, ["--dataset", "d", "--target", "y", "--loud"]).exit_code == 0
    assert got == [(Learning(dataset="d", target="y"), 1, Also(loud=True))]
    assert "What it does." in CliRunner().invoke(own, ["--help"]).stdout
