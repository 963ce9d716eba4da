"""What is added to a bare fit: packing, scores with intervals, a baseline, pictures, doubts, the search for rows.

    python -m benchmarks evaluation [--table pbmc68k] [--quality medium] [--seconds 20]

One job on one core, its seconds as its own record tells them.
"""

import argparse
import os
import subprocess
import sys
import warnings

from .automl_job import ONE_CORE, busy, train
from .referee_data import TABLES

_WHAT = {
    "pack": "pack the best model as MLflow's",
    "predict": "load it and score the test rows",
    "intervals": "scores with 95 % intervals",
    "baseline": "a plain model beside it",
    "pictures": "pictures",
    "suspicions": "doubts about columns",
    "scan": "look for rows in the artifact",
}
_GOAL_S = 5.0


def main() -> None:
    asked = _arguments()
    if any(os.environ.get(name) != value for name, value in ONE_CORE.items()):
        again = [sys.executable, "-m", "benchmarks.evaluation", *sys.argv[1:]]
        sys.exit(subprocess.run(again, env={**os.environ, **ONE_CORE}).returncode)
    warnings.simplefilter("ignore")
    frame = TABLES[asked.table]()
    result, whole = train(frame, quality=asked.quality, time_limit=asked.seconds)
    seconds = result.record["seconds"]
    print(f"{asked.table}, {len(frame)} rows × {frame.shape[1] - 1} columns, quality {asked.quality}: {result.summary}")
    print(f"  {'fit':36}{seconds['fit']:8.2f} s  (limit {asked.seconds} s)")
    print(f"  {'read and split':36}{seconds['read']:8.2f} s")
    for phase in [*_WHAT, *(name for name in seconds if name not in (*_WHAT, "read", "fit"))]:
        print(f"  {_WHAT.get(phase, phase):36}{seconds[phase]:8.2f} s")
    print(f"  {'between these':36}{whole - sum(seconds.values()):8.2f} s")
    added = whole - seconds["read"] - seconds["fit"]
    print(f"  {'added to the bare fit':36}{added:8.2f} s  (goal: ≤ {_GOAL_S:g} s on pbmc68k) {busy()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What evaluation adds to a bare fit.")
    parser.add_argument("--table", choices=TABLES, default="pbmc68k")
    parser.add_argument("--quality", default="medium")
    parser.add_argument("--seconds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
