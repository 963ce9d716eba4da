"""Jobs in their processes: what a handler finds around itself, and what its end looks like from outside."""

import asyncio
import contextlib
import os
import shutil
import socket
from pathlib import Path

import pytest
import pytest_asyncio
from execution_handlers import FOLDER, children_of, everything, first_word, is_alive, log_of, outcome, task_for, until

from handlers.contract import Limits
from infra.execution.executor import ExecutorError
from infra.execution.local import LocalExecutor
from infra.execution.messages import FINAL

# One warm server for all: that jobs do not disturb each other is what it is for.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KAFKA_SASL_PASSWORD", "DATABASE_URL", "API_JWT_SECRET", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "secret")
        executor = LocalExecutor(preload=("execution_handlers", "numpy"), path=[FOLDER])
        await executor.warm()
    yield executor
    await executor.stop()


async def test_a_job_starts_tells_and_finishes(executor, tmp_path):
    task = task_for(tmp_path, "finish", number=7)
    started, progressed, finished = await everything(await executor.submit(task))
    assert (started.tag, progressed.tag, finished.tag) == ("started", "progressed", "finished")
    assert started.pid not in (os.getpid(), executor.warm_pid)
    assert (progressed.percent, progressed.message, progressed.eta_s) == (50, "half way", 1.5)
    assert progressed.metrics == {"auroc": 0.9}
    assert finished.summary == "number 7"
    assert (task.out_dir / "made.txt").read_text() == "made"
    assert task.keep_dir.is_dir()
    assert Path(finished.record["cwd"]) == task.out_dir
    assert task.out_dir.stat().st_mode & 0o077 == 0


async def test_the_final_message_is_there_for_a_later_reader_too(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "finish"))
    reader = asyncio.create_task(everything(run))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert (await everything(run))[-1].tag == "finished"
    assert [m.tag for m in await everything(run)] == ["finished"]


async def test_nothing_of_the_agent_reaches_a_job(executor, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        found = (await outcome(executor, task_for(tmp_path, "look"))).record
    environment = found["environment"]
    assert "secret" not in environment.values()
    assert not [name for name in environment if name.startswith(("KAFKA_", "AWS_", "API_", "DATABASE_"))]
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["GOMP_SPINCOUNT"] == "1000"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    sockets = [name for name in found["descriptors"].values() if name.startswith("socket:")]
    assert len(sockets) == 1, "the way back to the host and nothing else"
    assert found["session"]
    assert found["core"] <= 1
    assert found["threads"] == 1
    assert not {"pytest", "infra.execution.local", "infra.settings"} & set(found["modules"])


async def test_a_seed_decides_the_numbers(executor, tmp_path):
    records = [(await outcome(executor, task_for(tmp_path, "look", seed=seed))).record for seed in (1, 1, 2)]
    drawn = [(record["random"], record["numpy"]) for record in records]
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[2][0]
    assert drawn[0][1] != drawn[2][1]


@pytest.mark.parametrize(
    ("handler", "reason", "sentence"),
    [
        ("refuse", "target_missing", "column «outcome» is missing: name another target_column"),
        ("trip", "handler_error", "the handler stopped with ValueError (execution_handlers.py, line "),
        ("leave", "handler_error", "the handler stopped with SystemExit"),
        ("ask_too_much", "out_of_memory", "raise resources.memory_gb"),
        ("return_nothing", "handler_error", "the handler stopped with TypeError"),
        ("return_unspeakable", "handler_error", "the handler stopped with"),
        ("no_such_function", "kind_unavailable", "it is not there"),
        ("no.such.module:run", "kind_unavailable", "the module 'no' is missing"),
        ("speak_garbage", "handler_error", "no message"),
    ],
)
async def test_every_failure_has_a_reason_and_a_sentence_without_values(executor, tmp_path, handler, reason, sentence):
    final = await outcome(executor, task_for(tmp_path, handler))
    assert (final.tag, final.reason) == ("failed", reason)
    assert sentence in final.message
    assert "SECRET-PATIENT" not in final.message
    if handler == "trip":
        assert "could not convert string" in final.detail, "the log has what the person has not"


async def test_a_request_that_does_not_fit_its_model_names_the_field(executor, tmp_path):
    final = await outcome(executor, task_for(tmp_path, "finish", number="seven"))
    assert (final.reason, final.message.split(":")[0]) == ("invalid_field", "data.number")


async def test_death_without_a_word_is_a_crash_whatever_the_exit_code(executor, tmp_path):
    silent = await outcome(executor, task_for(tmp_path, "vanish", number=0))
    loud = await outcome(executor, task_for(tmp_path, "vanish", number=9))
    assert (silent.tag, silent.exit_code, silent.out_of_memory) == ("crashed", 0, False)
    assert (loud.tag, loud.exit_code, loud.detail) == ("crashed", 9, "the last words")


async def test_a_segmentation_fault_leaves_its_traceback_in_the_log(executor, tmp_path):
    task = task_for(tmp_path, "segfault")
    final = await outcome(executor, task)
    assert (final.tag, final.exit_code) == ("crashed", -11)
    assert "Segmentation fault" in final.detail
    assert "in segfault" in log_of(task)


async def test_ten_megabytes_of_output_become_a_short_log(executor, tmp_path):
    task = task_for(tmp_path, "print_much")
    assert (await outcome(executor, task)).tag == "finished"
    log = log_of(task)
    assert len(log) < 1_200_000
    assert log.startswith("the first line\n")
    assert "bytes left out" in log
    assert log.endswith("from a subprocess\nthe last line\n")


async def test_what_a_handler_prints_is_no_message(executor, tmp_path):
    final = await outcome(executor, task_for(tmp_path, "print_garbage"))
    assert (final.tag, final.summary) == ("finished", "honest")


async def test_a_flood_of_reports_is_thinned_and_keeps_the_first_and_the_last(executor, tmp_path):
    messages = await everything(await executor.submit(task_for(tmp_path, "report_much", number=100_000)))
    told = [m.message for m in messages if m.tag == "progressed"]
    seconds = messages[-1].record["seconds"]
    assert (told[0], told[-1]) == ("step 0", "step 99999")
    assert len(told) <= 20 * seconds + 3
    assert seconds < 10


async def test_the_last_report_before_a_silence_is_told_without_another(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "report_then_wait"))
    async for message in run.messages():
        if message.tag == "progressed" and message.message == "step 19":
            run.stop_softly()
    assert message.tag == "finished"


