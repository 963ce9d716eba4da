"""`make soak`: SOAK_JOBS (1000), SOAK_SEED (a random one) and SOAK_FORM (long or short) say how much of it."""

import asyncio
import logging
import os
import random
import sys
import tempfile
from pathlib import Path

import pytest
from support.apache_kafka import require_kafka

from . import plan, report, verdict
from .performance import perform


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is known here
    jobs = int(os.environ.get("SOAK_JOBS", "1000"))
    seed = int(os.environ.get("SOAK_SEED", random.randrange(10_000)))
    chosen = {"long": plan.long, "short": plan.short}[os.environ.get("SOAK_FORM", "long")](jobs, seed)
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    print(f"soak: {jobs} jobs, SOAK_SEED={seed}, about {chosen.traffic_s / 60:.0f} min; logs in {folder}", flush=True)
    try:
        require_kafka()
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        print(f"soak: {missing}", file=sys.stderr)
        return 2
    evidence = asyncio.run(perform(folder, chosen))
    found = verdict.judge(evidence)
    print(report.written(chosen, evidence, found))
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
