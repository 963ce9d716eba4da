"""How wrong each row's answer is, and whether one answer is clearly worse than another."""

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def row_losses(said: Floats, y: Any, n_classes: int | None) -> Floats:
    """(m,) the log-loss of each row's logits (m, k), or the squared error of its value (m, 1)."""
    if n_classes is None:
        return np.asarray((said[:, 0] - y) ** 2)
    shifted = said - said.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(-logs[np.arange(len(y)), np.asarray(y).astype(np.int64)])


def is_clearly_worse(losses: Floats, than: Floats) -> bool:
    """Whether rows' losses are higher by more than one standard error of the difference, row by row.

    The rule of one standard error of Breiman et al. (1984), «Classification and Regression Trees».
    """
    lost = losses - than
    return bool(lost.mean() > lost.std() / np.sqrt(len(lost)))
