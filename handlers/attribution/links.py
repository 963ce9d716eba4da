"""From margins, in which parts of a model add up, to answers: as they are, by the sigmoid or by the softmax."""

from typing import Any

import numpy as np

from .compiled import compiled
from .values import Floats

IDENTITY, SIGMOID, SOFTMAX = 0, 1, 2

#: Eight points of Gauss and Legendre on 0…1 for the mean slope of the softmax.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_POINTS, _WEIGHTS = (_POINTS + 1) / 2, _WEIGHTS / 2


@compiled("void(i8, f8[::1], f8[::1])")
def answer_into(link: int, margin: Floats, out: Floats) -> None:
    """The answers for one row's K margins. The sigmoid takes each margin alone (one against the rest, if K > 1)."""
    k = len(margin)
    if link == 1:
        for c in range(k):
            power = np.exp(-abs(margin[c]))
            out[c] = (1.0 if margin[c] >= 0 else power) / (1.0 + power)
    elif link == 2:
        top, total = margin.max(), 0.0
        for c in range(k):
            out[c] = np.exp(margin[c] - top)
            total += out[c]
        for c in range(k):
            out[c] /= total
    else:
        for c in range(k):
            out[c] = margin[c]


@compiled("f8[:,::1](i8, f8[:,::1])")
def answers(link: int, margins: Floats) -> Floats:
    """(n, K) margins to (n, K) answers."""
    out = np.empty_like(margins)
    for i in range(len(margins)):
        answer_into(link, margins[i], out[i])
    return out


@compiled("void(f8[::1], f8[::1], f8[:,::1])")
def _sigmoid_slope(start: Floats, end: Floats, out: Floats) -> None:
    k = len(start)
    low, high, middle = np.empty(k), np.empty(k), np.empty(k)
    answer_into(1, start, low)
    answer_into(1, end, high)
    answer_into(1, (start + end) / 2, middle)
    for c in range(k):
        way = end[c] - start[c]
        out[c, c] = (high[c] - low[c]) / way if abs(way) > 1e-6 else middle[c] * (1.0 - middle[c])


@compiled("void(i8, f8[::1], f8[::1], f8[:,::1])")
def mean_slope(link: int, start: Floats, end: Floats, out: Floats) -> None:
    """(K, K): how much each answer moves with each margin, on average on the straight way from start to end."""
    k = len(start)
    out[:] = 0.0
    if link == 0:
        for c in range(k):
            out[c, c] = 1.0
    elif link == 1:
        _sigmoid_slope(start, end, out)
    else:
        place, there = np.empty(k), np.empty(k)
        for point in range(len(_POINTS)):
            for c in range(k):
                place[c] = start[c] + _POINTS[point] * (end[c] - start[c])
            answer_into(link, place, there)
            for c in range(k):
                share = _WEIGHTS[point] * there[c]
                out[c, c] += share
                for j in range(k):
                    out[c, j] -= share * there[j]


def as_margins(array: np.ndarray[Any, Any]) -> Floats:
    """Contiguous doubles, as the compiled functions ask for."""
    return np.ascontiguousarray(array, dtype=np.float64)
