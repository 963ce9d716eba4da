"""The host without asyncio, as a Ray worker uses it, and a warm server with everything that training needs."""

import pytest
from execution_handlers import FOLDER, task_for

from events.topics import JobKind
from handlers.contract import Limits
from handlers.registry import HANDLERS
from infra.execution.host import Host


def told_by(job) -> list:
    messages = []
    while not job.ended:
        assert job.wait(60)
        messages += job.read()
    job.close()
    return messages


@pytest.fixture
def host():
    host = Host(preload=("execution_handlers",), path=[FOLDER])
    yield host
    host.stop()


def test_a_job_is_followed_without_a_loop(host, tmp_path):
    messages = told_by(host.launch(task_for(tmp_path, "finish", number=7)))
    assert [m.tag for m in messages] == ["started", "progressed", "finished"]
    assert messages[-1].summary == "number 7"


def test_a_wait_ends_in_time_and_a_kill_is_told(host, tmp_path):
    job = host.launch(task_for(tmp_path, "hang"))
    heard = []
    while not any(m.tag == "progressed" for m in heard):
        job.wait(60)
        heard += job.read()
    assert not job.wait(0.01)
    job.kill()
    assert told_by(job)[-1].tag == "killed"


def test_letting_go_of_a_job_ends_it(host, tmp_path):
    task = task_for(tmp_path, "hang_politely")
    host.launch(task).close()
    host.prepare()
    assert told_by(host.launch(task_for(tmp_path, "finish")))[-1].tag == "finished"


@pytest.mark.slow
def test_what_training_preloads_is_only_imported_and_obeys_seed_and_slot(tmp_path):
    host = Host(preload=("execution_handlers", *HANDLERS[JobKind.AUTOML].preload), path=[FOLDER])
    try:
        assert host.start().threads == 1, "a preloaded module runs code: children of a threaded process may hang"
        looks = [
            told_by(host.launch(task_for(tmp_path, "look", Limits(cpus=cpus), seed=seed)))[-1].record
            for cpus, seed in ((1, 5), (2, 5), (1, 6))
        ]
    finally:
        host.stop()
    assert "autogluon.tabular" in looks[0]["modules"]
    assert [look["torch_threads"] for look in looks] == [1, 2, 1]
    assert looks[0]["torch"] == looks[1]["torch"] != looks[2]["torch"]
    assert [look["environment"]["OMP_NUM_THREADS"] for look in looks] == ["1", "2", "1"]
