"""Whether a job keeps its time limit: all of it within limit × 1.1 + 10 s.

    python -m benchmarks time_limits [--repeats 1] [--limits 10 30 60] [--qualities medium good] [--tables wide …]

Each job is a process of its own with one core; its libraries are imported before its time begins, as on a worker. All
cells take about 12 minutes a repeat. Prints the seconds of each job, and for each limit their spread and the worst
share of what is allowed.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from .automl_job import ONE_CORE, busy, train
from .referee_data import breast_cancer, pbmc68k


def wide() -> pd.DataFrame:
    """200 rows, 20,000 columns of noise, the first five of which tell the target a little."""
    rng = np.random.default_rng(0)
    target = np.arange(200) % 2
    cells = rng.normal(size=(200, 20_000))
    cells[:, :5] += target[:, None]
    return pd.DataFrame(cells, columns=[f"g{i}" for i in range(20_000)]).assign(target=target)


TABLES: dict[str, Callable[[], pd.DataFrame]] = {"breast_cancer": breast_cancer, "pbmc68k": pbmc68k, "wide": wide}


def allowed(limit: float) -> float:
    """Seconds that a whole job may take."""
    return limit * 1.1 + 10


def main() -> None:
    asked = _arguments()
    if asked.one:
        return _one(asked.one)
    print(f"{'table':15}{'quality':9}{'limit':>6}{'fit':>8}{'whole':>8}{'allowed':>9}{'share':>7}  models")
    whole: dict[int, list[float]] = {limit: [] for limit in asked.limits}
    for repeat in range(asked.repeats):
        for table in asked.tables:
            for quality in asked.qualities:
                for limit in asked.limits:
                    told = _in_a_process(f"{table}/{quality}/{limit}/{repeat}")
                    whole[limit].append(told["whole"])
                    share = told["whole"] / allowed(limit)
                    print(
                        f"{table:15}{quality:9}{limit:6d}{told['fit']:8.1f}{told['whole']:8.1f}{allowed(limit):9.1f}"
                        f"{100 * share:6.0f} %  {told['models']}",
                        flush=True,
                    )
    for limit, seconds in whole.items():
        cuts = ", ".join(f"{cut:.1f}" for cut in np.percentile(seconds, [0, 50, 100]))
        print(f"limit {limit} s: least, median, most {cuts} s; at most {allowed(limit):.0f} s are allowed")
    worst = max(max(seconds) / allowed(limit) for limit, seconds in whole.items())
    print(f"worst: {100 * worst:.0f} % of what is allowed ({'kept' if worst <= 1 else 'NOT KEPT'}) {busy()}")
    return None


def _in_a_process(cell: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.time_limits", "--one", cell]
    done = subprocess.run(command, check=True, env={**os.environ, **ONE_CORE}, stdout=subprocess.PIPE)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _one(cell: str) -> None:
    warnings.simplefilter("ignore")
    table, quality, limit, seed = cell.split("/")
    result, whole = train(TABLES[table](), quality=quality, time_limit=int(limit), seed=int(seed))
    assert result.model is not None
    told = {"whole": whole, "fit": result.record["seconds"]["fit"], "models": len(result.model.plan["models"])}
    print(json.dumps(told))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Whether jobs keep their time limits.")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limits", type=int, nargs="+", default=[10, 30, 60])
    parser.add_argument("--qualities", nargs="+", default=["medium", "good"])
    parser.add_argument("--tables", choices=TABLES, nargs="+", default=list(TABLES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
