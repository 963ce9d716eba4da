"""One soak from beginning to end: set the stage, let traffic and faults happen, wait, collect the evidence, judge."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

from infra.cli.main import app

from . import collecting, ledger, processes, wishes
from .evidence import Evidence
from .faults import Faults
from .listening import listening
from .plan import Plan
from .stage import Stage, set_up
from .traffic import publish


async def perform(folder: Path, plan: Plan) -> Evidence:
    """The evidence of one soak; nothing of the house runs any more."""
    begun = monotonic()
    async with set_up(folder, plan) as stage:
        _say(f"on stage after {monotonic() - begun:.0f} s")
        evidence = await _play(stage)
    _say(f"off stage after {monotonic() - begun:.0f} s")
    left_over = await _left_over(folder)
    return replace(evidence, left_over=left_over, seconds=monotonic() - begun)


async def _play(stage: Stage) -> Evidence:
    plan = stage.plan
    asked = wishes.wishes(plan.jobs, plan.seed, plan.traffic_s, stage.uploads, leave_out=_not_there_yet())
    async with listening(stage.settings) as ear:
        await asyncio.gather(publish(stage.settings, asked), Faults(stage).happen())
        subjects = {wish.subject for wish in asked if wish.is_job or wish.is_upload}
        _say(f"traffic and faults are over, {len(subjects - ear.ended)} have not ended yet")
        await ear.all_ended(subjects, plan.quiet_s)
    _say("collecting the evidence")
    return await _collect(stage, asked)


async def _collect(stage: Stage, asked: list[wishes.Wish]) -> Evidence:
    settings = stage.settings
    left_in_jobs = await _until_none(lambda: processes.in_folders_of_jobs(settings.work_dir))
    log, letters = await collecting.read_log(settings)
    evidence = Evidence(
        wishes=asked,
        log=log,
        letters=letters,
        store=collecting.read_store(Path(settings.artifacts)),
        runs=ledger.read(stage.ledger.read_text()),
        diary=stage.diary,
        rows=[],
        session_s=stage.plan.session_s,
        max_attempts=settings.max_attempts,
        left_in_jobs=left_in_jobs,
    )
    rows = await collecting.read_settled_rows(settings, len(evidence.ends))
    models = await collecting.read_rows(settings, "/api/ml/models/list")
    return replace(evidence, rows=rows, models=models, rebuild=await _rebuild(stage))


async def _rebuild(stage: Stage) -> dict[str, Any] | None:
    """What `omniscope-ml rebuild` says; None where this version has no such command."""
    if "rebuild" not in {command.name or command.callback.__name__ for command in app.registered_commands}:
        return None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "rebuild", "--json"),
        env=stage.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    told, complaint = await process.communicate()
    return json.loads(told) if process.returncode == 0 else {"identical": False, "complaint": complaint.decode()}


async def _left_over(folder: Path) -> list[str]:
    return await _until_none(lambda: processes.of_the_house(folder))


async def _until_none(look: Callable[[], list[str]]) -> list[str]:
    """What is there; what is about to end is given a moment for it."""
    for _ in range(50):
        if not look():
            break
        await asyncio.sleep(0.1)
    return look()


def _say(what: str) -> None:
    print(f"soak: {what}", flush=True)


def _not_there_yet() -> tuple[str, ...]:
    """Recipes whose requests no service answers in this version."""
    return () if find_spec("infra.kafka.canceller") or find_spec("infra.jobs.cancellation") else ("cancelled",)
