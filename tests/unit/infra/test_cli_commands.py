"""The commands, from the outside: what is printed where, and which exit code comes back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fake_api import FakeApi, fake_api
from typer.testing import CliRunner, Result

from events import Publisher
from events.outcomes import JobStatus
from events.requests import AutomlRequested, CancellationRequested
from events.topics import JobKind
from infra.cli import extras, publishing
from infra.cli.main import app

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine's and no other test's data."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "OMNISCOPE_TOKEN", "OMNISCOPE_API", "API_JWKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("API_PORT", "1")  # nobody listens there
    monkeypatch.setenv("EMBEDDED_KAFKA_PORT", "1")
    monkeypatch.setenv("OMNISCOPE_DEBUG", "0")
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin, prog_name="omniscope-ml")


# --- a small read API


def job(status: JobStatus, **more: Any) -> dict[str, Any]:
    known = {
        "job_id": "j1",
        "kind": "automl",
        "status": status,
        "progress": 100.0 if status is JobStatus.COMPLETED else 40.0,
        "message": "Training model 3",
        "eta_s": 12.0,
        "attempt": 1,
        "stalled": False,
        "error": None,
        "model_id": None,
        "created_at": "2026-01-01T12:00:00Z",
        "started_at": "2026-01-01T12:00:01Z",
        "completed_at": None,
    }
    return {**known, **more}


MODEL = {
    "model_id": "m1",
    "model_name": "AutoML_12345678",
    "model_type": "automl",
    "problem_type": "binary",
    "dataset_id": "tumours",
    "target_column": "kind",
    "primary_metric": "auroc",
    "metrics": {"auroc": 0.98765, "accuracy": 0.9},
    "intervals": {"auroc": [0.95, 0.999]},
    "n_train": 80,
    "n_test": 20,
    "n_combination": 17,
    "baseline": {"name": "logistic regression", "metrics": {"auroc": 0.9}, "intervals": {}, "beaten": True},
    "warnings": ["only 20 test rows"],
    "artifacts_path": "models/m1/1/model",
    "created_at": "2026-01-01T12:00:00Z",
}

FAILED = job(
    JobStatus.FAILED, error={"reason": "target_missing", "message": "column 'x' is not there"}, completed_at=None
)
DONE = job(JobStatus.COMPLETED, model_id="m1", message="Completed", completed_at="2026-01-01T12:01:31Z")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    with fake_api() as (fake, port):
        monkeypatch.setenv("API_PORT", str(port))
        monkeypatch.setattr("infra.cli.jobs._EVERY_S", 0.0)
        yield fake


def test_watch_ends_with_the_scores_beside_the_baselines(api: FakeApi, tmp_path: Path) -> None:
    api.answers["/api/ml/jobs/j1/status"] = [(200, job(JobStatus.PENDING)), (200, job(JobStatus.RUNNING)), (200, DONE)]
    api.answers["/api/ml/models/m1/results"] = [(200, MODEL)]

    result = call("watch", "j1")

    assert result.exit_code == 0
    assert "Training model 3  (12 s to go)" in result.stdout
    assert "0.9877 [0.95, 0.999]" in result.stdout
    assert "compared by auroc: better than the baseline" in result.stdout
    assert "trained on 80 rows, scored on 20 that it never saw, 17 kept aside for combining models" in result.stdout
    assert str(tmp_path / "data/artifacts/models/m1/1/model") in result.stdout
    assert "Completed (1 min 30 s)" in result.stdout


def test_watch_of_a_failed_job_says_why_on_stderr(api: FakeApi) -> None:
    api.answers["/api/ml/jobs/j1/status"] = [(200, FAILED)]
    result = call("watch", "j1")
    assert result.exit_code == 1
    assert "column 'x' is not there (target_missing)" in result.stderr


def test_watch_waits_for_a_job_that_is_not_written_down_yet(api: FakeApi) -> None:
    missing = (404, {"detail": "no such job"})
    api.answers["/api/ml/jobs/j1/status"] = [missing, missing, (200, DONE)]
    api.answers["/api/ml/models/m1/results"] = [(200, MODEL)]
    assert call("watch", "j1").exit_code == 0


def test_watch_of_nobodys_job(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cli.jobs._PATIENCE_S", 0.0)
    result = call("watch", "nobody")
    assert result.exit_code == 4
    assert "nothing is known" in result.stderr


def test_watch_rides_out_an_outage_of_the_api(api: FakeApi) -> None:
    away = (503, {"detail": "the database is away"})
    api.answers["/api/ml/jobs/j1/status"] = [(200, job(JobStatus.RUNNING)), away, away, (200, FAILED)]
    assert call("watch", "j1").exit_code == 1


def test_the_end_is_told_on_one_line(api: FakeApi) -> None:
    nearly = job(JobStatus.RUNNING, progress=100.0, message="Finished", eta_s=None)
    api.answers["/api/ml/jobs/j1/status"] = [(200, job(JobStatus.RUNNING)), (200, nearly), (200, FAILED)]
    ends = [line for line in call("watch", "j1").stdout.splitlines() if "%" in line]
    assert len(ends) == 2
    assert ends[1].endswith("failed")


def test_a_silent_job_is_called_stalled(api: FakeApi) -> None:
    silent = job(JobStatus.RUNNING, stalled=True)
    api.answers["/api/ml/jobs/j1/status"] = [(200, silent), (200, FAILED)]
    api.answers["/api/ml/jobs"] = [(200, {"items": [silent], "next": None})]
    assert "stalled" in call("watch", "j1").stdout
    assert "running, stalled" in call("jobs").stdout


def test_who_stops_watching_is_told_how_to_come_back(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("infra.cli.jobs.time.sleep", interrupted)
    api.answers["/api/ml/jobs/j1/status"] = [(200, job(JobStatus.RUNNING))]
    result = call("watch", "j1")
    assert result.exit_code == 130
    assert "the job goes on" in result.stderr
    assert "watch j1" in result.stderr


LONG = {**MODEL, "model_id": "52f2c97a-1111", "model_name": "AutoML_52f2c97a"}


def test_a_network_is_listed_by_its_architecture(api: FakeApi) -> None:
    network = {**LONG, "model_type": "deep_learning", "architecture": "cnn_1d", "model_name": "DeepLearning_52f2c97a"}
    named = {
        **network,
        "model_id": "m2",
        "architecture": "job:92d2ff64-67b2-5c43-86fd (cnn_1d), longer than anybody reads",
    }
    api.answers["/api/ml/models/list"] = [(200, {"items": [MODEL, network, named], "next": None})]
    api.answers["/api/ml/models/m1/results"] = [(200, MODEL)]
    api.answers["/api/ml/models/52f2c97a-1111/results"] = [(200, network)]
    automl, cnn, long = call("models").stdout.splitlines()[1:]
    assert automl.split()[:3] == ["m1", "AutoML_12345678", "automl"]
    assert cnn.split()[:4] == ["52f2c97a-1111", "DeepLearning_52f2c97a", "cnn_1d", "tumours"]
    assert "job:92d2ff64 (cnn_1d), longer t… " in long
    assert "AutoML_12345678  (automl, binary)" in call("models", "m1").stdout
    assert "from scratch" not in call("models", "m1").stdout
    api.answers["/api/ml/models/m1/results"] = [
        (200, {**MODEL, "plan": {"from_scratch": {"metrics": {"auroc": 0.8125}, "intervals": {}}}})
    ]
    (line,) = [line for line in call("models", "m1").stdout.splitlines() if line.startswith("auroc *")]
    assert line.split()[-2:] == ["0.9", "0.8125"]
    assert "DeepLearning_52f2c97a  (deep_learning, cnn_1d, binary)" in call("models", "52f2c97a-1111").stdout


@pytest.mark.parametrize("told", ["52f2c97a-1111", "AutoML_52f2c97a", "52f2c9", "AutoML_52"])
def test_a_model_is_found_by_id_name_or_beginning(api: FakeApi, told: str) -> None:
    api.answers["/api/ml/models/list"] = [(200, {"items": [MODEL, LONG], "next": None})]
    api.answers["/api/ml/models/52f2c97a-1111/results"] = [(200, LONG)]
    result = call("models", told, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["model_id"] == "52f2c97a-1111"


@pytest.mark.parametrize(
    ("told", "code", "why"), [("52f2c", 4, "nothing is known"), ("AutoML_", 2, "2 models"), ("nobody", 4, "nothing")]
)
def test_a_beginning_that_is_short_shared_or_unknown_is_refused(api: FakeApi, told: str, code: int, why: str) -> None:
    api.answers["/api/ml/models/list"] = [(200, {"items": [MODEL, LONG], "next": None})]
    result = call("models", told)
    assert result.exit_code == code
    assert why in result.stderr


def test_watch_as_json_is_a_line_for_each_change(api: FakeApi) -> None:
    api.answers["/api/ml/jobs/j1/status"] = [(200, job(JobStatus.RUNNING)), (200, job(JobStatus.RUNNING)), (200, DONE)]
    result = call("watch", "j1", "--json")
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["running", "completed"]


def test_lists_are_read_page_by_page(api: FakeApi) -> None:
    api.answers["/api/ml/jobs"] = [
        (200, {"items": [job(JobStatus.RUNNING)], "next": "abc"}),
        (200, {"items": [FAILED], "next": None}),
    ]
    result = call("jobs", "--status", "failed", "--json")
    assert [item["status"] for item in json.loads(result.stdout)] == ["running", "failed"]
    assert [path for path, _ in api.asked] == [
        "/api/ml/jobs?limit=20&status=failed",
        "/api/ml/jobs?limit=19&status=failed&cursor=abc",
    ]


def test_tables_for_people(api: FakeApi) -> None:
    api.answers["/api/ml/jobs"] = [(200, {"items": [FAILED], "next": None})]
    api.answers["/api/ml/models/list"] = [(200, {"items": [MODEL], "next": None})]
    api.answers["/api/ml/datasets"] = [(200, {"items": [], "next": None})]
    assert "column 'x' is not there" in call("jobs").stdout
    assert "auroc 0.9877 [0.95, 0.999]" in call("models").stdout
    assert "No datasets yet." in call("datasets").stdout


def test_a_token_is_taken_from_the_environment_or_signed_here(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["/api/ml/jobs"] = [(200, {"items": [], "next": None})]
    call("jobs")
    monkeypatch.setenv("OMNISCOPE_TOKEN", "given")
    call("jobs")
    signed, given = [header for _, header in api.asked]
    assert signed.startswith("Bearer ey")
    assert given == "Bearer given"


def test_a_refused_token_is_told_with_the_remedy(api: FakeApi) -> None:
    api.answers["/api/ml/jobs"] = [(401, {"detail": "the token has expired"})]
    result = call("jobs")
    assert result.exit_code == 1
    assert "the token has expired; set OMNISCOPE_TOKEN" in result.stderr


def test_no_api_at_the_address() -> None:
    result = call("jobs")
    assert result.exit_code == 3
    assert "no API answers at http://127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr


# --- requests


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reached the broker: requests and events, checked like those of a real publisher."""
    sent: list[Any] = []
    checker = Publisher("nowhere", source="test")

    class FakeBroker:
        async def request(self, request: Any) -> Any:
            from events.publisher import _receipt

            sent.append(request)
            return _receipt(checker.event(request))

        async def send(self, event: Any) -> None:
            sent.append(event)

    @asynccontextmanager
    async def publisher(settings: Any) -> Any:
        yield FakeBroker()

    monkeypatch.setattr(publishing, "publisher", publisher)
    monkeypatch.setattr("infra.cli.sending.publisher", publisher)
    return sent


