"""The split depends on the data and on nothing else, and keeps its promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.splits import MIN_ROWS_FOR_COMBINATION, Split, split

SHA = "ab" * 32

EXPECTED_TEST = [0, 6, 11, 15, 26, 29]
EXPECTED_ID = "split-1-cc0bcb8e29eacb9aa928b299"


def labels(counts: dict[str, int], seed: int = 0) -> "pd.Series[str]":
    values = np.repeat(list(counts), list(counts.values()))
    return pd.Series(np.random.default_rng(seed).permutation(values))


def parts(found: Split) -> list[np.ndarray]:
    return [found.train, found.combination, found.test]


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    n_missing=st.integers(0, 5),
    n_groups=st.none() | st.integers(5, 40),
)
@settings(max_examples=60, deadline=None)
def test_every_row_with_a_target_is_in_exactly_one_part(
    counts: list[int], n_missing: int, n_groups: int | None
) -> None:
    target = labels({f"c{i}": n for i, n in enumerate(counts)})
    target.iloc[:n_missing] = None
    groups = None if n_groups is None else pd.Series(np.arange(len(target)) % n_groups)
    found = split(SHA, "t", target, "g" if n_groups else None, groups)
    together = np.concatenate(parts(found))
    assert sorted(together) == list(np.flatnonzero(target.notna()))
    assert all((np.diff(part) > 0).all() for part in parts(found))


def test_each_class_has_its_share_in_every_part() -> None:
    target = labels({"a": 400, "b": 200, "c": 5})
    found = split(SHA, "t", target)
    counts = [target.iloc[part].value_counts().to_dict() for part in parts(found)]
    assert counts == [{"a": 260, "b": 130, "c": 3}, {"a": 60, "b": 30, "c": 1}, {"a": 80, "b": 40, "c": 1}]


def test_few_rows_set_none_aside_for_combination() -> None:
    few = split(SHA, "t", labels({"a": 100, "b": MIN_ROWS_FOR_COMBINATION - 101}))
    enough = split(SHA, "t", labels({"a": 100, "b": MIN_ROWS_FOR_COMBINATION - 100}))
    assert len(few.combination) == 0
    assert len(enough.combination) == 30


def test_a_quantity_is_spread_over_the_parts_by_its_ranges() -> None:
    target = pd.Series(np.random.default_rng(1).lognormal(size=1000))
    found = split(SHA, "t", target)
    shares = [np.histogram(target.iloc[part], np.quantile(target, np.linspace(0, 1, 11)))[0] for part in parts(found)]
    assert [set(share) for share in shares] == [{65}, {15}, {20}]


def test_groups_stay_whole_and_classes_keep_their_shares() -> None:
    rng = np.random.default_rng(2)
    groups = pd.Series(rng.integers(0, 80, 600)).astype(str)
    target = pd.Series(np.where(rng.random(600) < 0.2, "ill", "well"))
    found = split(SHA, "t", target, "patient", groups)
    owners = [set(groups.iloc[part]) for part in parts(found)]
    assert sum(map(len, owners)) == groups.nunique()
    assert [len(part) / 600 for part in parts(found)] == pytest.approx([0.65, 0.15, 0.20], abs=0.03)
    ill = [(target.iloc[part] == "ill").mean() for part in parts(found)]
    assert ill == pytest.approx([(target == "ill").mean()] * 3, abs=0.03)


def test_rows_without_a_group_are_in_no_part() -> None:
    target = labels({"a": 30, "b": 30})
    groups = pd.Series(np.arange(60) % 10).astype(object)
    groups.iloc[7] = None
    found = split(SHA, "t", target, "g", groups)
    assert 7 not in np.concatenate(parts(found))


def test_infinite_targets_are_missing() -> None:
    target = pd.Series(np.arange(60.0))
    target.iloc[[3, 4]] = [np.inf, -np.inf]
    assert not {3, 4} & set(np.concatenate(parts(split(SHA, "t", target))))


def test_this_very_split_never_changes() -> None:
    # Written down once: a new version of a library, or of ours, must not deal other rows out under the same name.
    found = split(SHA, "outcome", pd.Series(["a", "b"] * 15))
    assert found.test.tolist() == EXPECTED_TEST
    assert found.split_id == EXPECTED_ID


def test_the_id_tells_data_target_and_groups_apart() -> None:
    target = labels({"a": 40, "b": 40})
    groups = pd.Series(np.arange(80))
    ids = {
        split(SHA, "t", target).split_id,
        split("cd" * 32, "t", target).split_id,
        split(SHA, "u", target).split_id,
        split(SHA, "t", target, "g", groups).split_id,
        split(SHA, "t", target, "h", groups).split_id,
    }
    assert len(ids) == 5
    assert max(map(len, ids)) <= 64


def test_the_type_of_the_labels_is_not_what_decides() -> None:
    words = labels({"a": 50, "b": 50})
    assert split(SHA, "t", words).split_id == split(SHA, "t", words.astype("category")).split_id


def test_a_hundred_thousand_rows_in_groups_are_quick_enough() -> None:
    target = pd.Series(np.random.default_rng(0).normal(size=100_000))
    found = split(SHA, "t", target, "g", pd.Series(np.arange(100_000) // 5))
    assert len(found.test) == pytest.approx(20_000, rel=0.01)
