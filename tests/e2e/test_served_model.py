"""A trained model used as a stranger would use it: by MLflow alone, in an environment made of its own requirements."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from support.broker import free_port
from support.parts import missing
from support.up import Up, running_up

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

UV = Path(sys.executable).with_name("uv")
_PREDICTS = """
import json, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(pd.read_csv(sys.argv[2]).drop(columns="target"))["prediction"].tolist()))
"""


async def call(*words: str | Path, **environment: str) -> str:
    """What the program prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()[-3000:]
    return printed.decode()


async def fresh_environment(folder: Path, requirements: Path) -> Path:
    """The Python of a new virtual environment that holds the requirements and nothing else."""
    python = folder / "bin" / "python"
    try:
        indexes = await uv_settings()
        await call(UV, "venv", "--quiet", "--python", sys.executable, folder)
        await call(UV, "pip", "install", "--quiet", "--python", python, "-r", requirements, **indexes)
    except (AssertionError, FileNotFoundError) as error:
        missing("no fresh environment can be made here", str(error))
    return python


async def uv_settings() -> dict[str, str]:
    """uv reads no settings of pip's: what they say about indexes is handed on, as scripts/set-up does."""
    told = dict(
        line.split("=", 1) for line in (await call(sys.executable, "-m", "pip", "config", "list")).splitlines() if line
    )
    known = {
        "UV_DEFAULT_INDEX": told.get("global.index-url"),
        "UV_INDEX": told.get("global.extra-index-url"),
        "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS") or told.get("global.find-links"),
        "SSL_CERT_FILE": os.environ.get("PIP_CERT") or told.get("global.cert"),
    }
    return {name: value.strip("'") for name, value in known.items() if value and name not in os.environ}


@asynccontextmanager
async def served(python: Path, model: str, tracking_uri: str, log: Path) -> AsyncIterator[httpx.AsyncClient]:
    """`mlflow models serve`, answering; nothing of it is left at the end."""
    port = free_port()
    bin_first = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", str(port)),
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "PATH": bin_first},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            await answering(client, process, log)
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def answering(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    while True:
        assert process.returncode is None, log.read_text()[-3000:]
        try:
            if (await client.get("/ping")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


async def train(up: Up, table: Path) -> dict[str, Any]:
    """A small model through the whole house; its results once it is registered."""
    await up.command("dataset", "add", str(table), "--id", "cancer")
    asked = ("--dataset", "cancer", "--target", "target", "--time-limit", "10", "--quality", "medium")
    receipt = await up.command("submit", "automl", *asked)
    job = receipt["job_id"]
    done = await up.get(f"/api/ml/jobs/{job}/status", lambda body: body["status"] in ("completed", "failed"))
    assert done["status"] == "completed", done
    results: dict[str, Any] = await up.get(
        f"/api/ml/models/{done['model_id']}/results", lambda body: body["registered_name"] is not None
    )
    return results


async def test_a_registered_model_is_loaded_promoted_and_served_by_strangers(tmp_path: Path) -> None:
    data = (
        load_breast_cancer(as_frame=True).frame.iloc[::3].assign(target=lambda f: f.target.map({0: "bad", 1: "good"}))
    )
    table = tmp_path / "cancer.csv"
    data.to_csv(table, index=False)
    async with running_up(tmp_path, "--kinds", "automl,datasets") as up:
        results = await train(up, table)
        approved = ("--approved-by", "Grace Hopper", "--reason", "validated on the second cohort")
        await up.command("promote", results["model_name"], *approved)
        promoted = await up.get(f"/api/ml/models/{results['model_id']}/results", lambda body: body["promoted_by"])
        assert promoted["promoted_by"] == "Grace Hopper"
        tracking_uri = up.settings.tracking_uri
        directory = Path(up.settings.artifacts) / results["artifacts_path"]

    # The house is gone; what it made is used without any of its code.
    python = await fresh_environment(tmp_path / "fresh", directory / "requirements.txt")
    name = f"models:/{results['registered_name']}"
    environment = {"MLFLOW_TRACKING_URI": tracking_uri, "PYTHONSAFEPATH": "1"}
    said = await call(python, "-c", _PREDICTS, f"{name}@challenger", table, **environment)
    predicted = json.loads(said.splitlines()[-1])
    right = sum(a == b for a, b in zip(predicted, data.target, strict=True)) / len(data)
    assert right > 0.9

    async with served(python, f"{name}@champion", tracking_uri, tmp_path / "serve.log") as client:
        rows = pd.read_csv(table).drop(columns="target").head(5)
        answer = await client.post("/invocations", json={"dataframe_split": rows.to_dict(orient="split", index=False)})
        assert answer.status_code == 200, answer.text
        assert [row["prediction"] for row in answer.json()["predictions"]] == predicted[:5]