def test_submit_automl_says_only_what_was_said(published: list[Any]) -> None:
    result = call(
        *("submit", "automl", "--dataset", "d", "--target", "y", "--time-limit", "40", "--features", "a, b"),
        *("--job-id", "j7", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["job_id"] == "j7"
    (request,) = published
    assert isinstance(request, AutomlRequested)
    assert request.feature_columns == ["a", "b"]
    assert request.model_fields_set == {
        "dataset_id",
        "target_column",
        "time_limit",
        "feature_columns",
        "job_id",
        "created_by",
    }


@pytest.mark.parametrize(
    ("dataset", "answer", "told"),
    [
        ("tumour", (200, {"items": [{"dataset_id": "tumours"}], "next": None}), "did you mean «tumours»?"),
        ("tumours", (200, {"items": [{"dataset_id": "tumours"}], "next": None}), ""),
        ("tumour", (200, {"items": [{"dataset_id": "tumours"}], "next": "more"}), ""),
        ("tumour", (503, {"detail": "away"}), ""),
        ("tumour", (200, ["not ours"]), ""),
    ],
)
def test_a_misspelt_dataset_is_told_at_once_and_asked_for_all_the_same(
    api: FakeApi, published: list[Any], monkeypatch: pytest.MonkeyPatch, dataset: str, answer: Any, told: str
) -> None:
    monkeypatch.setenv("OMNISCOPE_TOKEN", "given")
    api.answers["/api/ml/datasets"] = [answer]
    result = call("submit", "automl", "--dataset", dataset, "--target", "y")
    assert result.exit_code == 0
    assert len(published) == len(api.asked) == 1
    assert (told in result.stderr) if told else result.stderr == ""


def test_column_names_from_a_file_may_hold_commas(published: list[Any], tmp_path: Path) -> None:
    (tmp_path / "genes").write_text("HLA-A\nlength, cm\n\n")
    call("submit", "automl", "--dataset", "d", "--target", "y", "--exclude", f"@{tmp_path / 'genes'}")
    assert published[0].exclude_columns == ["HLA-A", "length, cm"]


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--time-limit", "0", "time_limit"), ("--quality", "perfect", "quality"), ("--job-id", "../x", "job_id")],
)
def test_submit_names_the_field_that_is_wrong(published: list[Any], option: str, value: str, told: str) -> None:
    result = call("submit", "automl", "--dataset", "d", "--target", "y", option, value)
    assert result.exit_code == 2
    assert told in result.stderr
    assert published == []


def test_submit_any_kind_from_a_file_or_stdin(published: list[Any], tmp_path: Path) -> None:
    (tmp_path / "stop.json").write_text('{"job_id": "j1", "requested_by": "me"}')
    assert call("submit", str(tmp_path / "stop.json"), "--kind", "cancellation").exit_code == 0
    assert published == [CancellationRequested(job_id="j1", requested_by="me")]

    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "mine",
        "type": "ai.omniscope.ml.automl.requested.v1",
        "subject": "j2",
        "data": {"dataset_id": "d", "target_column": "y"},
    }
    result = call("submit", "-", "--json", stdin=json.dumps(event))
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["event_id"] == "e1"
    assert published[-1].source == "mine"


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("{", "automl", "is no JSON"),
        ("[]", "automl", "one JSON object"),
        ("{}", None, "--kind"),
        ("{}", "astrology", "no kind of request"),
        ('{"dataset_id": "d", "target_column": "y", "x": 1}', "automl", "x"),
    ],
)
def test_submit_of_a_file_that_makes_no_sense(published: list[Any], body: str, kind: str | None, told: str) -> None:
    result = call("submit", "-", *(("--kind", kind) if kind else ()), stdin=body)
    assert result.exit_code == 2
    assert told in result.stderr
    assert published == []


