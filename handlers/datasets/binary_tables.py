"""Parquet, Feather and AnnData: formats that say themselves what is in them."""

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
    import h5py
    from anndata.io import read_elem
    from scipy import sparse

    def read() -> pd.DataFrame:
        with h5py.File(path) as file:
            obs, genes = read_elem(file["obs"]), read_elem(file["var"]).index.astype(str)
            if columns is not None:
                obs = obs.loc[:, obs.columns.isin(columns)]
            keep = np.ones(len(genes), dtype=bool) if columns is None else genes.isin(columns)
            values: Any = read_elem(file["X"]) if keep.any() else np.empty((len(obs), len(genes)), dtype=np.float32)
            values = values[:, keep] if not keep.all() else values
            dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
            frame = pd.DataFrame(dense, columns=genes[keep])
            both: pd.DataFrame = pd.concat([obs.reset_index(drop=True), frame], axis="columns")
            return both

    return _or_unreadable(read, "AnnData .h5ad")


def annotations(path: Path) -> frozenset[str]:
    """Names of the columns of obs: what is known of a sample beside its measurements."""
    import h5py
    from anndata.io import read_elem

    def read() -> frozenset[str]:
        with h5py.File(path) as file:
            return frozenset(map(str, read_elem(file["obs"]).columns))

    return _or_unreadable(read, "AnnData .h5ad")


def _there(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in set(wanted)]


def _to_pandas(table: Any) -> pd.DataFrame:
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
