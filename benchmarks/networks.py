"""Five network architectures and AutoML against the linear model, on six real tables.

    python -m benchmarks networks [--seeds 10] [--tables digits,khan] [--arms lstm,linear] [--jobs 2]

The networks are asked for as {dataset_id, target_column, architecture} with all defaults (true sequences and images
with their input_shape), AutoML as `good` with --seconds 30, for the first --automl-seeds 5 of the --seeds 10. A seed
gives other training and test rows. Each run is a process of its own on one core. Seconds are those that the core works
for it, AutoML's limit too: so it gets its share on a busy machine. Runs are kept in benchmarks/.cache/networks, so that
an interrupted table goes on where it was; --fresh makes networks' runs again that other code made, --report only prints
what is there.

Printed: mean scores on the test rows, differences to the linear model and to AutoML with 95 % intervals from 5,000
paired resamples of test rows within each seed, the median of the seconds that a whole job worked, and whether the
demanded bound holds: every architecture above −3 points on pbmc68k and khan, above 0 on digits and the time series.
"""

import argparse
import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from events.requests import DeepLearningRequested

from .automl_job import ONE_CORE
from .networks_data import TABLES
from .networks_run import apart, code
from .paired import Measure, differences, interval, loss, points
from .wheels import CACHE

ARCHITECTURES: tuple[str, ...] = get_args(DeepLearningRequested.model_fields["architecture"].annotation)
ARMS = ("linear", "automl", *ARCHITECTURES)
#: osu_leaf only by name: its series are four times as long.
_USUAL = tuple(name for name in TABLES if name != "osu_leaf")
_KEPT = CACHE / "networks"
_MEASURES: dict[str, Measure] = {
    "points (1 % of accuracy, 0.01 of R²)": points,
    "log-loss (RMSE in standard deviations for tecator)": loss,
}


def main() -> None:
    asked = _asked()
    if not asked.report:
        wanted = [
            (table, seed, arm)
            for seed in range(asked.seeds)
            for table in asked.tables
            for arm in asked.arms
            if seed < _n_seeds(arm, asked)
        ]
        _carry_out([run for run in wanted if not _is_there(*run, asked)], asked)
    found = {table: {arm: _read(table, arm, asked) for arm in asked.arms} for table in asked.tables}
    print(f"AutoML: good, {asked.seconds} s on one core, the first {_n_seeds('automl', asked)} of {asked.seeds} seeds;")
    print("its differences to others are of the seeds that both have.")
    for title, measure in _MEASURES.items():
        _print(title, measure, found)
    _print_gaps(found, asked)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Networks and AutoML against the linear model.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--automl-seeds", type=int, default=5, help="AutoML takes longer than all the others together")
    parser.add_argument("--tables", type=_names(TABLES), default=list(_USUAL), help=", ".join(TABLES))
    parser.add_argument("--arms", type=_names(ARMS), default=list(ARMS), help=", ".join(ARMS))
    parser.add_argument("--seconds", type=int, default=30, help="AutoML's time limit")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side, of one core each")
    parser.add_argument("--fresh", action="store_true", help="make networks' runs again that other code made")
    parser.add_argument("--report", action="store_true", help="run nothing, print what is there")
    return parser.parse_args()


def _n_seeds(arm: str, asked: argparse.Namespace) -> int:
    return int(min(asked.seeds, asked.automl_seeds) if arm == "automl" else asked.seeds)


def _names(known: Any) -> Any:
    def parse(told: str) -> list[str]:
        names = told.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return names

    return parse


def _kept(table: str, seed: int, arm: str, asked: argparse.Namespace) -> Path:
    return _KEPT / f"{table}-{seed}-{arm}{f'-good-{asked.seconds}s' if arm == 'automl' else ''}.json"


def _is_there(table: str, seed: int, arm: str, asked: argparse.Namespace) -> bool:
    path = _kept(table, seed, arm, asked)
    if not path.exists():
        return False
    return not (asked.fresh and arm in ARCHITECTURES and json.loads(path.read_text())["code"] != code())