def test_submit_of_an_event_that_breaks_the_contract(published: list[Any]) -> None:
    event = {"specversion": "1.0", "id": "e", "source": "s", "type": "ai.omniscope.ml.automl.requested.v1", "data": {}}
    result = call("submit", "-", stdin=json.dumps(event))
    assert result.exit_code == 1
    assert "job_id_missing" in result.stderr


def test_submit_without_a_broker() -> None:
    result = call("submit", "automl", "--dataset", "d", "--target", "y")
    assert result.exit_code == 3
    assert "no Kafka broker answers at 127.0.0.1:1" in result.stderr
    assert "set KAFKA_BOOTSTRAP_SERVERS, or EMBEDDED_KAFKA_PORT" in result.stderr


def test_adding_a_file_copies_it_once_under_a_safe_name(published: list[Any], tmp_path: Path) -> None:
    (tmp_path / "my data (1).CSV").write_text("a,b\n1,2\n")
    results = [call("dataset", "add", str(tmp_path / "my data (1).CSV"), "--no-wait", "--json") for _ in range(2)]

    first, second = (json.loads(result.stdout) for result in results)
    assert first == second
    assert first["status"] == "uploaded"
    (kept,) = (tmp_path / "data/datasets").iterdir()
    assert kept.name.startswith("my-data-1-")
    assert kept.suffix == ".csv"
    assert published[0].name == "my data (1).CSV"
    assert published[0].uri == str(kept)


