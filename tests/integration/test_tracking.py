"""What events do to a real MLflow store, whatever order they are told in, and however often."""

import asyncio
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.broker import free_port
from support.histories import Log, ended, failed, model, progressed, request, started
from support.libraries import for_tracking
from support.tracking import Recording, all_of, blank_database, fresh_store, recording, runs_by_job

from infra.settings import Settings, SettingsError
from infra.storage.store import ObjectStore
from infra.tracking.place import PlaceLost, Places
from infra.tracking.tracking_store import TrackingStore, check_tracking_uri, open_tracking_store
from schemas.projection import Record

_libraries = pytest.fixture(scope="module", autouse=True)(for_tracking)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> TrackingStore:
    return fresh_store(blank_database(tmp_path_factory), settings)


@pytest.fixture
async def house(store: TrackingStore, settings: Settings) -> AsyncIterator[Recording]:
    async with recording(store, settings) as opened:
        yield opened


def finished(log: Log, number: int, score: float | None = 0.9, **also: Any) -> list[Record]:
    """A job from its start to its model."""
    job, made = f"job-{number}", f"model-{number}"
    about = {"validation_score": score, "created_at": f"2026-03-01T12:{number:02}:00Z", "training_config": request(job)}
    return [
        log.add("ml.job.started", started(job)),
        log.add("ml.job.progressed", progressed(job, seq=0)),
        log.add("ml.job.progressed", progressed(job, seq=1)),
        log.add("ml.model.completed", model(made, job, **about | also)),
        log.add("ml.job.completed", ended(job, model_id=made, seconds={"run": 3.5})),
    ]


def promoted(log: Log, made: str, at_s: float, who: str = "grace") -> Record:
    data = {"model_id": made, "approved_by": who, "reason": "validated"}
    return log.add("ml.model-promotion.requested", data, at_s=at_s)


async def test_a_job_from_start_to_end(house: Recording, store: TrackingStore) -> None:
    log = Log()
    begun, first, second, made, done = finished(
        log, 1, hyperparameters={"GBM": {"lr": 0.1}}, environment={"packages": {"torch": "2.13.0"}}, pictures={}
    )
    await house.tell([begun])
    assert runs_by_job(store)["job-1"].info.status == "RUNNING"

    await house.tell_at_once([first, second])
    running = runs_by_job(store)["job-1"]
    assert (running.info.status, running.data.metrics) == ("RUNNING", {"live/auroc": 0.9, "progress": 1.0})

    await house.tell([made, done])
    run = all_of(store)["runs"]["job-1"]
    assert (run["status"], run["experiment"]) == ("FINISHED", "omniscope-ml/cohort")
    assert run["times"] == (_ms(begun, "started_at"), _ms(done, "completed_at"))
    assert [step for step, _, _ in run["metrics"]["progress"]] == [0, 1]
    scores = {name: points[-1][2] for name, points in run["metrics"].items()}
    assert scores == {
        "live/auroc": 0.9, "progress": 1.0, "seconds/run": 3.5, "validation_score": 0.9,
        "auroc": 0.97, "auroc_low": 0.95, "auroc_high": 0.99, "baseline_auroc": 0.99,
    }  # fmt: skip
    assert (
        run["params"].items() >= {"hyperparameters.GBM.lr": "0.1", "target_column": "outcome", "n_test": "100"}.items()
    )
    assert run["tags"].items() >= {
        "job_id": "job-1", "model_id": "model-1", "kind": "automl", "dataset_id": "cohort", "split_id": "split-1",
        "dataset_sha256": "a" * 64, "created_by": "ada", "worker": "w1", "attempt": "1", "version.torch": "2.13.0",
    }.items()  # fmt: skip


def _ms(record: Record, field: str) -> int:
    return int(datetime.fromisoformat(json.loads(record.value or b"")["data"][field]).timestamp() * 1000)


