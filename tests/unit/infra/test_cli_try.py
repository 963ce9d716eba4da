"""`try` before anything is started: what is wrong is one sentence, and nothing is written over or left behind."""

import asyncio
import shlex
import socket
from pathlib import Path

import pytest
from support.lives import automl
from typer.testing import CliRunner, Result

from events.outcomes import JobStatus
from handlers.contract import JobRefused
from infra.cli import demo, look_ahead, try_it
from infra.cli.acts import Act, demo_acts, wish_of
from infra.cli.addresses import settings_of, with_free_ports
from infra.cli.dataset_files import look_at
from infra.cli.errors import CliError, ExitCode
from infra.cli.lock import only_one
from infra.cli.look_ahead import report_path
from infra.cli.main import app
from infra.cli.trial import how
from infra.cli.try_it import wish_for
from infra.cli.withdrawal import withdraw
from infra.jobs import arbiter, claims
from infra.report.rendering import save
from infra.settings import Settings
from infra.storage.store import ObjectStore

OURS = '<meta name="generator" content="OmniScope ML report">'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without any setting of this machine's."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "OMNISCOPE_TOKEN", "OMNISCOPE_API", "DATASET_ROOTS", "ARTIFACTS_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("API_PORT", "1")  # nobody listens there
    monkeypatch.setenv("OMNISCOPE_DEBUG", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(place: Path) -> Path:
    path = place / "cells.csv"
    path.write_text("patient,gene,outcome\n" + "".join(f"p{i // 4},{i}.5,{'ab'[i % 2]}\n" for i in range(60)))
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["try", *arguments], prog_name="omniscope-ml")


def told(file: str, *arguments: str, content: str | None = None) -> tuple[int, str]:
    """The exit code and what was said; nothing may have been started or written for it."""
    if content is not None:
        Path(file).write_text(content)
    before = sorted(Path().iterdir())
    result = call(file, *arguments)
    assert sorted(Path().iterdir()) == before
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("content", "target", "sentence"),
    [
        ("", "y", "the file is empty"),
        ("x,y\n", "y", "no rows below its header"),
        ("x,y\n" + "1,same\n" * 30, "y", "has the same value in every row"),
        ("x,y\n1,a\n2,b\n", "y", "2 usable rows: at least 20 are needed"),
        ("x,outcome\n" + "1,a\n2,b\n" * 20, "Outcom", "did you mean «outcome»?"),
        ('{"x": 1}', "x", "save it as CSV"),
    ],
)
def test_a_file_that_cannot_be_learned_from(content: str, target: str, sentence: str) -> None:
    code, said = told("data.csv", "--target", target, content=content)
    assert code == ExitCode.FAILED
    assert sentence in said


def test_a_wrong_group_a_missing_file_an_unknown_format(table: Path) -> None:
    code, said = told(table.name, "--target", "outcome", "--group", "patinet")
    assert (code, "did you mean «patient»?" in said) == (ExitCode.FAILED, True)
    assert told("absent.csv", "--target", "y")[0] == ExitCode.NOT_FOUND
    assert "is a folder" in told(".", "--target", "y")[1]
    code, said = told("table.dat", "--target", "y", content="x,y\n")
    assert code == ExitCode.USAGE
    assert "--format" in said
    code, said = told(table.name, "--target", "outcome", "--quality", "superb")
    assert (code, "quality" in said) == (ExitCode.USAGE, True)
    assert call(table.name).exit_code == ExitCode.USAGE


def test_of_a_large_table_the_header_is_enough(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_ahead, "_MOST_BYTES", 0)
    wish_for(table, {"target_column": "outcome"})
    with pytest.raises(JobRefused, match="did you mean «outcome»"):
        wish_for(table, {"target_column": "outcomes"})


def test_the_same_file_is_the_same_dataset(table: Path) -> None:
    first = wish_for(table, {"target_column": "outcome", "time_limit": 60}).request
    assert (
        first.dataset_id == wish_for(table, {"target_column": "gene", "problem_type": "regression"}).request.dataset_id
    )
    assert first.dataset_id.startswith("cells-")
    table.write_text(table.read_text() + "p99,1.5,a\n")
    assert wish_for(table, {"target_column": "outcome"}).request.dataset_id != first.dataset_id