@pytest.mark.parametrize(
    ("name", "more", "code", "told"),
    [
        ("absent.csv", (), 4, "does not exist"),
        ("notes.docx", (), 2, "--format"),
        ("x.csv", ("--id", "a/b"), 2, "dataset_id"),
        ("x.csv", ("--format", "xls"), 2, "csv, tsv"),
    ],
)
def test_adding_what_cannot_be_added(
    published: list[Any], tmp_path: Path, name: str, more: tuple[str, ...], code: int, told: str
) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "notes.docx").write_text("x")
    result = call("dataset", "add", str(tmp_path / name), "--no-wait", *more)
    assert result.exit_code == code
    assert told in result.stderr
    assert published == []
    assert not (tmp_path / "data" / "datasets").exists()


# --- the rest


def test_token_prints_one_that_names_its_bearer() -> None:
    result = call("token", "--subject", "ada", "--json")
    assert json.loads(result.stdout)["token"].count(".") == 2
    assert call("token", "--hours", "-1").exit_code == 2


@pytest.mark.parametrize(("name", "told"), [("astrology", "nothing to work on"), ("datasets,x", "nothing to work on")])
def test_agents_are_only_for_what_has_a_handler(name: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers import registry

    monkeypatch.setattr(
        registry, "HANDLERS", {kind: registry.HANDLERS[kind] for kind in (JobKind.NOOP, JobKind.AUTOML)}
    )
    result = call("agent", name)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [(("api",), "api"), (("agent", "all"), "worker"), (("up",), "api,worker"), (("token",), "api")],
)
def test_a_bare_install_names_the_extra(command: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    result = call(*command)
    assert result.exit_code == 1
    assert f"omniscope-ml {command[0]} needs the extra" in result.stderr
    assert f"pip install 'omniscope-ml[{extra}]'" in result.stderr


def test_a_package_that_was_imported_before_is_there() -> None:
    import faust

    assert faust.__version__
    assert extras.missing("worker") == []


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPIC_PARTITIONS", "many")
    result = call("jobs")
    assert result.exit_code == 2
    assert "TOPIC_PARTITIONS" in result.stderr


def test_doctor_names_what_is_wrong_and_what_to_do() -> None:
    result = call("doctor", "--json")
    assert result.exit_code == 1
    assert result.stdout, result.stderr
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert findings["data"]["ok"]
    assert "omniscope-ml up" in findings["broker"]["remedy"]
    assert findings["database"]["remedy"]
    assert findings["API"]["remedy"]


def test_tracebacks_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("infra.cli.jobs.load_settings", broken)
    assert "omniscope-ml: a bug (RuntimeError" in call("jobs").stderr
    assert isinstance(call("--debug", "jobs").exception, RuntimeError)


def test_help_is_fast_because_it_imports_nothing_heavy() -> None:
    program = (
        "import sys; from infra.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'faust', 'sqlalchemy', 'starlette', 'mlflow', 'aiokafka', 'httpx', 'torch', 'pandas', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "up" in ran.stdout
    assert ran.stderr.strip() == "[]"