async def test_every_end_has_its_status(house: Recording, store: TrackingStore) -> None:
    log = Log()
    log.add("ml.job.started", started("cancelled"))
    log.add("ml.job.cancelled", ended("cancelled", requested_by="ada"))
    log.add("ml.job.failed", failed("never started", attempt=0) | {"job_id": "refused", "started_at": None})
    log.add("ml.job.started", started("lost", attempt=1))
    log.add("ml.job.progressed", progressed("lost", attempt=1, seq=70))
    log.add("ml.job.started", started("lost", attempt=2, worker="w2"))
    log.add("ml.job.progressed", progressed("lost", attempt=2, seq=3))
    log.add("ml.job.failed", ended("lost", attempt=2, error={"reason": "worker_lost", "message": "three times"}))
    log.add("ml.job.started", {**started("nothing"), "kind": "noop"})
    log.add("ml.job.started", {**started("explained"), "kind": "explanation", "request": {"model_id": "m"}})
    log.add("ml.job.progressed", progressed("waits", attempt=0))
    assert await house.tell(log.records) == []

    runs = all_of(store)["runs"]
    assert {job: run["status"] for job, run in runs.items()} == {
        "cancelled": "KILLED", "refused": "FAILED", "lost": "FAILED", "explained": "RUNNING",
    }  # fmt: skip
    assert runs["cancelled"]["tags"]["cancelled_by"] == "ada"
    assert runs["refused"]["tags"]["reason"] == "target_missing"
    assert runs["explained"]["experiment"] == "omniscope-ml/_explanation"
    lost = runs["lost"]
    assert (
        lost["tags"].items()
        >= {"reason": "worker_lost", "message": "three times", "attempt": "2", "worker": "w2"}.items()
    )
    assert [value for _, _, value in lost["metrics"]["progress"]] == [70.0, 3.0], "the later attempt is the latest"


async def test_telling_everything_again_changes_nothing(
    house: Recording, store: TrackingStore, settings: Settings
) -> None:
    log = Log()
    for number in range(3):
        finished(log, number, score=0.5 + number / 10)
    log.add("ml.job.failed", failed("job-9"))
    promoted(log, "model-1", at_s=500)
    await house.tell(log.records)
    before, calls = all_of(store), len(house.outcomes.events)
    await house.tell(log.records)
    async with recording(store, settings) as another:
        await another.tell_at_once(reversed(log.records))
        assert all_of(store) == before
        told = [event.name for _, event in another.outcomes.events]
        assert told == ["ml.model.promoted"], "what this log holds already is not told again"
    identities = [event.identity for _, event in house.outcomes.events]
    assert (len(identities), len({*identities}), calls) == (5, 4, 4)


async def test_another_log_is_told_of_models_that_are_registered_already(
    house: Recording, store: TrackingStore, settings: Settings
) -> None:
    """The embedded broker was restarted, and the job's recorded events were published again."""
    records = finished(Log(), 1)
    await house.tell(records)
    before = all_of(store)
    async with recording(store, settings, epoch="epoch-2") as after:
        await after.tell(records)
        assert [e.id for _, e in after.outcomes.events] == [e.id for _, e in house.outcomes.events]
    assert all_of(store) == before


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_one_right_challenger_whatever_order_jobs_finish_in(
    house: Recording, store: TrackingStore, order: tuple[int, ...]
) -> None:
    log = Log()
    jobs = [finished(log, n, score=score)[3] for n, score in enumerate((0.3, 0.1, 0.2))]
    await house.tell(jobs[n]._replace(value=jobs[n].value) if hasattr(jobs[n], "_replace") else jobs[n] for n in order)
    challenger = store.client.get_model_version_by_alias("cohort.outcome", "challenger")
    assert challenger.tags["model_id"] == "model-0"


