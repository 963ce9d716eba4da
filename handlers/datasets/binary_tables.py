"""Parquet, Feather and AnnData: formats that say themselves what is in them."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from events.errors import ReasonCode
from handlers.contract import JobRefused

_PANDAS_INDEX = "__index_level_"
_Read = TypeVar("_Read")


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The table in a Parquet file. An index without a name, as pandas writes it, is left out."""
    import pyarrow.parquet as parquet

    def read() -> pd.DataFrame:
        file = parquet.ParquetFile(path)
        # By place, not by name: a name may be there twice.
        names = file.schema_arrow.names
        return _to_pandas(file.read() if columns is None else file.read(columns=_there(names, columns)))

    return _or_unreadable(read, "Parquet")


def read_feather(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The table in a Feather (Arrow IPC) file."""
    import pyarrow as arrow

    def read() -> pd.DataFrame:
        table = arrow.ipc.open_file(path).read_all()
        return _to_pandas(table if columns is None else table.select(_there(table.column_names, columns)))

    return _or_unreadable(read, "Feather")


def read_h5ad(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """obs and X side by side, genes by their names in var; layers, embeddings and the rest stay unread."""
    from scipy import sparse

    def read() -> pd.DataFrame:
        obs, genes, values = _parts_of_h5ad(path)
        if columns is not None:
            wanted = genes.isin(columns)
            obs, genes, values = obs.loc[:, obs.columns.isin(columns)], genes[wanted], values[:, wanted]
        dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
        frame: pd.DataFrame = pd.concat([obs, pd.DataFrame(dense, columns=genes)], axis="columns")
        return frame

    return _or_unreadable(read, "AnnData .h5ad")


def annotations(path: Path) -> frozenset[str]:
    """Names of the columns of obs: what is known of a sample beside its measurements."""

    def read() -> frozenset[str]:
        return frozenset(map(str, _parts_of_h5ad(path, with_values=False)[0].columns))

    return _or_unreadable(read, "AnnData .h5ad")


def _parts_of_h5ad(path: Path, with_values: bool = True) -> "tuple[pd.DataFrame, pd.Index[str], Any]":
    """(obs with rows numbered, names of genes, X dense or sparse or None)."""
    import anndata
    import h5py

    with h5py.File(path) as file:
        if isinstance(file["obs"], h5py.Group):
            obs, var = anndata.io.read_elem(file["obs"]), anndata.io.read_elem(file["var"])
            values = anndata.io.read_elem(file["X"]) if with_values else None
            return obs.reset_index(drop=True), var.index.astype(str), values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a file of before 2019 is old, and as good as any
        whole = anndata.read_h5ad(path)
    return whole.obs.reset_index(drop=True), whole.var_names.astype(str), whole.X


def _there(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in set(wanted)]


def _refuse_nested(table: Any) -> None:
    from pyarrow import types

    refused = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    nested = [field.name for field in table.schema if any(is_so(field.type) for is_so in refused)]
    if nested:
        named = ", ".join(f"«{name}»" for name in nested[:5])
        raise JobRefused(
            ReasonCode.FILE_UNREADABLE,
            f"{len(nested)} columns hold lists, structs or bytes in their cells ({named}), from which no model learns: "
            "leave them out, or spread them over columns",
        )


def _to_pandas(table: Any) -> pd.DataFrame:
    _refuse_nested(table)
    # Without pandas' own metadata: an index would come back as one, and not as the column it is.
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    inner = [name.startswith(_PANDAS_INDEX) for name in frame.columns]
    return frame.loc[:, ~np.array(inner, dtype=bool)]


def _or_unreadable(read: Callable[[], _Read], name: str) -> _Read:
    """Runs `read`; whatever a library says about damaged bytes becomes one clear refusal."""
    try:
        return read()
    # Damaged files make these libraries raise nearly every built-in error.
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise JobRefused(
            ReasonCode.FILE_UNREADABLE,
            f"the file cannot be read as {name}: it is damaged, cut off, or in another format",
        ) from error
