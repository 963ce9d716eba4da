"""An explanation for a person: what matters, how sure that is, how exact, and where its pictures are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from infra.cli.console import print_table, with_interval
from infra.report.trust import checks

if TYPE_CHECKING:
    from infra.settings import Settings

_SHOWN = 10
_SHOWN_OF_CLASS = 3
_SHOWN_OF_ROW = 6
#: Samples of which each is told by itself.
_FEW = 10
_MOST_CLASSES = 12


def print_explanation(told: dict[str, Any], settings: "Settings") -> None:
    """The first features with their intervals, those of each class, and everything to keep in mind."""
    typer.echo(f"\n{told['explainer']}, {told['n_samples']} samples, {told['n_background']} background rows\n")
    if told["n_samples"] <= _FEW:
        for sample in told["samples"]:
            typer.echo(_of_sample(sample))
        typer.echo("")
    # A few rows tell nothing of others.
    importance, held = told["feature_importance"], told["importance_intervals"] if told["n_samples"] > _FEW else {}
    rows = ((name, with_interval(importance, held, name)) for name in list(importance)[:_SHOWN])
    unit = "the predicted probability" if told["space"] == "probability" else "the prediction"
    print_table(("feature", f"size of its effect on {unit}, on average [95 %]"), rows, if_empty="No features.")
    for name, of_class in list(told["class_importance"].items())[:_MOST_CLASSES]:
        typer.echo(f"  for «{name}»: {', '.join(list(of_class)[:_SHOWN_OF_CLASS])}")
    typer.echo("")
    for line in checks(told):
        typer.echo(line)
    for warning in told["warnings"]:
        typer.echo(f"! {warning}")
    typer.echo(f"pictures {pictures_directory(told, settings)}")


def _of_sample(sample: dict[str, Any]) -> str:
    """«row 17: «ill» 0.99 (average answer 0.31): CD3D +0.54, LYZ -0.05»."""
    answer = f"«{sample['class_name']}» " if sample["class_name"] is not None else ""
    moved = ", ".join(f"{name} {value:+.3g}" for name, value in list(sample["contributions"].items())[:_SHOWN_OF_ROW])
    average = f"average answer {sample['base_value']:.3g}"
    return f"row {sample['row']}: {answer}{sample['prediction']:.3g} ({average}): {moved or 'nothing moves it'}"


def pictures_directory(told: dict[str, Any], settings: "Settings") -> str:
    """Where the pictures are: a path on this machine, or an address in the object store."""
    folders = {str(Path(path).parent) for path in told["visualizations"].values()} or {"."}
    where = f"{settings.artifacts.rstrip('/')}/{told['artifacts_path'].strip('/')}/{min(folders)}".removesuffix("/.")
    return where if "://" in where else str(Path(where).absolute())