def test_the_report_goes_where_it_was_told_and_writes_over_nothing_else(place: Path) -> None:
    file = place / "a.b.csv"
    assert report_path(None, file, place) == place / "a.b-report.html"
    assert report_path(None, place / "cells.tsv.gz", place) == place / "cells-report.html"
    assert report_path(Path("mine.html"), file, place) == place / "mine.html"
    assert report_path(place, file, place) == place / "a.b-report.html"
    save(OURS, place / "ours.html")
    assert report_path(Path("ours.html"), file, place) == place / "ours.html"
    (place / "thesis.html").write_text("ten years of work")
    for taken in ("thesis.html", "no/folder/r.html"):
        with pytest.raises(CliError) as refused:
            report_path(Path(taken), file, place)
        assert refused.value.code == ExitCode.USAGE


def test_a_file_that_is_no_report_of_ours_is_kept(table: Path, place: Path) -> None:
    (place / "cells-report.html").write_text("mine")
    code, said = told(table.name, "--target", "outcome")
    assert code == ExitCode.USAGE
    assert "no report of ours" in said
    assert (place / "cells-report.html").read_text() == "mine"


def test_nobody_elses_broker_is_used_without_being_asked(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "shared.example.org:9092")
    result = call(table.name, "--target", "outcome")
    assert result.exit_code == ExitCode.USAGE
    assert "shared.example.org:9092" in result.stderr
    assert "unset it" in result.stderr


@pytest.mark.parametrize(
    ("about", "code", "sentence"),
    [
        ({"command": "try"}, ExitCode.FAILED, "already runs on"),
        ({"command": "demo"}, ExitCode.FAILED, "already runs on"),
        ({"command": "up", "work": ["noop"]}, ExitCode.FAILED, "does not work on automl and datasets"),
        (
            {"command": "up", "work": ["automl", "datasets"]},
            ExitCode.UNREACHABLE,
            "no API answers at http://127.0.0.1:1",
        ),
    ],
)
def test_what_runs_already_is_used_or_named(
    about: dict[str, object], code: int, sentence: str, table: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_it, "_READY_S", 0.0)
    (place / "data").mkdir()
    with only_one(place / "data", {"api": "http://127.0.0.1:1", "broker": "127.0.0.1:1", **about}):
        result = call(table.name, "--target", "outcome")
    assert result.exit_code == code
    assert sentence in result.stderr
    assert not (place / "cells-report.html").exists()


def test_a_running_house_is_found_where_it_said_it_is() -> None:
    ours = Settings(embedded_kafka_port=9092, api_port=8001)
    found = settings_of(ours, {"api": "http://[::1]:8123", "broker": "127.0.0.1:9555"})
    assert (found.api_host, found.api_port, found.bootstrap_servers) == ("::1", 8123, "127.0.0.1:9555")
    assert found.embedded_broker
    away = settings_of(ours, {"api": "http://127.0.0.1:8001", "broker": "kafka.example.org:9092"})
    assert away.kafka_bootstrap_servers == "kafka.example.org:9092"
    assert not away.embedded_broker


def test_taken_ports_are_no_reason_to_give_up() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = with_free_ports(Settings(api_port=port, embedded_kafka_port=port))
    assert port not in (found.api_port, found.embedded_kafka_port)
    assert 0 not in (found.api_port, found.embedded_kafka_port)
    assert with_free_ports(Settings(api_port=port)).api_port == port, "a free one is taken as it is"


