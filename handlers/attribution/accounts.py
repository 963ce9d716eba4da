"""How values were got and what is known of their error: told once for each method, however many parts a model has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt

EXACT = "exact"
_MOST_TOLD = 4


@dataclass(frozen=True, slots=True)
class Account:
    """What one method has done.

    `exactness` in words. `error`: what was measured of the values' error, root mean square; `largest`: of any value;
    both in the answers' unit, 0 where there is none. `weight`: the part of the answers that it explains.
    """

    method: str
    exactness: str = EXACT
    error: float = 0.0
    largest: float = 0.0
    weight: float = 1.0

    def weighed(self, weight: float) -> "Account":
        """The same, of a part that counts `weight` in a sum."""
        size = abs(weight)
        return replace(self, error=self.error * size, largest=self.largest * size, weight=self.weight * size)


def of_sum(parts: Sequence[Sequence[Account]]) -> tuple[Account, ...]:
    """The accounts of a sum: of parts with errors of their own, independent of each other. Heaviest first."""
    found: dict[tuple[str, str], Account] = {}
    for one in (account for part in parts for account in part):
        key = one.method, one.exactness
        if (other := found.get(key)) is not None:
            error, largest = hypot(one.error, other.error), one.largest + other.largest
            one = replace(one, error=error, largest=largest, weight=one.weight + other.weight)
        found[key] = one
    return tuple(sorted(found.values(), key=lambda account: -account.weight))


def of_blocks(blocks: Sequence[Sequence[Account]], sizes: Sequence[int]) -> tuple[Account, ...]:
    """The accounts of samples that were explained block by block, `sizes` samples each."""
    found: dict[tuple[str, str], Account] = {}
    whole = max(1, sum(sizes))
    for block, size in zip(blocks, sizes, strict=True):
        for one in block:
            key, share = (one.method, one.exactness), size / whole
            other = found.get(key, replace(one, error=0.0, largest=0.0, weight=0.0))
            found[key] = replace(
                one,
                error=sqrt(other.error**2 + share * one.error**2),
                largest=max(other.largest, one.largest),
                weight=other.weight + share * one.weight,
            )
    return tuple(sorted(found.values(), key=lambda account: -account.weight))


def method(accounts: Sequence[Account]) -> str:
    """«interventional TreeSHAP (0.6 of the answer), additive terms (0.4)»."""
    weights: dict[str, float] = {}
    for one in accounts:
        weights[one.method] = weights.get(one.method, 0.0) + one.weight
    if len(weights) <= 1:
        return next(iter(weights), "")
    ordered, whole = sorted(weights.items(), key=lambda item: -item[1]), sum(weights.values()) or 1.0
    told = [f"{name} ({weight / whole:.2g} of the answer)" for name, weight in ordered[:_MOST_TOLD]]
    return ", ".join(told) + (" and others" if len(ordered) > _MOST_TOLD else "")


def exactness(accounts: Sequence[Account]) -> str:
    """«exact»; else of each method its words and numbers."""
    if all(one.exactness == EXACT for one in accounts):
        return EXACT
    alone = len({one.method for one in accounts}) == 1
    return "; ".join(
        f"{'' if alone else f'{one.method}: '}{one.exactness}{_numbers(one)}" for one in accounts[:_MOST_TOLD]
    )


def _numbers(account: Account) -> str:
    if not account.error:
        return ""
    largest = f", measured on every value (largest {account.largest:.1g})" if account.largest else ""
    return f"; standard error {account.error:.1g}{largest}"
