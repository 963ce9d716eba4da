"""The model as MLflow serves it. This file is copied into every artifact and needs nothing of ours to be loaded."""

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from mlflow import pyfunc
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

_MOST_NAMES = 5
#: Names the folder in which an ensemble looks for members that it does not hold itself.
_MODELS = "OMNISCOPE_MODELS"


class ServedModel(PythonModel):  # type: ignore[misc]
    """Predicts from a table with the columns of the training data, by name and in any order.

    The answer has a column `prediction`; for classes also `probability_<class>`, one for each.
    """

    def load_context(self, context: PythonModelContext) -> None:
        kinds: dict[str, type[_Model]] = {"network": _Network, "ensemble": _Ensemble, "predictor": _Predictor}
        kind = next(kind for name, kind in kinds.items() if name in context.artifacts)
        self._model = kind(context.artifacts)
        self._about = self._model.about

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for every row of `model_input`, with its index. Columns the model does not know are passed over.

        Raises:
            ValueError: columns are missing or there twice; the message names them.
        """
        table = self._with_its_columns(pd.DataFrame(model_input))
        classes = self._about["classes"]
        if classes is None:
            values = self._model.values(table) if len(table) else np.zeros(0)
            return pd.DataFrame({"prediction": values}, index=table.index)
        codes, probabilities = self._model.classes(table) if len(table) else ([], np.zeros((0, len(classes))))
        shares = {f"probability_{label}": probabilities[:, code] for code, label in enumerate(classes)}
        return pd.DataFrame({"prediction": [classes[int(code)] for code in codes], **shares}, index=table.index)

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


class _Model(Protocol):
    """`about`: `features` and `classes`. Tables have at least one row and exactly the features."""

    about: dict[str, Any]

    def __init__(self, artifacts: dict[str, str]) -> None: ...

    def values(self, table: pd.DataFrame) -> Any: ...

    def classes(self, table: pd.DataFrame) -> tuple[Any, "np.ndarray[Any, Any]"]:
        """Codes (n,) and probabilities (n, k)."""


class _Predictor:
    """One of AutoGluon's."""

    def __init__(self, artifacts: dict[str, str]) -> None:
        from autogluon.tabular import TabularPredictor

        self._predictor = TabularPredictor.load(artifacts["predictor"], verbosity=0)
        self.about = json.loads(Path(artifacts["about"]).read_text(encoding="utf-8"))

    def values(self, table: pd.DataFrame) -> Any:
        return self._predictor.predict(table, as_pandas=True).to_numpy()

    def classes(self, table: pd.DataFrame) -> tuple[Any, "np.ndarray[Any, Any]"]:
        said = self._predictor.predict_proba(table, as_pandas=True, as_multiclass=True)
        codes = self._predictor.predict_from_proba(said)
        # A class that no training row had is not among AutoGluon's.
        return codes, said.reindex(columns=range(len(self.about["classes"])), fill_value=0.0).to_numpy(dtype=float)


class _Network:
    """A network, read and asked by the code that it was saved with."""

    def __init__(self, artifacts: dict[str, str]) -> None:
        with _nothing_written():
            package = _imported(Path(artifacts["code"]))
            self._predicting = importlib.import_module(f"{package}.predicting")
            saved = importlib.import_module(f"{package}.saved")
            self._network, self._table, self.about = saved.load(Path(artifacts["network"]))

    def values(self, table: pd.DataFrame) -> Any:
        return self._predicting.predict_values(self._network, self._table, table)

    def classes(self, table: pd.DataFrame) -> tuple[Any, "np.ndarray[Any, Any]"]:
        probabilities = self._predicting.predict_probabilities(self._network, self._table, table)
        return probabilities.argmax(axis=1), probabilities


class _Ensemble:
    """Models in MLflow directories of their own, each served by its own code, and how their answers become one."""

    def __init__(self, artifacts: dict[str, str]) -> None:
        folder = Path(artifacts["ensemble"])
        self.about = json.loads((folder / "combination.json").read_text(encoding="utf-8"))
        with _nothing_written():
            self._combining = importlib.import_module(f"{_imported(folder / 'code')}.combining")
            self._members = [pyfunc.load_model(str(_place(member, folder))) for member in self.about["members"]]

    def values(self, table: pd.DataFrame) -> Any:
        said = np.stack([member.predict(table)["prediction"].to_numpy(dtype=float) for member in self._members])
        return self._combining.combined(self.about, said)

    def classes(self, table: pd.DataFrame) -> tuple[Any, "np.ndarray[Any, Any]"]:
        said = [member.predict(table).iloc[:, 1:].to_numpy(dtype=float) for member in self._members]
        probabilities = self._combining.combined(self.about, np.stack(said))
        return probabilities.argmax(axis=1), probabilities


def _place(member: dict[str, Any], folder: Path) -> Path:
    """Where a member's MLflow directory is: in the artifact, or, as its hashes say, elsewhere."""
    if member["folder"] is not None:
        return folder.parent / str(member["folder"])
    roots = [Path(os.environ[_MODELS])] if os.environ.get(_MODELS) else []
    within = Path(member["artifacts_path"])
    names = (within, within.relative_to(within.parts[0]), member["model_id"])
    places = [root / name for root in (*roots, *folder.resolve().parents) for name in names]
    found = [place for place in places if (place / "MLmodel").is_file()]
    if not found:
        raise FileNotFoundError(
            f"the ensemble does not hold its member {member['name']} ({member['model_id']}): let {_MODELS} name the "
            f"folder that holds {member['artifacts_path']}"
        )
    for place in found:
        if _digest(place) == member["files_sha256"]:
            return place.resolve()
    raise ValueError(f"{member['name']} ({member['model_id']}) in {found[0]} is not as it was when it was combined")


def _digest(folder: Path) -> str:
    """One hash for all files of a model but what Python has compiled of them."""
    lines = []
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "__pycache__":
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{path.relative_to(folder).as_posix()}\0{sha256}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _imported(folder: Path) -> str:
    """The name of the package in `folder`, which no other version of it has: models of both live side by side."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    name = f"networks_{digest.hexdigest()[:16]}"
    if name in sys.modules:
        # The folder it first came from may be gone.
        sys.modules[name].__path__ = [str(folder)]
        return name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return name


@contextmanager
def _nothing_written() -> Iterator[None]:
    """To be loaded changes no artifact: Python would put what it compiles beside its source."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _names(names: Sequence[str]) -> str:
    told = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    return told if len(names) <= _MOST_NAMES else f"{told} and {len(names) - _MOST_NAMES} more"


set_model(ServedModel())