async def test_a_job_whose_house_is_gone_ends_as_cancelled(place: Path) -> None:
    settings = Settings(data_dir=place / "data")
    store = ObjectStore.open(settings.artifacts)
    await withdraw(settings, "never-begun", "mira")
    assert await store.list("jobs") == ["jobs/never-begun/cancellation.json"]

    delivery = automl("mine")
    await claims.own(store, delivery.identify(), delivery)
    await claims.start_attempt(store, "mine", "w1", "t1", limit=3)
    await asyncio.gather(*(withdraw(settings, "mine", "mira") for _ in range(2)))
    ended = await arbiter.find(store, "mine")
    assert ended is not None
    assert (ended.status, ended.attempt) == (JobStatus.CANCELLED, 1)
    (told_of,) = ended.events
    assert told_of.event.data["request"] == {"dataset_id": "d", "target_column": "outcome"}
    assert told_of.event.data["requested_by"] == "mira"

    await withdraw(settings, "mine", "somebody else")
    assert await arbiter.find(store, "mine") == ended, "an end is one for good"


def test_the_demo_tries_files_that_are_there(place: Path) -> None:
    acts = demo_acts(30)
    assert [act.asked["time_limit"] for act in acts if act.kind == "automl"] == [30]
    for act in acts:
        wish = wish_of(act, acts, place)
        assert wish.report == place / f"{act.name}-report.html"
        assert act.source in wish.heading
        if act.file is None:
            continue
        assert look_at(act.file, None).default_id == wish.request.dataset_id  # type: ignore[attr-defined]
        typed_again = shlex.split(wish.heading.rpartition("$ ")[2].rpartition("&&")[2])
        target = wish.request.target_column  # type: ignore[attr-defined]
        assert typed_again[typed_again.index("--target") + 1] == target


def test_the_demo_combines_models_of_two_kinds_on_one_dataset(place: Path) -> None:
    acts = demo_acts(30)
    (made,) = [act for act in acts if act.kind == "ensemble"]
    members = [act for act in acts if act.name in made.after]
    assert len({act.kind for act in members}) == len(members) == 2
    assert len({wish_of(act, acts, place).request.dataset_id for act in members}) == 1  # type: ignore[attr-defined]
    assert all(acts.index(act) < acts.index(made) for act in members)


def test_an_act_goes_on_from_the_model_of_another(place: Path, table: Path) -> None:
    about = {"file": table, "source": "here", "licence": "none"}
    first = Act("large", "Large", "deep_learning", {**LEARN, "architecture": "lstm"}, **about)
    then = Act("small", "Small", "transfer_learning", {**LEARN, "fine_tune_layers": 1}, **about, after=("large",))
    wish = wish_of(then, [first, then], place)
    assert wish.after == (0,)
    assert "submit transfer-learning --dataset small --target outcome --fine-tune-layers 1" in wish.heading
    known = wish.on_models(["m-7"])
    assert (known.request.base_model, wish.request.base_model) == ("job:m-7", "resnet50")  # type: ignore[attr-defined]
    assert "--base-model job:m-7 --watch" in known.heading
    assert how(known.request) == "predicting «outcome», from job:m-7, the last layer, 50 epochs at most"
    assert how(wish_of(first, [first, then], place).request) == "predicting «outcome», lstm, 100 epochs at most"


def test_an_act_combines_the_models_of_others(place: Path, table: Path) -> None:
    first, second = (
        Act(name, name, "deep_learning", {**LEARN, "architecture": "lstm"}, file=table) for name in ("a", "b")
    )
    both = Act("both", "Both", "ensemble", {"method": "voting"}, after=("b", "a"))
    wish = wish_of(both, [first, second, both], place)
    assert (wish.after, wish.file) == ((1, 0), None)
    known = wish.on_models(["m-7", "m-8"])
    assert known.request.model_ids == ["m-7", "m-8"]  # type: ignore[attr-defined]
    assert "submit ensemble m-7 m-8 --method voting --watch" in known.heading
    assert how(known.request) == "combining 2 models by voting"


LEARN = {"target_column": "outcome"}


def test_what_an_earlier_demo_left_goes_and_the_lock_stays(place: Path) -> None:
    (place / "up.lock").touch()
    (place / "left.html").touch()
    (place / "folder").mkdir()
    demo.empty(place)
    assert [path.name for path in place.iterdir()] == ["up.lock"]
