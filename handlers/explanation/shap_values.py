"""Shapley values of samples, block by block, by whatever way the model's parts allow."""

import numpy as np
import pandas as pd

from handlers.attribution import accounts
from handlers.attribution.values import Attributions, Part

from .findings import Findings
from .progress import Stretch

#: Samples at a time: memory does not grow with more of them.
_BLOCK = 50


def shap_values(part: Part, X: pd.DataFrame, background: pd.DataFrame, seed: int, stretch: Stretch) -> Findings:
    """Explains the n rows of `X` against the rows of `background`.

    Raises:
        JobRefused: `timed_out`.
    """
    blocks: list[Attributions] = []
    for begin in range(0, len(X), _BLOCK):
        rows = X.iloc[begin : begin + _BLOCK].reset_index(drop=True)
        blocks.append(_block(part, rows, background, seed, stretch, begin, len(X)))
    told = accounts.of_blocks([block.accounts for block in blocks], [len(block.values) for block in blocks])
    return Findings(
        features=part.features,
        values=np.concatenate([block.values for block in blocks]),
        base=np.concatenate([np.tile(block.base, (len(block.values), 1)) for block in blocks]),
        predictions=np.concatenate([block.predictions for block in blocks]),
        explainer=accounts.method(told),
        exactness=accounts.exactness(told),
        n_background=len(background),
        additivity_error=max(block.additivity_error() for block in blocks),
    )


def _block(
    part: Part, rows: pd.DataFrame, background: pd.DataFrame, seed: int, stretch: Stretch, begin: int, n: int
) -> Attributions:
    def tell(share: float) -> None:
        done = begin + share * len(rows)
        stretch.tell(done / n, f"Explained {int(done)} of {n} samples")

    tell(0.0)
    # Another seed for each block: sampling errors of different blocks do not add up.
    return part.attributions(rows, background, tell, seed + begin)
