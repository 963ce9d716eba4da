"""A network from the command line to MLflow: asked for, watched, listed, told in curves, and made again."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.up import Up, environment, running_up

from infra.report.commands import Place
from infra.report.data import report_data
from infra.report.pictures import read_pictures
from infra.report.rendering import render
from infra.storage.store import ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EPOCHS = 12


def write_table(path: Path) -> None:
    """Three channels of twenty points, and a number that the first tells."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 60))
    frame = pd.DataFrame(X, columns=[f"c{place // 20}_{place % 20}" for place in range(60)])
    frame.assign(amount=X[:, :20].sum(axis=1) + rng.normal(size=100)).to_csv(path, index=False)


async def said_by(up: Up, *words: str) -> str:
    """What a command prints for a person; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", *words),
        env={**environment(up.settings), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def curve(database: Path, name: str) -> list[tuple[int, float]]:
    """(step, value) of a metric that MLflow holds."""
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT step, value FROM metrics WHERE key = ? ORDER BY step", (name,)).fetchall()


async def test_a_network_is_asked_for_followed_told_and_made_again(tmp_path: Path) -> None:
    write_table(tmp_path / "signals.csv")
    async with running_up(tmp_path, "--kinds", "deep-learning,datasets") as up:
        await up.command("dataset", "add", str(tmp_path / "signals.csv"), "--id", "signals")
        said = await said_by(
            up,
            *("submit", "deep-learning", "--dataset", "signals", "--target", "amount", "--architecture", "cnn_1d"),
            *("--input-shape", "3x20", "--epochs", str(EPOCHS), "--job-id", "net", "--watch"),
        )
        assert f"/{EPOCHS}: loss" in said, "no word of its epochs"
        assert "deep_learning, cnn_1d" in said

        job = await up.get("/api/ml/jobs/net/status")
        assert job["model_type"] == "deep_learning"
        place = f"/api/ml/models/{job['model_id']}/results"
        results = await up.get(place, lambda told: told["registered_name"])
        history = results["plan"]["history"]
        told = await up.get("/api/ml/models/list", lambda page: len(page["items"]) == 1)
        assert told["items"][0]["architecture"] == results["architecture"]
        for name in ("train_loss", "validation_loss", "learning_rate"):
            points = [(entry["epoch"], entry[name]) for entry in history]
            assert curve(up.settings.data_dir / "mlflow.db", f"history/{name}") == points

        again = await said_by(up, "rerun", job["model_id"])
        assert "DIFFERENT" not in again
        assert "weights.safetensors" in again
        assert "numbers are the same to the last digit" in again

    pictures = await read_pictures(ObjectStore.open(up.settings.artifacts), results)
    page = render(report_data(results, None, pictures, Place("/model", "/data")))
    assert pictures.problems == ()
    assert "learning_curve" in [picture.name for picture in pictures.shown]
    assert "Learning curve" in page
    assert "--input-shape 3x20" in page
