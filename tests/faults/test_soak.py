"""The short form of `make soak`: every fault once, and every promise kept. The whole is in tests/soak."""

import os
from pathlib import Path

import pytest
from soak import plan, report, verdict
from soak.performance import perform
from support.apache_kafka import require_kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

_JOBS = 64


async def test_no_fault_breaks_a_promise(tmp_path: Path) -> None:
    require_kafka()
    chosen = plan.short(_JOBS, int(os.environ.get("SOAK_SEED", "1")))
    evidence = await perform(tmp_path, chosen)
    found = verdict.judge(evidence)
    print(report.written(chosen, evidence, found))
    assert found.is_good, {name: broken for name, broken in found.broken.items() if broken}
