"""Ensembles against the member that somebody would have chosen without them.

    python -m benchmarks ensembles [--seeds 5] [--tables digits,planted] [--methods blending] [--report]

Members (see benchmarks/ensembles_members.py) are AutoML and networks on breast_cancer, digits, pbmc68k and diabetes, in
ensembles of three, four and six; and on a planted table three models of which each sees one of three causes. For each
table and seed the members are asked once, one ensemble is made by a whole job, and the other sizes and methods by the
same steps of it. A seed gives the table other training, combination and test rows, and the models other random numbers.
Members and what ensembles said are kept in benchmarks/.cache/ensembles: an interrupted run goes on where it was,
`--fresh` makes the ensembles again if their code has changed, `--report` prints what is there.

Printed, for each method: the mean score on the test rows, and the ensemble's differences to two members: the best on
the combination rows, and the best by its own validation score; with 95 % intervals from 5,000 paired resamples of test
rows within each seed. Pooled are the four real tables and all sizes. Demanded is that the lower bound of the difference
to the member by validation score is −0.5 points at least; the best on the combination rows is the harder opponent.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .automl_job import ONE_CORE
from .ensembles_members import KEPT, TABLES, ensure, members_of
from .ensembles_run import METHODS, ROOMS, run
from .networks_run import code, keep
from .paired import Measure, differences, interval, loss, points

_BOUND = -0.5
_MEASURES: dict[str, Measure] = {
    "points (1 % of accuracy, 0.01 of R²)": points,
    "log-loss (RMSE in standard deviations for diabetes)": loss,
}
Run = dict[str, Any]


def main() -> None:
    asked = _asked()
    if not asked.report:
        os.environ |= ONE_CORE
        for seed in range(asked.seeds):
            for table in asked.tables:
                _carry_out(table, seed, asked)
    for title, measure in _MEASURES.items():
        print(f"\n{title}; differences with 95 % intervals, positive: the ensemble is better")
        print(f"{'table':15}{'members':>8}  {'method':12}{'seeds':>6}{'score':>9}   {_WIDTH.format('to the best by')}")
        print(f"{'':52} {_WIDTH.format('combination rows')}{_WIDTH.format('validation score')}")
        _print(asked, measure)


_WIDTH = "{:28}"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ensembles against their best members.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", type=lambda told: told.split(","), default=list(TABLES), help=", ".join(TABLES))
    parser.add_argument("--methods", type=lambda told: told.split(","), default=list(METHODS), help=", ".join(METHODS))
    parser.add_argument("--fresh", action="store_true", help="make ensembles again that other code made")
    parser.add_argument("--report", action="store_true", help="run nothing, print what is there")
    return parser.parse_args()


def _kept(table: str, seed: int) -> Path:
    return KEPT / "runs" / f"{table}-{seed}.json"


def _carry_out(table: str, seed: int, asked: argparse.Namespace) -> None:
    """Everything of one table and seed, if it is not there yet."""
    path = _kept(table, seed)
    if path.exists() and not (asked.fresh and json.loads(path.read_text())["code"] != code(ROOMS)):
        return
    for name in members_of(table):
        print(f"{table}, seed {seed}, {name} …", file=sys.stderr, flush=True)
        ensure(table, seed, name)
    print(f"{table}, seed {seed}, ensembles …", file=sys.stderr, flush=True)
    keep(path, run(table, seed))


def _print(asked: argparse.Namespace, measure: Measure) -> None:
    pooled: dict[str, list[list[Any]]] = {}
    for table in asked.tables:
        paths = [_kept(table, seed) for seed in range(asked.seeds)]
        runs = [json.loads(path.read_text()) for path in paths if path.exists()]
        for of in runs[0]["said"] if runs else ():
            size, method = of.split(" ", 1)
            if method not in asked.methods:
                continue
            drawn = [_drawn(runs, of, by, measure) for by in ("combination", "validation")]
            if table != "planted":
                pooled.setdefault(method, []).append(drawn)
            score = np.mean([measure(np.array(run["y"]), run["said"][of])[0] for run in runs])
            told = "".join(_WIDTH.format(_told(*each)) for each in drawn)
            print(f"{table:15}{size:>8}  {method:12}{len(runs):6}{abs(score):9.3f}   {told}".rstrip(), flush=True)
    for method, parts in pooled.items():
        means = [tuple(sum(part[by][of] for part in parts) / len(parts) for of in range(2)) for by in range(2)]
        told = "".join(_WIDTH.format(_told(*mean)) for mean in means)
        held = interval(means[1][1])[0] >= _BOUND
        bound = ("holds" if held else "NOT HELD") if measure is points else ""
        print(f"{'pooled':15}{'':8}  {method:12}{'':15}   {told}{bound}".rstrip())


def _drawn(runs: list[Run], of: str, by: str, measure: Measure) -> tuple[float, Any]:
    """The difference to a member itself, mean over seeds, and its draws."""
    size = of.split(" ", 1)[0]
    pairs = [(np.array(run["y"]), run["said"][of], run["alone"][run["best"][size][by]]) for run in runs]
    itself = np.mean([measure(y, ours)[0] - measure(y, theirs)[0] for y, ours, theirs in pairs])
    return float(itself), differences(pairs, measure)


def _told(itself: float, drawn: Any) -> str:
    low, high = interval(drawn)
    return f"{itself:+7.3f} [{low:+7.3f}, {high:+7.3f}]"


if __name__ == "__main__":
    main()