def _carry_out(missing: list[tuple[str, int, str]], asked: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    os.environ |= ONE_CORE  # for the processes: their libraries read it
    for table in dict.fromkeys(table for table, *_ in missing):
        TABLES[table].read()  # Wheels are fetched here, once, and not by several runs at a time.
    with ThreadPoolExecutor(asked.jobs) as threads:
        list(threads.map(partial(_carry_out_one, asked), missing))


def _carry_out_one(asked: argparse.Namespace, run: tuple[str, int, str]) -> None:
    """What ends without an answer is told, and missing in the table."""
    path = _kept(*run, asked)
    path.parent.mkdir(parents=True, exist_ok=True)
    errors = path.with_suffix(".errors")
    table, seed, arm = run
    print(f"{table}, seed {seed}, {arm} …", file=sys.stderr, flush=True)
    if not apart(table, seed, arm, asked.seconds, path, errors):
        last = (errors.read_text().strip() or "no word").splitlines()[-1]
        print(f"{table}, seed {seed}, {arm} failed: {last}", file=sys.stderr, flush=True)
    else:
        errors.unlink()


def _read(table: str, arm: str, asked: argparse.Namespace) -> dict[int, Any]:
    paths = {seed: _kept(table, seed, arm, asked) for seed in range(asked.seeds)}
    return {seed: json.loads(path.read_text()) for seed, path in paths.items() if path.exists()}


def _print(title: str, measure: Measure, found: dict[str, dict[str, dict[int, Any]]]) -> None:
    print(f"\n{title}: means over seeds, differences with 95 % intervals; positive: better")
    heads = f"{'seeds':>6}{'score':>9}   {'to the linear model':27}{'to AutoML':27}{'core s':>8}"
    print(f"{'table':14}{'arm':12}{heads}{'  bound' if measure is points else ''}")
    for table, arms in found.items():
        for arm, runs in arms.items():
            if runs:
                print(f"{table:14}{arm:12}{_line(table, arm, arms, measure)}".rstrip(), flush=True)


def _line(table: str, arm: str, arms: dict[str, dict[int, Any]], measure: Measure) -> str:
    runs = arms[arm]
    mean = np.mean([measure(np.array(run["y"]), run["said"])[0] for run in runs.values()])
    to_linear, to_automl = (_difference(runs, arms.get(other, {}), measure) for other in ("linear", "automl"))
    seconds = np.median([run["seconds"] for run in runs.values()])
    shown = "".join(
        f"{'' if told is None else '{:+7.2f} [{:+7.2f}, {:+7.2f}]'.format(*told):27}"
        for told in (None if arm == "linear" else to_linear, None if arm in ("linear", "automl") else to_automl)
    )
    bound = _bound(table, arm, to_linear) if measure is points else ""
    return f"{len(runs):6d}{abs(mean):9.3f}   {shown}{seconds:8.1f}  {bound}"


def _difference(runs: dict[int, Any], others: dict[int, Any], measure: Measure) -> tuple[float, float, float] | None:
    """On the seeds that both have: the difference itself, and its interval."""
    both = sorted(runs.keys() & others.keys())
    if not both:
        return None
    assert all(runs[seed]["y"] == others[seed]["y"] for seed in both), "not the same test rows"
    pairs = [(np.array(runs[seed]["y"]), runs[seed]["said"], others[seed]["said"]) for seed in both]
    itself = np.mean([measure(y, first)[0] - measure(y, second)[0] for y, first, second in pairs])
    return float(itself), *interval(differences(pairs, measure))


def _bound(table: str, arm: str, to_linear: tuple[float, float, float] | None) -> str:
    demand = TABLES[table].demand
    if demand is None or to_linear is None or arm not in ARCHITECTURES:
        return ""
    _, low, _ = to_linear
    # A network may be just as good as demanded where it may lie behind, but has to be better where it must.
    return "holds" if (low > 0 if demand == 0 else low >= demand) else "NOT HELD"


def _print_gaps(found: dict[str, dict[str, dict[int, Any]]], asked: argparse.Namespace) -> None:
    """How many runs are missing, and whether runs of different code stand side by side."""
    wanted = sum(_n_seeds(arm, asked) for arms in found.values() for arm in arms)
    made = sum(len(runs) for arms in found.values() for runs in arms.values())
    if made < wanted:
        print(f"\n{made} of {wanted} runs are there")
    versions = {run["code"] for arms in found.values() for arm in ARCHITECTURES for run in arms.get(arm, {}).values()}
    if versions - {code()}:
        print(f"\nnetworks' runs are of {len(versions)} states of the code, not all of the present one: --fresh")


if __name__ == "__main__":
    main()
