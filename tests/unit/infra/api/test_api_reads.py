"""Every endpoint's good answers."""

from datetime import timedelta

import pytest
from support.rows import NOON, dataset_row, explanation_row, fill, job_row, model_row

from schemas.tables import datasets, explanations, ml_models, training_jobs


async def test_a_job_tells_where_it_stands(client, engine) -> None:
    running = job_row(
        "job-1",
        status="running",
        progress=45.0,
        message="Training epoch 45/100",
        attempt=2,
        eta_s=30.5,
        started_at=NOON,
        last_heard_at=NOON + timedelta(seconds=1),
        metrics={"loss": 0.25},
    )
    await fill(engine, training_jobs, running)
    answer = await client.get("/api/ml/jobs/job-1/status")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "job_id": "job-1",
        "kind": "automl",
        "name": None,
        "status": "running",
        "progress": 45.0,
        "message": "Training epoch 45/100",
        "eta_s": 30.5,
        "metrics": {"loss": 0.25},
        "error": None,
        "attempt": 2,
        "stalled": True,
        "last_heard_at": "2026-01-31T12:00:01.123456Z",
        "created_at": "2026-01-31T12:00:00.123456Z",
        "started_at": "2026-01-31T12:00:00.123456Z",
        "completed_at": None,
        "created_by": "ada",
        "dataset_id": "cohort-1",
        "model_id": None,
        "model_type": "automl",
        "explanation_id": None,
    }


async def test_a_failed_job_carries_reason_and_sentence(client, engine) -> None:
    row = job_row("job-1", status="failed", error_reason="target_missing", error="there is no column 'outcom'")
    await fill(engine, training_jobs, row)
    told = (await client.get("/api/ml/jobs/job-1/status")).json()
    assert told["error"] == {"reason": "target_missing", "message": "there is no column 'outcom'"}


async def test_a_models_results_are_whole(client, engine) -> None:
    await fill(engine, ml_models, model_row("m-1", mlflow_run_id="run-7"))
    told = (await client.get("/api/ml/models/m-1/results")).json()
    assert told["model_name"] == "AutoML_0123abcd"
    assert told["metrics"] == {"accuracy": 0.97, "auroc": 0.99}
    assert told["intervals"]["accuracy"] == [0.93, 1.0]
    assert told["baseline"]["beaten"] is True
    assert told["artifacts_path"] == "models/m-1"
    assert (told["n_train"], told["n_test"], told["split_id"]) == (455, 114, "split-1")
    assert told["n_combination"] == 0, "an event of before did not tell it"
    assert told["mlflow_run_id"] == "run-7"
    assert told["files"] == {"model/MLmodel": "ab" * 32}
    assert told["classes"] == ["benign", "malignant"]


async def test_an_explanation_is_whole_and_stands_in_its_models_list(client, engine) -> None:
    await fill(engine, explanations, explanation_row("x-1"), explanation_row("x-2", model_id="other"))
    told = (await client.get("/api/ml/explanations/x-1")).json()
    assert (told["explanation_id"], told["method"], told["exactness"]) == ("x-1", "shap", "exact")
    assert told["feature_importance"] == {"CD79A": 0.4}
    assert told["importance_intervals"] == {"CD79A": [0.3, 0.5]}
    assert told["visualizations"] == {"summary_plot": "pictures/summary_plot.svg"}
    assert told["samples"][0]["contributions"] == {"CD79A": 0.5}
    assert (told["additivity_error"], told["local_fit"], told["warnings"]) == (1e-12, None, [])
    page = (await client.get("/api/ml/models/m/explanations")).json()
    assert [one["explanation_id"] for one in page["items"]] == ["x-1"]
    assert (await client.get("/api/ml/models/nobody/explanations")).json() == {"items": [], "next": None}
    unknown = await client.get("/api/ml/explanations/x-3")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "explanation_unknown")


