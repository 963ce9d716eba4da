"""Names that MLflow takes, whatever a column is called, and that never mean two things."""

import re

import pytest

from infra.tracking.names import experiment_name, folder, key, registered_name


@pytest.mark.parametrize("target", ["outcome", "исход", "생존", "outcome_5y", "a-b"])
def test_a_plain_target_stands_in_the_name_as_it_is(target: str) -> None:
    assert registered_name("cohort.v2", target) == f"cohort.v2.{target}"


@pytest.mark.parametrize(
    "target", ["a/b", "a:b", "5 year survival (%)", "..", " ", "x'y\"", "a.b", "a\tb", "🧬", "x" * 1000, "e\u0301"]
)
def test_any_other_gets_a_legal_name_of_its_own(target: str) -> None:
    name = registered_name("cohort", target)
    assert re.fullmatch(r"cohort\.[\w-]+-[0-9a-f]{8}", name)
    assert len(name) < 256
    assert name != registered_name("cohort", target + "!")


def test_names_that_look_alike_stay_apart() -> None:
    told = [("a", "b c"), ("a", "b_c"), ("a", "b  c"), ("a.b", "c"), ("a", "b.c"), ("a", "é"), ("a", "e\u0301")]
    assert len({registered_name(*one) for one in told}) == len(told)


def test_a_job_without_a_dataset_belongs_to_its_kind() -> None:
    assert experiment_name(folder("cohort-1", "automl")) == "omniscope-ml/cohort-1"
    assert experiment_name(folder(None, "ensemble")) == "omniscope-ml/_ensemble"


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("live", "auroc"), "live/auroc"),
        (("f1 (macro)",), "f1 _macro_"),
        (("a//b/../c",), "a/c"),
        (("/..",), "_"),
        (("",), "_"),
        (("x" * 300,), "x" * 250),
        (("чувствительность",), "чувствительность"),
    ],
)
def test_keys_are_what_mlflow_takes(parts: tuple[str, ...], told: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    assert key(*parts) == told
    assert key(told) == told
    _validate_metric_name(told)
    _validate_param_name(told)
