"""Where there are too many subsets: orders in which the features change sides, drawn so that their mean settles fast.

Along one order the shares add up exactly, and their mean over orders is the Shapley value (Castro, Gómez and
Tejada 2009). Each feature's places in the orders of one sample's background rows are spread evenly over the
whole way (a Latin hypercube; McKay, Beckman and Conover 1979), and every order is also walked backwards
(Mitchell, Cooper, Frank and Holmes 2022), which takes most of the noise away.
"""

from typing import Any

import numpy as np

from .compiled import compiled
from .links import answer_into
from .values import Floats

Integers = np.ndarray[Any, np.dtype[np.int64]]

#: Independent draws: what they differ by tells the standard error.
REPEATS = 2


@compiled("u8(u8[::1])")
def _draw(state: np.ndarray[Any, np.dtype[np.uint64]]) -> int:
    """The next of 2 ** 64 numbers (splitmix64; Steele, Lea and Flood 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(z ^ (z >> np.uint64(31)))


@compiled("f8(u8[::1])")
def _uniform(state: np.ndarray[Any, np.dtype[np.uint64]]) -> float:
    return np.float64(_draw(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled("void(u8[::1], f8[:,:,::1])")
def draw_places(state: np.ndarray[Any, np.dtype[np.uint64]], out: Floats) -> None:
    """(REPEATS, m, p): each feature's place, 0 to 1, in the order for each of m background rows."""
    repeats, m, p = out.shape
    strata = np.empty(m)
    for r in range(repeats):
        for f in range(p):
            for b in range(m):
                strata[b] = b
            for b in range(m - 1, 0, -1):
                other = np.int64(_uniform(state) * (b + 1))
                strata[b], strata[other] = strata[other], strata[b]
            for b in range(m):
                out[r, b, f] = (strata[b] + _uniform(state)) / m


def first_state(seed: int, sample: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A state of its own for each sample, so that none depends on which others are asked for."""
    return np.random.SeedSequence([seed, sample]).generate_state(1, np.uint64).astype(np.uint64)


@compiled("void(i8[::1], f8[::1], i8[::1])")
def sort_by_place(players: Integers, place: Floats, out: Integers) -> None:
    """The players by their places, which are spread evenly: into as many buckets, then put right."""
    count = len(players)
    begins = np.zeros(count + 1, np.int64)
    for q in range(count):
        begins[np.int64(place[players[q]] * count) + 1] += 1
    for q in range(count):
        begins[q + 1] += begins[q]
    for q in range(count):
        bucket = np.int64(place[players[q]] * count)
        out[begins[bucket]] = players[q]
        begins[bucket] += 1
    for q in range(1, count):
        player, at = out[q], q
        while at > 0 and place[out[at - 1]] > place[player]:
            out[at] = out[at - 1]
            at -= 1
        out[at] = player


@compiled("void(i8, f8[::1], i8[::1], i8, f8[:,::1], f8[:,::1])")
def _walk(link: int, start: Floats, order: Integers, step: int, moves: Floats, out: Floats) -> None:
    """Adds to `out` (count, K) how much the answers change as the margins take their `moves` (p, K) in this order.

    `step` −1: from the last to the first.
    """
    count, k = out.shape
    margin, before, after = start.copy(), np.empty(k), np.empty(k)
    answer_into(link, margin, before)
    for q in range(count):
        at = q if step > 0 else count - 1 - q
        for c in range(k):
            margin[c] += moves[order[at], c]
        answer_into(link, margin, after)
        for c in range(k):
            out[at, c] += after[c] - before[c]
            before[c] = after[c]


@compiled("void(i8, f8[::1], i8[::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1])")
def add_remainder(
    link: int, start: Floats, order: Integers, forth: Floats, back: Floats, slope: Floats, out: Floats
) -> None:
    """Adds to `out` (p, K) what shares that were carried by `slope` leave out, from one order, there and back.

    `forth` and `back` (p, K): the margins' moves along the order and backwards along it. What is added is right on
    average whatever the slope (K, K) is; the closer it is to the link's, the less the noise.
    """
    count, k = len(order), len(start)
    changes = np.zeros((count, k))
    _walk(link, start, order, 1, forth, changes)
    _walk(link, start, order, -1, back, changes)
    for q in range(count):
        f = order[q]
        for j in range(k):
            move = forth[f, j] + back[f, j]
            if move != 0.0:
                for c in range(k):
                    changes[q, c] -= slope[c, j] * move
        for c in range(k):
            out[f, c] += changes[q, c] / 2