async def test_rows_kept_aside_are_told(client, engine) -> None:
    await fill(engine, ml_models, model_row("m-1", details={"n_combination": 104}))
    assert (await client.get("/api/ml/models/m-1/results")).json()["n_combination"] == 104


@pytest.mark.parametrize(
    ("path", "table", "row", "key"),
    [
        ("/api/ml/jobs", training_jobs, job_row, "job_id"),
        ("/api/ml/models/list", ml_models, model_row, "model_id"),
        ("/api/ml/datasets", datasets, dataset_row, "dataset_id"),
    ],
)
async def test_every_list_pages_over_rows_of_the_same_moment(client, engine, path, table, row, key) -> None:
    await fill(engine, table, *(row(f"id-{n:03}") for n in range(250)))
    seen: list[str] = []
    asked = {"limit": "60"}
    while True:
        page = (await client.get(path, params=asked)).json()
        seen += [item[key] for item in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert seen == [f"id-{n:03}" for n in reversed(range(250))]


async def test_a_list_is_50_long_unless_asked_otherwise_and_200_at_most(client, engine) -> None:
    await fill(engine, training_jobs, *(job_row(f"job-{n}") for n in range(201)))
    assert len((await client.get("/api/ml/jobs")).json()["items"]) == 50
    assert len((await client.get("/api/ml/jobs?limit=200")).json()["items"]) == 200
    assert (await client.get("/api/ml/jobs?limit=201")).status_code == 422


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failed", ["b"]),
        ("kind=ensemble", ["c"]),
        ("dataset_id=other", ["d"]),
        ("kind=automl&status=failed", ["b"]),
    ],
)
async def test_jobs_are_filtered(client, engine, query: str, expected: list[str]) -> None:
    await fill(
        engine,
        training_jobs,
        job_row("a"),
        job_row("b", status="failed"),
        job_row("c", kind="ensemble"),
        job_row("d", dataset_id="other"),
    )
    told = (await client.get(f"/api/ml/jobs?{query}")).json()
    assert [job["job_id"] for job in told["items"]] == expected
    assert told["next"] is None


async def test_models_and_datasets_are_filtered(client, engine) -> None:
    await fill(engine, ml_models, model_row("a"), model_row("b", type="ensemble"), model_row("c", dataset_id="other"))
    await fill(engine, datasets, dataset_row("x"), dataset_row("y", status="rejected", error_reason="file_empty"))
    ensembles = (await client.get("/api/ml/models/list?type=ensemble")).json()["items"]
    others = (await client.get("/api/ml/models/list?dataset_id=other")).json()["items"]
    rejected = (await client.get("/api/ml/datasets?status=rejected")).json()["items"]
    assert [m["model_id"] for m in ensembles] == ["b"]
    assert [m["model_id"] for m in others] == ["c"]
    assert [(d["dataset_id"], d["error"]["reason"]) for d in rejected] == [("y", "file_empty")]


async def test_empty_lists_are_lists(client) -> None:
    for path in ("/api/ml/jobs", "/api/ml/models/list", "/api/ml/datasets"):
        assert (await client.get(path)).json() == {"items": [], "next": None}


async def test_whoever_has_no_token_is_told_where_things_are(stranger) -> None:
    told = (await stranger.get("/")).json()
    assert told["links"]["jobs"] == "/api/ml/jobs"
    assert "omniscope.ml.automl.requested" in told["requests"]
    for path in told["links"].values():
        assert (await stranger.get(path)).status_code in (200, 401), path


async def test_health_is_open(stranger) -> None:
    assert (await stranger.get("/healthz")).json() == {"status": "up"}
    assert (await stranger.get("/readyz")).json() == {"status": "ready"}


async def test_head_answers_like_get_without_a_body(client, stranger) -> None:
    got = await client.get("/api/ml/jobs")
    head = await client.head("/api/ml/jobs")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (await stranger.head("/readyz")).status_code == 200
    assert (await stranger.head("/api/ml/jobs")).status_code == 401
