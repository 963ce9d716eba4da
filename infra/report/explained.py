"""What an explanation says, for a report: which features matter, how exact that is, and its pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.storage.store import ObjectStore

from .numbers import figure, interval
from .pictures import Picture, Pictures, read_pictures
from .trust import checks

#: More rows than anybody reads; all are in the artifact.
_MOST_FEATURES = 10
_MOST_CLASSES, _MOST_OF_CLASS = 12, 4
#: Single samples that are shown: the others have pictures in the artifact.
_MOST_SAMPLES = 3
_OF_SAMPLE = ("waterfall_", "lime_")


@dataclass(frozen=True, slots=True)
class Feature:
    """A line of the ranking."""

    name: str
    moves: str
    interval: str


@dataclass(frozen=True, slots=True)
class OfClass:
    """The first features of one class."""

    name: str
    features: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The report's section. `unit`: what a feature moves; `checks`: sentences about how far it can be trusted."""

    how: str
    unit: str
    features: tuple[Feature, ...]
    n_more: int
    classes: tuple[OfClass, ...]
    checks: tuple[str, ...]
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]


async def read_explained(store: ObjectStore, told: Mapping[str, Any]) -> Explained:
    """Gathers the section. `told`: an explanation, as the read API answers it.

    Raises:
        StoreError: the store cannot be read.
    """
    chosen = dict(_chosen(told["visualizations"]))
    pictures = await read_pictures(store, {**told, "pictures": chosen, "metrics": {}, "intervals": {}})
    return explained(told, pictures)


def explained(told: Mapping[str, Any], pictures: Pictures) -> Explained:
    """The section, with pictures that were read."""
    importance: dict[str, float] = told["feature_importance"]
    held = told.get("importance_intervals") or {}
    features = [
        Feature(name, figure(value), interval(held.get(name)))
        for name, value in list(importance.items())[:_MOST_FEATURES]
    ]
    by_class = list((told.get("class_importance") or {}).items())[:_MOST_CLASSES]
    samples = "1 sample" if told["n_samples"] == 1 else f"{told['n_samples']:,} samples"
    return Explained(
        how=f"{told['explainer']}, on {samples} against {told['n_background']:,} background rows.",
        unit="the predicted probability" if told["space"] == "probability" else "the predicted value",
        features=tuple(features),
        n_more=len(importance) - len(features),
        classes=tuple(OfClass(name, ", ".join(list(some)[:_MOST_OF_CLASS])) for name, some in by_class),
        checks=tuple(checks(told)),
        warnings=(*told["warnings"], *pictures.problems),
        pictures=pictures.shown,
    )


def _chosen(pictures: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    samples = [name for name in pictures if name.startswith(_OF_SAMPLE)][:_MOST_SAMPLES]
    return ((name, path) for name, path in pictures.items() if not name.startswith(_OF_SAMPLE) or name in samples)