async def test_a_challenger_is_the_best_of_what_can_be_compared(house: Recording, store: TrackingStore) -> None:
    log = Log()

    async def challenger(number: int, score: float | None, **also: Any) -> str:
        await house.tell([finished(log, number, score, **also)[3]])
        found: str = store.client.get_model_version_by_alias("cohort.outcome", "challenger").tags["model_id"]
        return found

    assert await challenger(1, 0.9) == "model-1"
    assert await challenger(2, 0.9) == "model-1", "of equals the older one"
    assert await challenger(3, None) == "model-1"
    assert await challenger(4, 0.5, split_id="by patient") == "model-4", "the newest split counts"
    assert await challenger(5, 0.7, split_id="by patient", primary_metric="log_loss") == "model-5"
    assert await challenger(6, 0.6, split_id="by patient", primary_metric="log_loss") == "model-6", "less is better"
    told = [event.data["alias"] for _, event in house.outcomes.events]
    assert told == ["challenger", None, None, "challenger", "challenger", "challenger"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_later_promotion_wins_whatever_is_read_first(
    house: Recording, store: TrackingStore, order: tuple[int, int]
) -> None:
    log = Log()
    await house.tell([*finished(log, 1), *finished(log, 2)])
    promotions = [promoted(log, "model-2", at_s=100, who="ada"), promoted(log, "model-1", at_s=200)]
    await house.tell(promotions[n] for n in order)
    champion = store.client.get_model_version_by_alias("cohort.outcome", "champion")
    assert champion.tags["model_id"] == "model-1"
    assert (champion.tags["approved_by"], champion.tags["promotion_reason"]) == ("grace", "validated")
    last = [event for _, event in house.outcomes.events if event.name == "ml.model.promoted"][-1]
    assert (last.subject, last.data["version"], last.time) == ("model-1", "1", promotions[1].place.time)


async def test_promotions_wait_for_their_model_and_bad_ones_are_put_aside(
    house: Recording, store: TrackingStore
) -> None:
    log = Log()
    early = promoted(log, "model-1", at_s=1)
    nameless = log.add("ml.model-promotion.requested", {"model_id": "model-1"})
    assert await house.tell([early, nameless]) == [early]
    assert [(x.reason, x.offset) for x in house.outcomes.letters] == [("missing_field", nameless.place.offset)]
    await house.tell(finished(log, 1))
    assert await house.tell([early]) == []
    assert store.client.get_model_version_by_alias("cohort.outcome", "champion").tags["model_id"] == "model-1"


async def test_where_groups_were_kept_whole_a_model_that_splits_them_is_no_challenger(
    house: Recording, store: TrackingStore
) -> None:
    log = Log()
    whole = request("job-1", group_column="patient")
    await house.tell(finished(log, 1, score=0.7, training_config=whole))
    await house.tell(finished(log, 2, score=0.99, split_id="split-2"))
    challenger = store.client.get_model_version_by_alias("cohort.outcome", "challenger")
    assert challenger.tags["model_id"] == "model-1"


async def test_a_promotion_that_is_dated_ahead_does_not_stand_in_the_way_of_later_ones(
    house: Recording, store: TrackingStore
) -> None:
    log = Log()
    await house.tell(finished(log, 1))
    await house.tell(finished(log, 2))
    ahead = promoted(log, "model-1", at_s=10 * 365 * 86400)
    assert await house.tell([ahead, promoted(log, "model-2", at_s=60)]) == []
    assert [(x.reason, x.offset) for x in house.outcomes.letters] == [("out_of_range", ahead.place.offset)]
    assert store.client.get_model_version_by_alias("cohort.outcome", "champion").tags["model_id"] == "model-2"


async def test_poison_is_left_out_and_the_rest_goes_on(
    house: Recording, store: TrackingStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = store.client.create_run

    def refuses(*args: Any, **kwargs: Any) -> Any:
        if kwargs["tags"]["job_id"] == "bad":
            raise ZeroDivisionError
        return real(*args, **kwargs)

    monkeypatch.setattr(store.client, "create_run", refuses)
    log = Log()
    log.add("ml.job.started", started("bad"))
    log.add("ml.job.started", started("good"))
    assert await house.tell(log.records) == []
    assert set(runs_by_job(store)) == {"good"}
    said = capsys.readouterr().out
    assert said.count("left_out") == 1
    assert "ZeroDivisionError" in said


async def test_what_a_person_removed_comes_back_when_it_is_told_of(house: Recording, store: TrackingStore) -> None:
    log = Log()
    begun, _, *rest = finished(log, 1)
    await house.tell([begun])
    store.client.delete_run(runs_by_job(store)["job-1"].info.run_id)
    await house.tell(rest)
    assert runs_by_job(store)["job-1"].info.status == "FINISHED"
    store.client.delete_experiment(runs_by_job(store)["job-1"].info.experiment_id)
    await house.tell(finished(log, 2))
    assert set(runs_by_job(store)) == {"job-1", "job-2"}


async def test_pictures_lie_where_mlflow_finds_them(house: Recording, store: TrackingStore, settings: Settings) -> None:
    artifacts = ObjectStore.open(settings.artifacts)
    await artifacts.put("models/model-1/1/model/pictures/roc.png", b"a picture")
    pictures = {"roc": "pictures/roc.png", "gone": "pictures/gone.png", "outside": "../../x"}
    await house.tell(finished(Log(), 1, pictures=pictures))
    run = runs_by_job(store)["job-1"].info
    assert [file.path for file in store.client.list_artifacts(run.run_id, "pictures")] == ["pictures/roc.png"]
    assert Path(store.client.download_artifacts(run.run_id, "pictures/roc.png")).read_bytes() == b"a picture"


@pytest.mark.parametrize("target", ["исход", "5-year survival/%", "outcome"])
async def test_a_version_points_at_the_model_where_it_lies(
    house: Recording, store: TrackingStore, settings: Settings, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)  # else MLflow makes a database where we stand
    directory = Path(settings.artifacts) / "models/model-1/attempt-1"
    (settings.data_dir / "code.py").write_text(_SERVED)
    mlflow.pyfunc.save_model(directory, python_model=str(settings.data_dir / "code.py"), pip_requirements=["mlflow"])
    await house.tell(finished(Log(), 1, target_column=target, artifacts_path="models/model-1/attempt-1"))
    ((_, event),) = house.outcomes.events
    loaded = mlflow.pyfunc.load_model(f"models:/{event.data['registered_name']}@challenger")
    assert list(loaded.predict([1, 2])) == [2, 4]
    assert not list((Path(settings.artifacts) / "mlflow").rglob("MLmodel")), "no second copy"


_SERVED = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Twice(PythonModel):
    def predict(self, context, model_input: list[int]):
        return [2 * x for x in model_input]

set_model(Twice())
"""


def test_what_is_no_tracking_store_is_said_at_once() -> None:
    for uri in ("mlruns", "databricks", "mysql://x", "sqlite:", "sqlite://", "sqlite:///", "http://"):
        with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI"):
            check_tracking_uri(uri)


async def test_a_file_store_works_with_a_warning(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/runs")  # its file store asks for it, too
    told = settings.model_copy(update={"mlflow_tracking_uri": f"file://{tmp_path}/runs"})
    store = open_tracking_store(told)
    assert "file_store" in capsys.readouterr().out
    async with recording(store, told) as house:
        log = Log()
        await house.tell([*finished(log, 1), promoted(log, "model-1", at_s=100)])
    assert runs_by_job(store)["job-1"].info.status == "FINISHED"
    assert all_of(store)["aliases"] == {"cohort.outcome": {"challenger": 1, "champion": 1}}


def test_the_place_is_kept_with_the_store(store: TrackingStore) -> None:
    partitions = [(topic, number) for topic in ("a", "b") for number in range(450)]
    places = Places(store, "epoch-1")
    assert set(places.load(partitions).values()) == {0}
    told = {partition: 10**9 + offset for offset, partition in enumerate(partitions)}
    places.save(told)
    assert Places(store, "epoch-1").load(partitions) == told
    assert set(Places(store, "epoch-2").load(partitions).values()) == {0}, "offsets of another log mean nothing"

    store.client.delete_experiment(store.client.get_experiment_by_name("omniscope-ml").experiment_id)
    with pytest.raises(PlaceLost):
        places.probe()
    assert Places(store, "epoch-1").load(partitions) == told, "brought back"


def test_a_database_that_was_begun_and_not_finished_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.tracking import tracking_store

    settings.make_data_dir()
    (settings.data_dir / "mlflow.db.new").write_bytes(b"half a database")
    real = tracking_store._client

    def quickly(uri: str) -> Any:
        if uri.endswith(".new"):
            assert not Path(uri.removeprefix("sqlite:///")).exists()
            shutil.copy(blank_database(tmp_path_factory), uri.removeprefix("sqlite:///"))
        return real(uri)

    monkeypatch.setattr(tracking_store, "_client", quickly)
    store = open_tracking_store(settings)
    assert [e.name for e in store.client.search_experiments()] == ["Default"]
    assert not (settings.data_dir / "mlflow.db.new").exists()


@pytest.mark.slow
async def test_a_server_that_takes_no_foreign_directory_gets_a_copy(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    directory = Path(settings.artifacts) / "models/model-1/1/model"
    (directory / "pictures").mkdir(parents=True)
    (directory / "MLmodel").write_text("flavors: {}\n")
    (directory / "pictures" / "roc.png").write_bytes(b"a picture")
    shutil.copy(blank_database(tmp_path_factory), tmp_path / "server.db")
    async with mlflow_server(tmp_path) as address:
        told = settings.model_copy(update={"mlflow_tracking_uri": address})
        store = open_tracking_store(told)
        async with recording(store, told) as house:
            log = Log()
            records = [*finished(log, 1, pictures={"roc": "pictures/roc.png"}), promoted(log, "model-1", at_s=100)]
            assert await house.tell(records) == []
            before = all_of(store)
            await house.tell(records)
            assert all_of(store) == before
        run = runs_by_job(store)["job-1"].info
        assert run.status == "FINISHED"
        assert [f.path for f in store.client.list_artifacts(run.run_id)] == ["model", "pictures"]
        champion = store.client.get_model_version_by_alias("cohort.outcome", "champion")
        assert champion.source == f"{run.artifact_uri}/model"


@asynccontextmanager
async def mlflow_server(folder: Path) -> AsyncIterator[str]:
    """A tracking server on a prepared database, answering; nothing of it is left at the end."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    words = ("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "files"))
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *words),
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        async with httpx.AsyncClient() as client:
            while True:
                assert process.returncode is None, (folder / "server.log").read_text()
                with suppress(httpx.TransportError):
                    if (await client.get(f"{address}/health")).is_success:
                        break
                await asyncio.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()