async def test_numbers_that_json_cannot_hold_are_left_out(executor, tmp_path):
    _, progressed, finished = await everything(await executor.submit(task_for(tmp_path, "report_nonsense")))
    assert progressed.metrics == {"good": 1.0}
    assert (progressed.percent, progressed.eta_s) == (0, None)
    assert (progressed.message, finished.summary) == ("a ? broken character",) * 2
    assert finished.record == {"nan": None}


async def test_a_checkpoint_is_told_after_the_report_before_it(executor, tmp_path):
    task = task_for(tmp_path, "save_checkpoint")
    tags = [m.tag for m in await everything(await executor.submit(task))]
    assert tags == ["started", "progressed", "checkpoint_saved", "finished"]
    assert (task.keep_dir / "state").read_text() == "1"


async def test_requests_and_results_may_be_large(executor, tmp_path):
    asked = await outcome(executor, task_for(tmp_path, "echo_size", text="x" * 5_000_000))
    told = await outcome(executor, task_for(tmp_path, "return_much", number=20_000))
    assert asked.summary == "5000000"
    assert len(told.record["values"]) == 20_000


async def test_threads_left_behind_do_not_hold_up_the_end(executor, tmp_path):
    assert (await outcome(executor, task_for(tmp_path, "leave_threads"))).summary == "threads left"


async def test_a_fork_that_returns_as_well_is_not_heard(executor, tmp_path):
    messages = await everything(await executor.submit(task_for(tmp_path, "fork_and_return_twice")))
    assert [m.tag for m in messages] == ["started", "progressed", "finished"]


async def test_a_handler_opens_no_network_connection(executor, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        final = await outcome(executor, task_for(tmp_path, "connect", number=server.getsockname()[1]))
    assert final.summary.count("opens no network connection") == 2
    assert final.record["local"] == "x"


async def test_a_soft_stop_lets_the_handler_finish(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "hang_politely"))
    await first_word(run)
    run.stop_softly()
    run.stop_softly()
    assert (await everything(run))[-1].summary == "stopped softly"
    run.stop_softly()


@pytest.mark.parametrize("handler", ["hang", "freeze"])
async def test_kill_returns_when_the_process_is_gone(executor, tmp_path, handler):
    run = await executor.submit(task_for(tmp_path, handler))
    job = await first_word(run)
    await asyncio.gather(run.kill(), run.kill())
    assert not is_alive(job)
    assert [m.tag for m in await everything(run)] == ["killed"]
    await run.kill()


