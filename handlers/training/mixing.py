"""How much of the answer is the deep path's: chosen on validation rows."""

from typing import Any

import numpy as np

from .losses import is_clearly_worse, row_losses
from .rows import Rows

#: Shares of the deep path that are tried.
_MIXES = tuple(step / 10 for step in range(11))
_EVEN = 0.5

Floats = np.ndarray[Any, np.dtype[np.float64]]


def best_mix(
    linear_said: Floats,
    deep_said: Floats,
    y: Any,
    rows: Rows,
    *,
    trusted: bool = False,
    weights: Floats | None = None,
) -> float:
    """The deep path's share: the least that is not clearly worse than the best, none where it is of no clear use.

    Clearly: see `is_clearly_worse`. Of a hundred validation rows a lucky path would otherwise take a share that its
    mistakes on new rows do not deserve. A `trusted` deep path knows more than these rows (it was trained on others
    before) and need not show its use on a handful: it takes the most even share that is not clearly worse.

    Args:
        linear_said, deep_said: (m, k) logits, or (m, 1) values, about the m validation rows.
        y: (m,) class codes, or values in the same unit.
        weights: (m,) of the rows, None for one each.
    """
    if not len(y):
        return _EVEN if trusted else 0.0
    weights = np.ones(len(y)) if weights is None else weights
    losses = {mix: weights * row_losses((1 - mix) * linear_said + mix * deep_said, y, rows.n_classes) for mix in _MIXES}
    best = min(_MIXES, key=lambda mix: float(losses[mix].mean()))
    close = [mix for mix in _MIXES if not is_clearly_worse(losses[mix], losses[best])]
    return min(close, key=lambda mix: abs(mix - _EVEN)) if trusted else min(close)
