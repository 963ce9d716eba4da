"""The pictures of a model: read from the store, checked, and made part of the page as images.

An SVG in an `<img>` can run nothing and load nothing (SVG 2, «secure static mode»), whoever wrote it.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from infra.storage.store import ObjectStore

from .metrics import metric
from .numbers import figure, interval

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
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
    "leaderboard": ("Leaderboard", "the members of the model by their validation score", ""),
}  # fmt: skip


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
        raw = await store.get(f"{results['artifacts_path'].strip('/')}/{named[name]}")
        wrong = _wrong(named[name], raw, (results.get("files") or {}).get(named[name]))
        if raw is None or wrong:
            problems.append(f"The picture «{name}» is not shown: {wrong}")
        else:
            shown.append(picture(name, named[name], raw, results))
    return Pictures(tuple(shown), tuple(problems))


def _place(name: str) -> tuple[int, str]:
    known = list(_KNOWN)
    return (known.index(name) if name in known else len(known)), name


def _wrong(path: str, raw: bytes | None, sha256: str | None) -> str:
    if raw is None:
        return "its file is not in the artifact any more"
    if sha256 and hashlib.sha256(raw).hexdigest() != sha256:
        return "its file is not the one that was recorded"
    if PurePosixPath(path).suffix.lower() not in _TYPES:
        return "its file is neither SVG nor PNG"
    return f"its file is larger than {MOST_BYTES // 1_000_000} MB" if len(raw) > MOST_BYTES else ""


def picture(name: str, path: str, raw: bytes, results: Mapping[str, Any]) -> Picture:
    """An image file of the artifact as it goes into the page."""
    title, seen, measured_by = _KNOWN.get(name, (name.replace("_", " ").capitalize(), "a picture of this model", ""))
    type_ = _TYPES[PurePosixPath(path).suffix.lower()]
    uri = f"data:{type_};base64,{base64.b64encode(raw).decode('ascii')}"
    caption = seen[0].upper() + seen[1:]
    where = "" if name == "leaderboard" else f" on {results['n_test']:,} test rows"
    return Picture(name, title, caption, f"{title}{where}: {seen}.{_summed_up(measured_by, results)}", uri)


def _summed_up(measured_by: str, results: Mapping[str, Any]) -> str:
    value = results["metrics"].get(measured_by)
    if value is None:
        return ""
    within = interval(results["intervals"].get(measured_by))
    return f" {metric(measured_by).label} {figure(value)}{f' ({within})' if within else ''}."
