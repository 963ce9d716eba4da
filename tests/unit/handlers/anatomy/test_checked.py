"""A part that answers otherwise than the whole is found out, whichever is asked of it first, and at every scale."""

import numpy as np
import pandas as pd
import pytest

from handlers.anatomy.asked import AskedPart
from handlers.anatomy.checked import CheckedPart

NAMES = ["a", "b", "c"]
TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=NAMES)


def tell(_: float) -> None: ...


def asked(scale: float, middle: float = 0.0, wrong: float = 0.0) -> AskedPart:
    def ask(table: pd.DataFrame) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        return (middle + scale * (table["a"] * table["b"] + wrong * table["c"])).to_numpy(float)[:, None]

    return AskedPart(NAMES, 1, ask)


@pytest.mark.parametrize(("scale", "middle"), [(1.0, 0.0), (1e-6, 0.0), (1e6, 0.0), (1.0, 100.0)])
@pytest.mark.parametrize("by_answers", [True, False])
def test_a_wrong_part_is_found_out_at_every_scale(scale: float, middle: float, by_answers: bool) -> None:
    right, wrong = asked(scale, middle), asked(scale, middle, wrong=0.5)
    part = CheckedPart(wrong, right, are_shares=False)
    if not by_answers:
        assert "would answer otherwise" in part.attributions(TABLE[:3], TABLE[40:], tell, 0).method
    # Thousands of neighbours, as LIME asks, or a few rows: all are the whole's.
    for rows in (TABLE, TABLE[:2], TABLE[:0]):
        assert np.array_equal(part.answers(rows), right.answers(rows))
    found = part.attributions(TABLE[:3], TABLE[40:], tell, 0)
    assert "would answer otherwise" in found.method
    assert np.array_equal(found.values, right.attributions(TABLE[:3], TABLE[40:], tell, 0).values)


@pytest.mark.parametrize(("scale", "middle"), [(1.0, 0.0), (1e-6, 0.0), (1.0, 1e5)])
def test_a_part_in_single_precision_is_believed(scale: float, middle: float) -> None:
    whole = asked(scale, middle)
    single = AskedPart(NAMES, 1, lambda table: whole.ask(table).astype(np.float32).astype(float), "in single precision")
    part = CheckedPart(single, whole, are_shares=False)
    assert np.array_equal(part.answers(TABLE), single.answers(TABLE))
    assert "in single precision" in part.attributions(TABLE[:3], TABLE[40:], tell, 0).method


def test_probabilities_differ_by_parts_of_one() -> None:
    whole, other = asked(1e-6, 0.5), asked(1e-6, 0.5, wrong=0.5)
    assert np.array_equal(CheckedPart(other, whole, are_shares=True).answers(TABLE), other.answers(TABLE))


def test_the_verdict_is_kept() -> None:
    sizes: list[int] = []
    right = asked(1.0)

    def counted(table: pd.DataFrame) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        sizes.append(len(table))
        return right.ask(table)

    part = CheckedPart(right, AskedPart(NAMES, 1, counted), are_shares=False)
    for _ in range(3):
        part.answers(TABLE)
        part.attributions(TABLE[:3], TABLE[40:], tell, 0)
    assert sizes == [30]
