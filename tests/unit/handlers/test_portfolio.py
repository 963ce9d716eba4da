"""Settings that keep training values out of models. Nothing is trained here."""

from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from events.requests import AutomlRequested
from handlers.automl.portfolio import hyperparameters_for
from handlers.contract import DatasetFile
from handlers.datasets.target import load_problem


@pytest.mark.parametrize("quality", ["medium", "good", "high"])
def test_no_imputer_keeps_medians(quality: str, tmp_path: Path) -> None:
    """Of khan's 2,308 columns a fold's medians were 1,828 cells: the model was thrown away."""
    load_breast_cancer(as_frame=True).frame.to_parquet(tmp_path / "data.parquet")
    request = AutomlRequested(dataset_id="d", target_column="target")
    problem = load_problem(request, DatasetFile("d", tmp_path / "data.parquet", "parquet", "ab" * 32))
    chosen = hyperparameters_for(quality, problem, 400, seed=0)
    imputing = [config for family in ("LR", "NN_TORCH") for config in chosen.get(family, [])]
    assert imputing
    assert {config["proc.impute_strategy"] for config in imputing} == {"mean"}
