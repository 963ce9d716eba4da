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

#: Draws for a pair of rows: the second for every fourth background row only, where it tells the standard error.
REPEATS, TWICE_EVERY = 2, 4
#: A move of a margin that is no factor any more.
FAR = 30.0


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
    """(REPEATS, m, p): each feature's place, 0 to 1, in the order for each of m background rows.

    The second draw is independent, and only there where it is used.
    """
    _, m, p = out.shape
    strata = np.empty(m)
    for f in range(p):
        for b in range(m):
            strata[b] = b
        for b in range(m - 1, -1, -1):  # one draw tells both the stretch and the place in it
            drawn = _draw(state)
            other = np.int64((np.uint64(drawn) >> np.uint64(32)) * np.uint64(b + 1) >> np.uint64(32))
            stretch = strata[other]
            strata[other] = strata[b]
            out[0, b, f] = (stretch + np.float64(np.uint64(drawn) & np.uint64(0xFFFFFFFF)) / 4294967296.0) / m
    for b in range(0, m, TWICE_EVERY):
        for f in range(p):
            out[1, b, f] = _uniform(state)


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


@compiled("void(i8, f8[::1], i8[::1], i8, f8[:,::1], f8[:,::1], f8[:,::1])")
def _walk(link: int, start: Floats, order: Integers, step: int, moves: Floats, factors: Floats, out: Floats) -> None:
    """Adds to `out` (count, K) how much the answers change as the margins take their `moves` (p, K) in this order.

    `step` −1: from the last to the first. `factors` (p, K), for the softmax alone: e to the power of the moves (at
    most FAR); multiplying is quicker, and every now and then the answers are reckoned anew.
    """
    count, k = out.shape
    margin, before, after = start.copy(), np.empty(k), np.empty(k)
    answer_into(link, margin, before)
    for q in range(count):
        at = q if step > 0 else count - 1 - q
        anew, total = link != 2 or q % 64 == 63 or q == count - 1, 0.0
        for c in range(k):
            move = moves[order[at], c]
            margin[c] += move
            anew = anew or abs(move) > FAR
            if not anew:
                after[c] = before[c] * factors[order[at], c]
                total += after[c]
        if anew:
            answer_into(link, margin, after)
            total = 1.0
        for c in range(k):
            after[c] /= total
            out[at, c] += after[c] - before[c]
            before[c] = after[c]


@compiled("void(i8, f8[::1], i8[::1], f8[:,:,::1], f8[:,:,::1], f8[:,::1], f8[:,::1])")
def remainder_of_order(
    link: int, start: Floats, order: Integers, moves: Floats, factors: Floats, slope: Floats, out: Floats
) -> None:
    """Writes to `out` (p, K) what shares that were carried by `slope` leave out, from one order, there and back.

    `moves` (1 or 2, p, K): the margins' along the order and backwards along it, if they differ; `factors` are theirs,
    see _walk. What is written is right on average whatever the slope (K, K) is; the closer it is to the link's, the
    less the noise. An empty one: nothing was carried, and all is written.
    """
    count, k, last = len(order), len(start), len(moves) - 1
    changes = np.zeros((count, k))
    _walk(link, start, order, 1, moves[0], factors[0], changes)
    _walk(link, start, order, -1, moves[last], factors[last], changes)
    for q in range(count):
        f = order[q]
        for j in range(len(slope)):
            move = moves[0, f, j] + moves[last, f, j]
            if move != 0.0:
                for c in range(k):
                    changes[q, c] -= slope[c, j] * move
        for c in range(k):
            out[f, c] = changes[q, c] / 2


@compiled("void(i8[::1], f8[:,:,::1], b1, f8[:,:,::1])")
def settle(players: Integers, drawn: Floats, twice: bool, out: Floats) -> None:
    """Adds a pair's remainder, the mean of two if there are, to `out` [0], and half of their square to `out` [1]."""
    for q in range(len(players)):
        f = players[q]
        for c in range(out.shape[2]):
            first, second = drawn[0, f, c], drawn[1, f, c] if twice else drawn[0, f, c]
            out[0, f, c] += (first + second) / 2
            out[1, f, c] += (first - second) ** 2 / 2


def standard_error(squares: Floats, m: int) -> Floats:
    """Of the mean over m background rows, from `settle`'s squares: as if the orders had been drawn independently."""
    return np.sqrt(squares / (m * -(-m // TWICE_EVERY)))
