"""What a sample is compared with: training rows, read from the dataset each time and kept nowhere."""

from collections.abc import Sequence

import pandas as pd

from .ground import Ground
from .stratified import strata_of, stratified

MOST_ROWS = 100


def background(ground: Ground, features: Sequence[str], most: int = MOST_ROWS, seed: int = 0) -> pd.DataFrame:
    """(b, p): at most `most` training rows, of every class its share. Same dataset and seed, same rows."""
    problem, train = ground.problem, ground.parts.train
    key = f"background\x1f{problem.dataset_sha256}\x1f{seed}"
    chosen = stratified(train, strata_of(problem)[train], most, key)
    return ground.table(features, problem.rows[chosen])
