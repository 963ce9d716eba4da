"""Very many columns: looked up at once, to the same end as by AutoGluon's own ways."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from autogluon.common.features import infer_types
from autogluon.common.features.feature_metadata import FeatureMetadata

from handlers.automl.wide import WIDE, Names, fit_options, quick_lookups

ROOT = Path(__file__).parents[3]
GIB = 2**30
LOOKUPS = ("get_features", "keep_features", "remove_features", "print_feature_metadata_full")


def metadata() -> FeatureMetadata:
    raw = {"größe": "float", "count": "int", "sex": "category", "note": "object", "day": "datetime", "flag": "int"}
    special = {"bool": ["flag"], "text": ["note"], "datetime_as_object": ["note", "day"]}
    return FeatureMetadata(raw, type_group_map_special=special)


def outcome(act: Callable[[FeatureMetadata], Any]) -> Any:
    """What comes of it, as plain data; of an error its type."""
    about = metadata()
    try:
        found = act(about)
    except KeyError:
        return KeyError, about.to_dict()
    if isinstance(found, FeatureMetadata):
        found = (found.to_dict(), dict(found.type_group_map_special), found is about)
    return found, about.to_dict(), dict(about.type_group_map_special)


ACTS: dict[str, Callable[[FeatureMetadata], Any]] = {
    "all": lambda about: about.get_features(),
    "raw": lambda about: about.get_features(valid_raw_types=["int", "float"]),
    "not raw": lambda about: about.get_features(invalid_raw_types=["object"]),
    "special": lambda about: about.get_features(valid_special_types=["bool"]),
    "not special": lambda about: about.get_features(invalid_special_types=["text", "bool"]),
    "required": lambda about: about.get_features(required_special_types=["datetime_as_object"]),
    "required exactly": lambda about: about.get_features(
        required_special_types=["datetime_as_object"], required_exact=True
    ),
    "any special": lambda about: about.get_features(required_at_least_one_special=True),
    "pairs": lambda about: about.get_features(required_raw_special_pairs=[("int", ["bool"]), ("float", None)]),
    "keep some": lambda about: about.keep_features(["note", "größe", "flag"]),
    "keep none": lambda about: about.keep_features([]),
    "keep all": lambda about: about.keep_features(about.get_features()),
    "keep in place": lambda about: about.keep_features(["flag", "day"], inplace=True),
    "keep unknown": lambda about: about.keep_features(["flag", "absent"]),
    "remove some": lambda about: about.remove_features(["flag", "note"]),
    "remove none": lambda about: about.remove_features([]),
    "remove in place": lambda about: about.remove_features(["day"], inplace=True),
    "remove unknown": lambda about: about.remove_features(["absent"]),
    "twice": lambda about: about.remove_features(["day"]).keep_features(["note", "flag"]).get_features(),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_lookups_come_to_the_same(act: Callable[[FeatureMetadata], Any]) -> None:
    slow = outcome(act)
    with quick_lookups():
        assert outcome(act) == slow


def test_special_types_of_columns_are_the_same() -> None:
    frame = pd.DataFrame(
        {
            "number": np.arange(60) / 7,
            "count": np.arange(60),
            "flag": np.arange(60) % 2 == 0,
            "date": [f"2020-01-{1 + i % 28:02}" for i in range(60)],
            "text": [f"seen on ward {i} by the doctor {i * 7} at noon" for i in range(60)],
            "kind": pd.Categorical(list("ab") * 30),
            "nullable": pd.array([*range(59), None], dtype="Int64"),
        }
    )
    frame.loc[3, "number"] = np.nan
    slow = {name: infer_types.get_types_special(frame[name]) for name in frame}
    assert slow["date"]
    assert slow["text"]
    with quick_lookups():
        assert {name: infer_types.get_types_special(frame[name]) for name in frame} == slow


def test_everything_is_as_before_afterwards() -> None:
    def found() -> list[Any]:
        return [*(getattr(FeatureMetadata, name) for name in LOOKUPS), infer_types.get_types_special]

    def fail() -> None:
        with quick_lookups():
            assert all(now is not then for now, then in zip(found(), before, strict=True))
            raise RuntimeError("a fit that failed")

    before = found()
    with pytest.raises(RuntimeError, match="a fit that failed"):
        fail()
    assert all(now is then for now, then in zip(found(), before, strict=True))


def test_names_are_a_list_that_leaves_this_process_as_a_plain_one() -> None:
    names = Names(["a", "b"])
    assert names == ["a", "b"]
    assert "b" in names
    assert "c" not in names
    packed = pickle.dumps({"features": names})
    assert b"handlers" not in packed
    assert pickle.loads(packed) == {"features": ["a", "b"]}
    assert type(copy.deepcopy(names)) is Names


def test_a_table_of_very_many_numbers_goes_to_the_models_as_it_is() -> None:
    frame = pd.DataFrame(np.zeros((3, WIDE)), columns=[f"g{i}" for i in range(WIDE)])
    frame["g0"], frame["g1"] = [1, 2, 3], [True, False, True]
    options = fit_options(frame)
    assert options["ag_args_fit"] == {"drop_unique": False}
    generator = options["feature_generator"]
    told = generator.fit_transform(frame)
    pd.testing.assert_frame_equal(told, frame)
    known = generator.feature_metadata_in.to_dict()
    assert (known["g0"][0], known["g1"][0], known["g2"][0]) == ("int", "bool", "float")


@pytest.mark.parametrize("dtype", ["object", "category", "datetime64[ns]"])
def test_one_column_that_is_no_number_takes_the_usual_way(dtype: str) -> None:
    frame = pd.DataFrame(np.zeros((3, WIDE)), columns=[f"g{i}" for i in range(WIDE)])
    frame["g7"] = pd.Series(["2020-01-01", "2020-01-02", "2020-01-03"]).astype(dtype)
    assert fit_options(frame) == {}


def test_narrow_tables_take_the_usual_way() -> None:
    assert fit_options(pd.DataFrame(np.zeros((3, WIDE - 1)))) == {}
    assert fit_options(pd.DataFrame()) == {}


WIDE_JOB = """
import json, re, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from events.requests import AutomlRequested
from handlers.automl.handler import run
from handlers.contract import DatasetFile, Inputs, Limits, Outputs

def peak():
    # Not getrusage: a new program begins with the peak of whoever started it.
    return int(re.search("VmHWM:[ \\t]+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) * 1024

class Silent:
    def __call__(self, *_, **__): ...
    def should_stop(self): return False
    def checkpoint(self): ...

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
table = rng.normal(size=(200, 20_000))
target = np.arange(200) % 2
table[:, :5] += 1.5 * target[:, None]
frame = pd.DataFrame(table, columns=[f"gene {i}" for i in range(20_000)]).assign(target=target)
frame.to_parquet(folder / "data.parquet")
del table, frame
out = Outputs(folder / "out", folder / "keep")
out.directory.mkdir()
request = AutomlRequested(dataset_id="d", target_column="target", quality="medium", time_limit=30)
dataset = DatasetFile("d", folder / "data.parquet", "parquet", "ab" * 32)
result = run(request, Inputs(dataset, limits=Limits(cpus=1)), out, Silent())
model = result.model
print(json.dumps({
    "models": [member["name"] for member in model.leaderboard],
    "accuracy": model.metrics["accuracy"],
    "seconds": result.record["seconds"],
    "peak": peak(),
}))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_thousand_columns_are_trained_in_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WIDE_JOB, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["models"], "nothing was trained"
    assert told["accuracy"] > 0.6
    assert told["peak"] < 3 * GIB