async def test_kill_after_the_end_changes_nothing(executor, tmp_path):
    run = await executor.submit(task_for(tmp_path, "finish"))
    assert (await everything(run))[-1].tag == "finished"
    await run.kill()
    assert (await everything(run))[-1].tag == "finished"


@pytest.mark.parametrize("where", ["", "child"])
async def test_a_job_above_its_memory_limit_ends_with_evidence(executor, tmp_path, where):
    task = task_for(tmp_path, "take_memory", Limits(memory_gb=0.2), number=400, text=where)
    final = await outcome(executor, task)
    assert (final.tag, final.out_of_memory, final.exit_code) == ("crashed", True, -9)


async def test_a_job_within_its_memory_limit_is_left_alone(executor, tmp_path):
    task = task_for(tmp_path, "take_memory", Limits(memory_gb=0.5), number=100, text="briefly")
    assert (await outcome(executor, task)).tag == "finished"


async def test_eight_jobs_at_a_time_each_end_once(executor, tmp_path):
    runs = [everything(await executor.submit(task_for(tmp_path, "finish", number=n))) for n in range(8)]
    ended = await asyncio.gather(*runs)
    assert [messages[-1].summary for messages in ended] == [f"number {n}" for n in range(8)]
    assert all(sum(isinstance(m, FINAL) for m in messages) == 1 for messages in ended)


async def test_fifty_jobs_leave_nothing_behind(executor, tmp_path):
    await outcome(executor, task_for(tmp_path, "finish"))

    before = await held_by(executor)
    for number in range(50):
        assert (await outcome(executor, task_for(tmp_path, "finish", number=number))).summary == f"number {number}"
    assert await held_by(executor) == before


async def held_by(executor: LocalExecutor) -> tuple[list[str], list[str]]:
    """The kinds of descriptors of the agent and of the warm server, once the last guard is gone."""
    server = executor.warm_pid
    await until(lambda: len(children_of(server)) == 1 and is_idle(server))  # one is ready for the next job
    return descriptors_of("self"), descriptors_of(server)


def is_idle(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def descriptors_of(pid: object) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(entry.readlink().name.split(":")[0])
    return sorted(found)


async def test_a_module_that_cannot_be_imported_is_named():
    executor = LocalExecutor(preload=("json", "no_such_module"))
    await executor.start()
    with pytest.raises(ExecutorError, match="no_such_module cannot be imported: ModuleNotFoundError"):
        await executor.warm()
    await executor.stop()


async def test_a_directory_that_cannot_be_made_is_not_the_jobs_fault(executor, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExecutorError, match=r"cannot be started: .*Not a directory"):
        await executor.submit(task_for(tmp_path / "file", "finish"))


async def test_stop_ends_what_runs_and_refuses_what_comes(tmp_path):
    executor = LocalExecutor(preload=("execution_handlers",), path=[FOLDER])
    await executor.start()
    run = await executor.submit(task_for(tmp_path, "hang"))
    job, server = await first_word(run), executor.warm_pid
    await executor.stop()
    assert not is_alive(job)
    assert not is_alive(server)
    assert (await everything(run))[-1].tag == "killed"
    with pytest.raises(ExecutorError, match="stopped"):
        await executor.submit(task_for(tmp_path, "finish"))


async def test_stop_does_not_wait_for_the_warm_up(tmp_path):
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(3600)")
    executor = LocalExecutor(preload=("slow_to_import",), path=[tmp_path])
    await executor.start()
    submitted = asyncio.create_task(executor.submit(task_for(tmp_path, "finish")))
    await until(lambda: executor.warm_pid)
    await executor.stop()
    with pytest.raises(ExecutorError):
        await submitted


async def test_a_submit_that_is_cancelled_leaves_no_job(executor, tmp_path):
    task = task_for(tmp_path, "hang")
    submitted = asyncio.create_task(executor.submit(task))
    await asyncio.sleep(0)
    submitted.cancel()
    await asyncio.gather(submitted, return_exceptions=True)
    assert submitted.cancelled()
    shutil.rmtree(task.out_dir.parent)  # as whoever cancelled it clears up
    await executor.warm()
    assert not task.out_dir.parent.exists(), "it was started after all"
    await until(lambda: len(children_of(executor.warm_pid)) == 1)  # ready for the next job
