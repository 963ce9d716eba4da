"""How exact explanations are, and how long they take beside shap's and lime's.

    python -m benchmarks explanations [--quick] [--only exactness|speed] [--samples 100] [--shapes 30x2 765x10 …]

Exactness: the largest error of any value against all subsets of at most 12 features, reckoned by a few lines that
only ask a model's own predict_proba or predict. Speed: 100 samples against 100 background rows, process seconds
of one core. shap's Permutation (its default, 2 p + 1 evaluations a permutation and at least one) and Kernel
explainers and lime's loop are run on a few samples and scaled linearly to all; the Tree explainer is run on all.
shap's Tree explainer is right in margins for boosters, in answers only for forests and numbers.
"""

import argparse
import warnings
from time import process_time

import numpy as np

from .explanations_models import EXACTNESS, Measured, model_parts
from .explanations_speed import Shape, measure

_GOAL_ERROR, _GOAL_RATIO = 1e-6, 100


def _exactness(quick: bool) -> bool:
    features, rows = (6, 3) if quick else (11, 4)
    print(f"largest error against all {1 << features:,} subsets of {features} features; goal ≤ {_GOAL_ERROR:g}")
    print(f"  {'model':16}{'answers':12}{'max error':>11}{'additivity':>12}  said")
    good = True
    for problem in ("binary", "multiclass", "regression"):
        for name in EXACTNESS:
            found: Measured = model_parts(name, problem, features, rows, 6 if quick else 20)
            good &= found.error <= _GOAL_ERROR
            mark = "" if found.error <= _GOAL_ERROR else "  OVER THE GOAL"
            print(f"  {name:16}{problem:12}{found.error:11.1e}{found.additivity:12.1e}  {found.said}{mark}", flush=True)
    return good


def _speed(shapes: list[Shape], samples: int, quick: bool) -> bool:
    print(f"\nseconds for {samples} samples (one core); in brackets how many times ours; ~ scaled from fewer samples")
    good = True
    for shape in shapes:
        for line in measure(shape, samples, quick):
            others = "  ".join(
                f"{name} {seconds:8.1f} s ({seconds / line.ours:6.1f}×)" for name, seconds in line.others.items()
            )
            print(f"  {shape!s:8}{line.model:14}ours {line.ours:7.2f} s  {others}", flush=True)
            print(f"  {'':22}{line.said}")
            agnostic = [line.others[name] for name in ("~Permutation", "~Kernel") if name in line.others]
            if shape == Shape(765, 10):
                good &= min(agnostic) / line.ours >= _GOAL_RATIO
    return good


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks explanations")
    parser.add_argument("--quick", action="store_true", help="a minute: fewer features, samples and models")
    parser.add_argument("--only", choices=("exactness", "speed"))
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--shapes", nargs="*", default=["30x2", "30x10", "765x2", "765x10", "5000x2", "5000x10"])
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")  # of the libraries that are compared, about their own insides
    np.random.seed(0)  # shap and lime draw from there
    began, good = process_time(), True
    if asked.only != "speed":
        good &= _exactness(asked.quick)
    if asked.only != "exactness":
        shapes = [Shape.of(text) for text in (["12x2"] if asked.quick else asked.shapes)]
        good &= _speed(shapes, 10 if asked.quick else asked.samples, asked.quick)
    print(f"\n{'all goals met' if good else 'A GOAL WAS MISSED'}; {process_time() - began:.0f} s of one core in all")


if __name__ == "__main__":
    main()
