"""The model as MLflow serves it. This file is copied into every artifact and needs nothing of ours to be loaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

_MOST_NAMES = 5


class ServedModel(PythonModel):  # type: ignore[misc]
    """Predicts from a table with the columns of the training data, by name and in any order.

    The answer has a column `prediction`; for classes also `probability_<class>`, one for each.
    """

    def load_context(self, context: PythonModelContext) -> None:
        from autogluon.tabular import TabularPredictor

        self._predictor = TabularPredictor.load(context.artifacts["predictor"], verbosity=0)
        self._about = json.loads(Path(context.artifacts["about"]).read_text(encoding="utf-8"))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for every row of `model_input`, with its index. Columns the model does not know are passed over.

        Raises:
            ValueError: columns are missing or there twice; the message names them.
        """
        table = self._with_its_columns(pd.DataFrame(model_input))
        classes = self._about["classes"]
        if classes is None:
            return pd.DataFrame({"prediction": self._predictor.predict(table, as_pandas=True)}, index=table.index)
        probabilities = self._predictor.predict_proba(table, as_pandas=True, as_multiclass=True)
        codes = self._predictor.predict_from_proba(probabilities)
        answer = pd.DataFrame({"prediction": [classes[int(code)] for code in codes]}, index=table.index)
        for code, label in enumerate(classes):
            answer[f"probability_{label}"] = probabilities[code] if code in probabilities.columns else 0.0
        return answer

    def _with_its_columns(self, table: pd.DataFrame) -> pd.DataFrame:
        table = table.set_axis([str(name) for name in table.columns], axis="columns")
        features = self._about["features"]
        if missing := [name for name in features if name not in table.columns]:
            raise ValueError(
                f"the table lacks {len(missing)} of the model's {len(features)} columns: {_names(missing)}"
            )
        chosen = table.loc[:, table.columns.isin(features)]
        if not chosen.columns.is_unique:
            twice = list(dict.fromkeys(chosen.columns[chosen.columns.duplicated()]))
            raise ValueError(f"the table has more than one column called {_names(twice)}")
        return pd.DataFrame(chosen[features])


def _names(names: Sequence[str]) -> str:
    told = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    return told if len(names) <= _MOST_NAMES else f"{told} and {len(names) - _MOST_NAMES} more"


set_model(ServedModel())
