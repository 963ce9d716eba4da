"""`omniscope-ml try` for real: from nothing running to a report, and again beside a running `up`."""

import asyncio
import random
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.broker import free_port
from support.up import environment, running_up

from infra.report.rendering import is_ours
from infra.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

QUICK = ("--target", "outcome", "--time-limit", "5", "--quality", "medium")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two measurements of which one tells the outcome, four samples of each patient."""
    chance = random.Random(0)
    path = tmp_path / "cohort.csv"
    with path.open("w") as file:
        file.write("patient,<b>gene,noise,outcome\n")
        for row in range(80):
            sick = row % 2
            told = chance.gauss(3 * sick, 1), chance.random(), ("well", "ill")[sick]
            file.write(f"p{row // 4},{told[0]:.4f},{told[1]:.4f},{told[2]}\n")
    return path


async def attempt(settings: Settings, folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `omniscope-ml try WORDS` in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "try", *words),
        cwd=folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def houses(settings: Settings) -> list[psutil.Process]:
    """Every process that works on this data directory."""

    def ours(process: psutil.Process) -> bool:
        try:
            return process.environ().get("DATA_DIR") == str(settings.data_dir)
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if ours(process)]


async def test_from_nothing_to_a_report_and_nothing_is_left(tmp_path: Path, table: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", embedded_kafka_port=free_port(), api_port=free_port(), topic_partitions=1
    )
    code, out, err = await attempt(settings, tmp_path, table.name, *QUICK, "--group", "patient")
    assert code == 0, err
    page = (tmp_path / "cohort-report.html").read_text()
    assert str(tmp_path / "cohort-report.html") in out
    assert "80 rows, 4 columns" in out
    assert "log_loss *" in out
    assert is_ours(tmp_path / "cohort-report.html")
    assert "Predicting «outcome»" in page
    assert "All rows of one «patient» are on one side." in page
    assert re.search(r'<tr class="primary">\s*<th scope="row">Log-loss.*?<td class="number">\s*\d\.\d{3}', page, re.S)
    (model,) = re.findall(r"load_model\(&#39;(/.*?)&#39;\)", page)
    assert (Path(model) / "MLmodel").is_file()
    assert houses(settings) == []


async def test_a_running_house_is_used_and_left_as_it_is(tmp_path: Path, table: Path) -> None:
    async with running_up(tmp_path, "--kinds", "automl,datasets") as up:
        # Told nothing of its ports: the lock says where it answers.
        settings = up.settings.model_copy(update={"api_port": free_port(), "embedded_kafka_port": free_port()})
        code, out, err = await attempt(settings, tmp_path, table.name, *QUICK, "--report", "first.html")
        assert code == 0, err
        assert f"Using the `up` that runs on {settings.data_dir} (process {up.process.pid})" in out
        assert (tmp_path / "first.html").is_file()

        code, out, err = await attempt(settings, tmp_path, table.name, "--target", "outcomes")
        assert (code, out) == (1, "")
        assert err.startswith("omniscope-ml: the dataset has no column «outcomes»")
        assert "did you mean «outcome»?" in err
        assert len(err.splitlines()) == 1

        (model,) = await up.command("models")
        (dataset,) = await up.command("datasets")
        assert model["dataset_id"] == dataset["dataset_id"]
        assert up.process.returncode is None
