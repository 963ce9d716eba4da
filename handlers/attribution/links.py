"""From margins, in which parts of a model add up, to answers: as they are, by the sigmoid or by the softmax."""

import numpy as np

from .compiled import compiled
from .values import Floats

IDENTITY, SIGMOID, SOFTMAX = 0, 1, 2

#: Eight points of Gauss and Legendre, 0 to 1, on the way from one row's margins to another's.
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


@compiled("void(i8, f8[::1], f8[::1], f8[:,::1])")
def mean_slope(link: int, start: Floats, end: Floats, out: Floats) -> None:
    """(K, K): how much each answer moves with each margin, on average on the straight way from start to end."""
    k = len(start)
    place, there = np.empty(k), np.empty(k)
    out[:] = 0.0
    for g in range(len(_POINTS)):
        for c in range(k):
            place[c] = start[c] + _POINTS[g] * (end[c] - start[c])
        answer_into(link, place, there)
        for c in range(k):
            share = _WEIGHTS[g] * there[c]
            out[c, c] += _WEIGHTS[g] if link == 0 else (share * (1.0 - there[c]) if link == 1 else share)
            if link == 2:
                for j in range(k):
                    out[c, j] -= share * there[j]
