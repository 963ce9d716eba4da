"""Registered models: one for each dataset and target, a version for each job, and who is challenger and champion.

Both aliases follow from what the versions' tags say, whatever was told first. Aliases cannot be compared and set, so
there must be one writer at a time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from events.outcomes import ModelCompleted
from handlers.metrics import is_better
from infra.tracking.names import registered_name
from infra.tracking.tracking_store import TrackingStore

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
CHAMPION = "champion"

#: Tags of a version.
_TOLD_IN = "told_in"
_PROMOTION = "promotion"
_UNNAMED = "model"


class NoSuchModel(Exception):
    """No version is that model's, yet."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A model's version, and whether the log that is read now has been told of it."""

    name: str
    version: str
    alias: str | None
    is_told: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """A person's word for a model. `key` sorts promotions by the broker's time; `at` is that time."""

    model_id: str
    approved_by: str
    reason: str | None
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Promoted:
    """What came of a promotion; `champion`: no later one is known."""

    name: str
    version: str
    champion: bool


class Versions:
    """The model registry of one tracking store. Blocks: call it from a thread of its own, one at a time.

    Args:
        epoch: the life of the log that is read: each is told once of a version.
    """

    def __init__(self, store: TrackingStore, epoch: str) -> None:
        self._client = store.client
        self._epoch = epoch

    def register(self, fact: ModelCompleted, run_id: str, source: Callable[[], str]) -> Registered:
        """The model's version, made if there is none; the challenger of its name is found anew.

        Args:
            source: where the model directory lies, asked for only where a version has to be made.
        """
        name = registered_name(fact.dataset_id or fact.model_type, fact.target_column or _UNNAMED)
        aliases = self._aliases(name, fact)
        versions = self._versions(name)
        own = next((version for version in versions if version.tags.get("model_id") == fact.model_id), None)
        if own is None:
            own = self._client.create_model_version(
                name,
                source(),
                run_id,
                tags=_tags(fact),
                description=f"{fact.model_name}: {fact.architecture}",
                await_creation_for=0,
            )
            versions.append(own)
        challenger = _challenger(versions)
        self._point(name, CHALLENGER, challenger, aliases)
        alias = CHALLENGER if challenger is not None and challenger.version == own.version else None
        return Registered(name, str(own.version), alias, own.tags.get(_TOLD_IN) == self._epoch)

    def told(self, registered: Registered) -> None:
        """Remembers that this log holds the event."""
        self._client.set_model_version_tag(registered.name, registered.version, _TOLD_IN, self._epoch)

    def promote(self, promotion: Promotion) -> Promoted:
        """Notes the promotion, and makes the model champion unless a later promotion has made another one.

        Raises:
            NoSuchModel: the model is not registered, so far.
        """
        found = self._client.search_model_versions(f"tags.model_id = '{promotion.model_id}'")
        if not found:
            raise NoSuchModel(promotion.model_id)
        name, version = found[0].name, str(found[0].version)
        if found[0].tags.get(_PROMOTION, "") < promotion.key:
            self._note(name, version, promotion)
        versions = self._versions(name)
        champion = max(versions, key=lambda one: one.tags.get(_PROMOTION, ""))
        self._point(name, CHAMPION, champion, dict(self._client.get_registered_model(name).aliases))
        return Promoted(name, version, champion=champion.tags.get(_PROMOTION) == promotion.key)

    def remove(self, model_id: str) -> None:
        """Takes the model's version out of the registry. Its aliases go to the next best, or away, and then it goes.

        The champion is then the one that was promoted last of those that are left.
        """
        for gone in self._client.search_model_versions(f"tags.model_id = '{model_id}'"):
            name = gone.name
            left = [one for one in self._versions(name) if one.version != gone.version]
            aliases = dict(self._client.get_registered_model(name).aliases)
            self._point(name, CHALLENGER, _challenger(left), aliases)
            promoted = [one for one in left if one.tags.get(_PROMOTION)]
            self._point(name, CHAMPION, max(promoted, key=lambda one: one.tags[_PROMOTION], default=None), aliases)
            self._client.delete_model_version(name, str(gone.version))

    def _note(self, name: str, version: str, promotion: Promotion) -> None:
        told = {
            "approved_by": promotion.approved_by,
            "promotion_reason": promotion.reason or "",
            "promoted_at": promotion.at.isoformat(),
            _PROMOTION: promotion.key,  # last: what decides is there only with all the rest
        }
        for tag, value in told.items():
            self._client.set_model_version_tag(name, version, tag, value)

    def _aliases(self, name: str, fact: ModelCompleted) -> dict[str, str]:
        """The aliases of a name, which is made if it is not there."""
        from mlflow.exceptions import MlflowException

        try:
            return dict(self._client.get_registered_model(name).aliases)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        about = {"dataset_id": fact.dataset_id, "target_column": fact.target_column}
        described = f"Predicts «{fact.target_column}» of dataset {fact.dataset_id}"
        self._client.create_registered_model(name, tags=about, description=described)
        return {}

    def _versions(self, name: str) -> list["ModelVersion"]:
        found: list[ModelVersion] = []
        page: Any = None
        while page is None or page.token:
            token = page.token if page else None
            page = self._client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
            found += page
        return found

    def _point(self, name: str, alias: str, version: "ModelVersion | None", aliases: dict[str, str]) -> None:
        if version is None:
            if alias in aliases:
                self._client.delete_registered_model_alias(name, alias)
        elif str(aliases.get(alias)) != str(version.version):
            self._client.set_registered_model_alias(name, alias, str(version.version))


def _tags(fact: ModelCompleted) -> dict[str, str]:
    score = {} if fact.validation_score is None else {"validation_score": repr(fact.validation_score)}
    made = fact.created_at if fact.created_at.tzinfo else fact.created_at.replace(tzinfo=UTC)
    return {
        "model_id": fact.model_id,
        "job_id": fact.job_id,
        "model_name": fact.model_name,
        "split_id": fact.split_id,
        "primary_metric": fact.primary_metric,
        "group_column": str(fact.training_config.get("group_column") or ""),
        "created_at": made.astimezone(UTC).isoformat(timespec="microseconds"),
        **score,
    }


def _challenger(versions: Iterable["ModelVersion"]) -> "ModelVersion | None":
    """The best by validation score among those that can be compared with the newest; of equals, the older one.

    Once a model has kept groups whole, one that has not is no challenger: its score is flattered.
    """
    versions = list(versions)
    grouped = [one for one in versions if one.tags.get("group_column")]
    by_age = sorted(grouped or versions, key=lambda one: (one.tags.get("created_at", ""), one.tags.get("model_id", "")))
    if not by_age:
        return None
    newest = by_age[-1].tags
    metric = newest.get("primary_metric", "")
    best: ModelVersion | None = None
    for one in by_age:
        comparable = one.tags.get("split_id") == newest.get("split_id") and one.tags.get("primary_metric") == metric
        if comparable and _score(one) is not None and (best is None or _beats(one, best, metric)):
            best = one
    return best


def _beats(one: "ModelVersion", other: "ModelVersion", metric: str) -> bool:
    mine, others = _score(one), _score(other)
    return mine is not None and others is not None and is_better(metric, mine, others)


def _score(version: "ModelVersion") -> float | None:
    try:
        score = float(version.tags["validation_score"])
    except (KeyError, ValueError):
        return None
    return score if score == score else None  # not-a-number compares with nothing
