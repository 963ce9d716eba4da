"""`omniscope-ml rerun`: what it asks for, what it compares, and how it ends."""

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fake_api import FakeApi, fake_api
from typer.testing import CliRunner, Result

from events import Publisher
from events.requests import AutomlRequested, DeepLearningRequested, TransferLearningRequested
from infra.cli.errors import CliError
from infra.cli.main import app
from infra.cli.rerun import compare, request_for

CONFIG = {
    "job_id": "first-job",
    "created_by": "ada",
    "name": "pilot",
    "timeout_s": 60.0,
    "dataset_id": "tumours",
    "target_column": "kind",
    "group_column": "patient",
    "quality": "good",
    "time_limit": 60,
    "seed": 7,
}
FIRST: dict[str, Any] = {
    "model_id": "m1",
    "model_name": "AutoML_12345678",
    "model_type": "automl",
    "split_id": "split-1-abc",
    "validation_score": 0.125,
    "metrics": {"auroc": 0.98765, "accuracy": 0.9},
    "intervals": {"auroc": [0.95, 0.999], "accuracy": [0.8, 0.95]},
    "plan": {"version": 1, "models": [{"name": "LightGBM"}], "weights": {"LightGBM": 0.75, "LinearModel": 0.25}},
    "training_config": CONFIG,
    "artifacts_path": "models/m1/attempt-1",
    "warnings": [],
}
AGAIN = {**FIRST, "model_id": "m2", "model_name": "AutoML_2", "artifacts_path": "models/m2/attempt-1"}


# --- the request


def test_the_request_says_all_that_decided_and_nothing_of_the_first_job() -> None:
    request = request_for(FIRST)
    assert isinstance(request, AutomlRequested)
    assert request.rerun_of == "m1"
    asked = {
        name: getattr(request, name) for name in ("dataset_id", "target_column", "group_column", "quality", "seed")
    }
    assert asked == {name: CONFIG[name] for name in asked}
    assert request.job_id != "first-job"
    assert request.created_by != "ada"
    assert (request.name, request.timeout_s) == (None, None)


def test_a_rerun_of_a_rerun_names_the_model_that_was_asked_for() -> None:
    first = {**FIRST, "training_config": {**CONFIG, "rerun_of": "m0"}}
    assert request_for(first).rerun_of == "m1"  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", [{"plan": {}}, {"plan": None}, {"model_type": "ensemble"}])
def test_what_has_no_plan_is_told_in_one_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(CliError, match=r"^AutoML_12345678 has no recorded plan: .* yet$"):
        request_for({**FIRST, **change})


NETWORK: dict[str, Any] = {
    **FIRST,
    "model_type": "deep_learning",
    "plan": {
        "version": 1,
        "kind": "network",
        "epochs_run": 2,
        "best_epoch": 1,
        "history": [{"epoch": 1, "train_loss": 0.7}, {"epoch": 2, "train_loss": 0.5}],
    },
    "files": {"MLmodel": "a" * 64, "network/weights.safetensors": "b" * 64},
    "training_config": {
        **{name: value for name, value in CONFIG.items() if name not in ("quality", "time_limit")},
        "architecture": "lstm",
        "epochs": 2,
    },
}


def test_a_network_is_asked_for_in_the_same_words_under_another_job_id() -> None:
    request = request_for(NETWORK)
    assert isinstance(request, DeepLearningRequested)
    assert (request.architecture, request.epochs, request.seed, request.group_column) == ("lstm", 2, 7, "patient")
    assert request.job_id != "first-job"
    config = {**NETWORK["training_config"], "base_model": "job:m0", "fine_tune_layers": "auto"}
    del config["architecture"]
    tuned = request_for({**NETWORK, "model_type": "transfer_learning", "training_config": config})
    assert isinstance(tuned, TransferLearningRequested)
    assert (tuned.base_model, tuned.fine_tune_layers, tuned.epochs) == ("job:m0", "auto", 2)


def test_a_training_that_was_stopped_is_not_asked_for_again() -> None:
    with pytest.raises(CliError, match="was stopped after epoch 37"):
        request_for({**NETWORK, "plan": {**NETWORK["plan"], "stopped_after": 37}})


# --- the comparison


def test_every_number_is_compared_by_name() -> None:
    compared = compare(FIRST, AGAIN)
    assert all(before == after for before, after in compared.values())
    assert list(compared) == [
        "split",
        "validation score",
        "accuracy",
        "accuracy, interval",
        "auroc",
        "auroc, interval",
        "weight of LightGBM",
        "weight of LinearModel",
    ]


@pytest.mark.parametrize(
    ("change", "different"),
    [
        ({"split_id": "split-1-def"}, {"split"}),
        ({"validation_score": 0.1250000001}, {"validation score"}),
        ({"metrics": {"auroc": 0.98765, "accuracy": 0.9, "mcc": 0.5}}, {"mcc"}),
        ({"metrics": {"auroc": 0.98765}}, {"accuracy"}),
        ({"intervals": {"auroc": [0.95, 0.9990001], "accuracy": [0.8, 0.95]}}, {"auroc, interval"}),
        ({"plan": {"weights": {"LightGBM": 1.0}}}, {"weight of LightGBM", "weight of LinearModel"}),
    ],
)
def test_the_smallest_difference_is_one(change: dict[str, Any], different: set[str]) -> None:
    compared = compare(FIRST, {**AGAIN, **change})
    assert {name for name, (before, after) in compared.items() if before != after} == different


