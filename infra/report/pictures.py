"""The pictures of a model: read from the store, checked, and made part of the page as images.

An SVG in an `<img>` can run nothing and load nothing (SVG 2, «secure static mode»), whoever wrote it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from events.errors import OmniScopeError, ReasonCode
from infra.storage.store import ObjectStore

from .metrics import metric
from .numbers import figure, interval

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
_WRONG = {
    ReasonCode.FILE_MISSING: "its file is not in the artifact any more",
    ReasonCode.SHA256_MISMATCH: "its file is not the one that was recorded",
}
#: A picture shows binned values and is small; a page must stay one that can be sent by mail.
MOST_BYTES = 2_000_000

#: name → title, what is to be seen, and the metric that sums it up.
_KNOWN = {
    "roc": ("ROC curve", "true positives found against false alarms, at every threshold", "auroc"),
    "precision_recall": ("Precision and recall", "how pure the found rows are against how many are found", "auprc"),
    "confusion_matrix": ("Confusion matrix", "true by predicted class; what is right lies on the diagonal", "accuracy"),
    "calibration": (
        "Calibration",
        "how often the model was right against how sure it was; on the diagonal it is as sure as it should be",
        "calibration_error",
    ),
    "predicted_against_true": ("Predicted against true", "the closer to the diagonal, the better", "r2"),
    "residuals": ("Residuals", "errors by predicted value; a good model's lie evenly around zero", "rmse"),
    "learning_curve": (
        "Learning curve",
        "loss on training and on validation rows after each epoch. Training rows are blended and parts of them left "
        "out, so that theirs is usually the higher; where the validation loss rises while it falls, it learns by heart",
        "",
    ),
    "leaderboard": ("Leaderboard", "the members of the model by their validation score", ""),
    "summary_plot": ("What moves the answers", "how far each feature moves the answers, sample by sample", ""),
    "bar_plot": ("What matters", "how far each feature moves the answers on average, with 95 % intervals", ""),
    "dependence_plot": ("The first feature", "how far it moves the answers, by its own value", ""),
    "dependence_plot_2": ("The second feature", "how far it moves the answers, by its own value", ""),
    "dependence_plot_3": ("The third feature", "how far it moves the answers, by its own value", ""),
}  # fmt: skip
_OF_SAMPLES = {
    "waterfall_": ("Row {row}", "from the base value to the answer for this row of the dataset", ""),
    "lime_": ("Row {row}", "the local model around this row of the dataset", ""),
}

#: Not drawn from test rows.
_OF_THE_TRAINING = ("leaderboard", "learning_curve")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image for the page. `uri` is a data: URI; `alt` says in words what is to be seen."""

    name: str
    title: str
    caption: str
    alt: str
    uri: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """What could be read, in the order in which it is shown, and a sentence for each that could not."""

    shown: tuple[Picture, ...] = ()
    problems: tuple[str, ...] = ()


async def read_pictures(store: ObjectStore, results: Mapping[str, Any]) -> Pictures:
    """The pictures that a model's results name, each as the bytes that were recorded.

    Raises:
        StoreError: the store cannot be read.
    """
    named: dict[str, str] = results.get("pictures") or {}
    shown, problems = [], []
    for name in sorted(named, key=_place):
        try:
            shown.append(picture(name, named[name], await _read(store, named[name], results), results))
        except _NotShown as why:
            problems.append(f"The picture «{name}» is not shown: {why}")
    return Pictures(tuple(shown), tuple(problems))


class _NotShown(Exception):
    """A picture that is not as it was recorded, or is none. The message says why."""


async def _read(store: ObjectStore, path: str, results: Mapping[str, Any]) -> bytes:
    # By way of a file: that is checked on the way, and leaves none of obstore's own threads at work. A program that
    # ends while they are is aborted (measured: after `get` 1 process in 12, after `list` every other one).
    if PurePosixPath(path).suffix.lower() not in _TYPES:
        raise _NotShown("its file is neither SVG nor PNG")
    with TemporaryDirectory() as folder:
        recorded = {path: (results.get("files") or {}).get(path, "")}
        try:
            await store.download(results["artifacts_path"].strip("/"), Path(folder), recorded)
            file = Path(folder) / path
            size = file.stat().st_size
        except OmniScopeError as error:
            if error.reason not in _WRONG:
                raise
            raise _NotShown(_WRONG[error.reason]) from error
        except ValueError as error:
            raise _NotShown("its path leads nowhere") from error
        if size > MOST_BYTES:
            raise _NotShown(f"its file is larger than {MOST_BYTES // 1_000_000} MB")
        return file.read_bytes()


def _place(name: str) -> tuple[int, str]:
    known = list(_KNOWN)
    return (known.index(name) if name in known else len(known)), name


def picture(name: str, path: str, raw: bytes, results: Mapping[str, Any]) -> Picture:
    """An image file of the artifact as it goes into the page."""
    title, seen, measured_by = _described(name)
    type_ = _TYPES[PurePosixPath(path).suffix.lower()]
    uri = f"data:{type_};base64,{base64.b64encode(raw).decode('ascii')}"
    caption = seen[0].upper() + seen[1:]
    where = "" if name in _OF_THE_TRAINING or "n_test" not in results else f" on {results['n_test']:,} test rows"
    return Picture(name, title, caption, f"{title}{where}: {seen}.{_summed_up(measured_by, results)}", uri)


def _described(name: str) -> tuple[str, str, str]:
    for prefix, (title, seen, measured_by) in _OF_SAMPLES.items():
        if name.startswith(prefix):
            return title.format(row=name.removeprefix(prefix)), seen, measured_by
    return _KNOWN.get(name, (name.replace("_", " ").capitalize(), "a picture of this model", ""))


def _summed_up(measured_by: str, results: Mapping[str, Any]) -> str:
    value = results["metrics"].get(measured_by)
    if value is None:
        return ""
    within = interval(results["intervals"].get(measured_by))
    return f" {metric(measured_by).label} {figure(value)}{f' ({within})' if within else ''}."
