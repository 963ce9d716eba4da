"""What a network learned on a larger cohort is worth on a smaller one: against the same network from scratch.

    python -m benchmarks cohorts [--pairs blood_split,blood_batch] [--rows 30,60,100] [--seeds 10] [--jobs 2]

For each pair of cohorts (benchmarks/cohorts_data.py), each number of training rows and each seed: a network of the
larger cohort transferred to the smaller, the same architecture from scratch, and logistic regression, on the same
training rows and asked about all other rows of the smaller cohort. A seed gives other training rows and other random
numbers; --sources networks of the larger cohort, of as many seeds, serve in turn. Each run is a process of its own with
one core. Runs are kept in benchmarks/.cache/cohorts, so that an interrupted table goes on where it was; --fresh throws
away those that other code made, --report only prints what is there.

Printed: mean scores, the gain of transfer over from scratch and over the linear model with a 95 % interval, and how
many runs warned that transfer did not pay. The interval is Student's over seeds (other rows, other random numbers).
The seeds' rows come from one cohort and overlap: it speaks of this pair of cohorts, not of others.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from scipy import stats

from events.requests import DeepLearningRequested

from .automl_job import ONE_CORE
from .cohorts_data import PAIRS
from .cohorts_run import COHORT_ROOMS
from .networks_run import code
from .paired import Measure, loss, points
from .wheels import CACHE

ARMS = ("transfer", "scratch", "linear")
_KEPT = CACHE / "cohorts"
_LONGEST_RUN_S = 3600
_MEASURES: dict[str, Measure] = {"points (1 % of accuracy)": points, "log-loss (nats)": loss}

Runs = list[dict[str, Any]]

#: How sentences begin that say transfer did not pay, or may not have.
_WARNINGS = ("Transfer did not pay", "Transfer made no", "Whether transfer paid")


def main() -> None:
    warnings.simplefilter("ignore")
    asked = _asked()
    if not asked.report:
        _sources(asked)
        _targets(asked)
    for name in asked.pairs:
        pair = PAIRS[name]()
        print(f"\n{name} ({pair.label}): {pair.about}")
        for title, measure in _MEASURES.items():
            _print(title, measure, {rows: _read(name, rows, asked) for rows in asked.rows})


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A network of a larger cohort, transferred to a smaller one.")
    parser.add_argument("--pairs", type=_names, default=list(PAIRS), help=", ".join(PAIRS))
    parser.add_argument("--rows", type=lambda told: [int(n) for n in told.split(",")], default=[30, 60, 100])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sources", type=int, default=3, help="networks of the larger cohort")
    architectures = get_args(DeepLearningRequested.model_fields["architecture"].annotation)
    parser.add_argument("--architecture", choices=architectures, default="cnn_1d")
    parser.add_argument("--layers", default="auto", help="fine_tune_layers: a number, or auto")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side, of one core each")
    parser.add_argument("--fresh", action="store_true", help="make runs again that other code made")
    parser.add_argument("--report", action="store_true", help="run nothing, print what is there")
    return parser.parse_args()


def _names(told: str) -> list[str]:
    if unknown := [name for name in told.split(",") if name not in PAIRS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return told.split(",")


def _sources(asked: argparse.Namespace) -> None:
    wanted = [
        ("source", name, str(seed), asked.architecture, str(_source(name, seed, asked)))
        for name in asked.pairs
        for seed in range(min(asked.sources, asked.seeds))
        if not _source(name, seed, asked).exists()
    ]
    for name in dict.fromkeys(name for _, name, *_ in wanted):
        PAIRS[name]()  # Wheels are fetched here, once, and not by several runs at a time.
    _carry_out(wanted, asked)


def _targets(asked: argparse.Namespace) -> None:
    wanted = []
    for seed in range(asked.seeds):
        for name in asked.pairs:
            source = _source(name, seed % asked.sources, asked)
            for rows in asked.rows:
                path = _kept(name, rows, seed, asked)
                if source.exists() and not _is_there(path, asked):
                    wanted.append(("target", name, str(rows), str(seed), asked.layers, str(source), str(path)))
    _carry_out(wanted, asked)


def _source(name: str, seed: int, asked: argparse.Namespace) -> Path:
    """Networks of the larger cohort are of the code that made them: another code makes others."""
    return _KEPT / f"{name}-{asked.architecture}-{seed}-{code()}"


def _kept(name: str, rows: int, seed: int, asked: argparse.Namespace) -> Path:
    return _KEPT / f"{name}-{asked.architecture}-{asked.layers}-{rows}-{seed}.json"


def _is_there(path: Path, asked: argparse.Namespace) -> bool:
    return path.exists() and not (asked.fresh and json.loads(path.read_text())["code"] != code(COHORT_ROOMS))


def _carry_out(runs: Iterable[tuple[str, ...]], asked: argparse.Namespace) -> None:
    with ThreadPoolExecutor(asked.jobs) as threads:
        list(threads.map(_carry_out_one, runs))


def _carry_out_one(run: tuple[str, ...]) -> None:
    """Starts the run's process and waits. What ends without an answer is told, and missing in the table."""
    told = partial(print, *run[:4], file=sys.stderr, flush=True)
    told("…")
    command = [sys.executable, "-m", "benchmarks.cohorts_run", *run]
    try:
        done = subprocess.run(
            command, env={**os.environ, **ONE_CORE}, capture_output=True, text=True, timeout=_LONGEST_RUN_S
        )
    except subprocess.TimeoutExpired:
        return told(f"not ended after {_LONGEST_RUN_S} s")
    if done.returncode:
        told(f"failed ({done.returncode}): {(done.stderr.strip() or 'no word').splitlines()[-1]}")
    return None


def _read(name: str, rows: int, asked: argparse.Namespace) -> Runs:
    paths = (_kept(name, rows, seed, asked) for seed in range(asked.seeds))
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _print(title: str, measure: Measure, found: dict[int, Runs]) -> None:
    print(f"  {title}; gains positive: transfer is better")
    print(
        f"  {'rows':>6}{'seeds':>6}{''.join(f'{arm:>10}' for arm in ARMS)}   "
        f"{'gain over scratch':28}{'gain over linear':28}{'warned':>6}{'seconds':>9}"
    )
    for runs in found.values():
        if runs:
            print(f"  {_line(runs, measure)}", flush=True)


def _line(runs: Runs, measure: Measure) -> str:
    scores = {arm: np.array([measure(np.array(run["y"]), run["said"][arm])[0] for run in runs]) for arm in ARMS}
    gains = "".join(f"{_gain(scores['transfer'] - scores[other]):28}" for other in ARMS[1:])
    shown = "".join(f"{abs(scores[arm].mean()):10.3f}" for arm in ARMS)
    n_train = np.mean([run["n_train"] for run in runs])
    warned = sum(any(sentence.startswith(_WARNINGS) for sentence in run.get("warnings", ())) for run in runs)
    seconds = np.median([run["seconds"]["transfer"] for run in runs])
    return f"{n_train:6.0f}{len(runs):6d}{shown}   {gains}{warned:6d}{seconds:9.1f}"


def _gain(differences: Any) -> str:
    """The mean, with Student's interval over seeds."""
    n = len(differences)
    if n < 2:
        return f"{differences.mean():+7.3f}"
    reach = stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return f"{differences.mean():+7.3f} [{differences.mean() - reach:+7.3f}, {differences.mean() + reach:+7.3f}]"


if __name__ == "__main__":
    main()