def test_of_a_network_every_epoch_and_the_weights_themselves_are_compared() -> None:
    again = {**NETWORK, "files": {"MLmodel": "c" * 64, "network/weights.safetensors": "b" * 64}}
    same = compare(NETWORK, again)
    assert all(before == after for before, after in same.values())
    assert list(same)[-4:] == ["epochs run", "best epoch", "every epoch", "weights.safetensors"]
    history = [{"epoch": 1, "train_loss": 0.7000001}, {"epoch": 2, "train_loss": 0.5}]
    again = {**NETWORK, "plan": {**NETWORK["plan"], "history": history}, "files": {}}
    other = compare(NETWORK, again)
    assert {name for name, (before, after) in other.items() if before != after} == {
        "every epoch",
        "weights.safetensors",
    }


# --- the command


class Broker:
    """Takes the one request, and lets the API know the job."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.status = "completed"
        self.asked: list[AutomlRequested] = []

    async def request(self, request: AutomlRequested) -> Any:
        from events.publisher import _receipt

        receipt = _receipt(Publisher("nowhere", source="test").event(request))
        self.asked.append(request)
        status = {
            **{"job_id": receipt.job_id, "kind": "automl", "status": self.status, "progress": 100.0, "message": ""},
            **{"eta_s": None, "attempt": 1, "stalled": False, "model_id": "m2"},
            "error": None if self.status == "completed" else {"reason": "plan_missing", "message": "no plan is there"},
            **{"created_at": "2026-01-01T12:00:00Z", "started_at": "2026-01-01T12:00:01Z", "completed_at": None},
        }
        self.api.answers[f"/api/ml/jobs/{receipt.job_id}/status"] = [(200, status)]
        return receipt


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "OMNISCOPE_TOKEN", "OMNISCOPE_API", "API_JWKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("infra.cli.jobs._EVERY_S", 0.0)
    with fake_api() as (api, port):
        monkeypatch.setenv("API_PORT", str(port))
        fake = Broker(api)
        api.answers["/api/ml/models/m1/results"] = [(200, FIRST)]
        api.answers["/api/ml/models/m2/results"] = [(200, AGAIN)]

        @asynccontextmanager
        async def publisher(settings: Any) -> Any:
            yield fake

        monkeypatch.setattr("infra.cli.publishing.publisher", publisher)
        yield fake


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rerun", *arguments], prog_name="omniscope-ml")


def test_the_same_numbers_are_success(broker: Broker, tmp_path: Path) -> None:
    result = call("m1")
    assert result.exit_code == 0, result.stderr
    assert [request.rerun_of for request in broker.asked] == ["m1"]
    assert "8 of 8 numbers are the same to the last digit, intervals included" in result.stdout
    assert "DIFFERENT" not in result.stdout
    assert str(tmp_path / "data/artifacts/models/m2/attempt-1") in result.stdout


def test_another_number_is_shown_with_the_models_warnings_and_is_a_failure(broker: Broker) -> None:
    other = {**AGAIN, "validation_score": 0.25, "warnings": ["Replayed with other package versions"]}
    broker.api.answers["/api/ml/models/m2/results"] = [(200, other)]
    result = call("m1")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "DIFFERENT" in line]
    assert line.split()[:4] == ["validation", "score", "0.125", "0.25"]
    assert "! Replayed with other package versions" in result.stdout
    assert "7 of 8 numbers are the same" in result.stdout


def test_a_network_is_shown_in_a_line_for_each(broker: Broker) -> None:
    again = {**NETWORK, "model_id": "m2", "plan": {**NETWORK["plan"], "best_epoch": 2}}
    broker.api.answers["/api/ml/models/m1/results"] = [(200, NETWORK)]
    broker.api.answers["/api/ml/models/m2/results"] = [(200, again)]
    result = call("m1")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "DIFFERENT" in line]
    assert line.split() == ["best", "epoch", "1", "2", "DIFFERENT"]
    assert "SHA-256 bbbbbbbbbbbb…" in result.stdout
    assert "9 of 10 numbers are the same" in result.stdout


def test_as_json_the_last_line_holds_every_number(broker: Broker) -> None:
    result = call("m1", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["first"], told["again"], told["same"]) == ("m1", "m2", True)
    assert told["numbers"]["auroc, interval"] == [[0.95, 0.999], [0.95, 0.999]]


def test_a_job_that_failed_is_told_with_its_reason(broker: Broker) -> None:
    broker.status = "failed"
    result = call("m1")
    assert result.exit_code == 1
    assert "the job failed: no plan is there" in result.stderr


def test_a_model_without_a_plan_is_not_asked_for(broker: Broker) -> None:
    broker.api.answers["/api/ml/models/m1/results"] = [(200, {**FIRST, "plan": {}})]
    result = call("m1")
    assert result.exit_code == 1
    assert result.stderr.strip().count("\n") == 0
    assert "AutoML_12345678 has no recorded plan" in result.stderr
    assert broker.asked == []


def test_nobodys_model(broker: Broker) -> None:
    broker.api.answers["/api/ml/models/list"] = [(200, {"items": [], "next": None})]
    result = call("nobody")
    assert result.exit_code == 4
    assert broker.asked == []
