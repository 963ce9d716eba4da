"""What a reader may ask of a list: the query parameters, as models. A field's name is its column's name."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from events.identifiers import Identifier
from events.outcomes import JobStatus
from events.topics import JobKind

from .cursors import MAX_LENGTH

ModelType = Literal["automl", "deep_learning", "transfer_learning", "ensemble"]


class NoParameters(BaseModel):
    """For an address that takes none: saying so catches the misspelt ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ListFilter(NoParameters):
    """Paging, the same for every list: newest first."""

    table: ClassVar[str]

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    """How many items to return at most."""
    cursor: Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)] | None = None
    """The `next` of the page before. Keep the filters as they were."""

    def conditions(self) -> dict[str, str]:
        """Column → the value asked for; only what was asked."""
        asked = self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True)
        return {name: str(value) for name, value in asked.items()}

    @property
    def scope(self) -> str:
        """Names this list with these filters: a cursor of one is of no use in another."""
        return "&".join([self.table, *(f"{name}={value}" for name, value in sorted(self.conditions().items()))])


class JobFilter(ListFilter):
    table = "training_jobs"

    status: JobStatus | None = None
    """Only jobs in this status."""
    kind: JobKind | None = None
    """Only jobs of this kind of work."""
    dataset_id: Identifier | None = None
    """Only jobs on this dataset."""


class ModelFilter(ListFilter):
    table = "ml_models"

    type: ModelType | None = None
    """Only models made by this kind of training."""
    dataset_id: Identifier | None = None
    """Only models trained on this dataset."""


class ExplanationFilter(ListFilter):
    table = "explanations"


class DatasetFilter(ListFilter):
    table = "datasets"

    status: Literal["uploaded", "registered", "rejected"] | None = None
    """Only datasets in this status."""
