"""What an explanation tells: which features moved a model's answers, by how much, and how exact that is."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .outcomes import Fact, Interval


class ExplainedSample(Fact):
    """One explained row. `row` is its 0-based place in the dataset; `class_name` what it was explained for.

    `prediction` and `base_value` in the explanation's space; `contributions`: the largest by size, by feature.
    """

    row: int
    class_name: str | None = None
    prediction: float
    base_value: float
    contributions: dict[str, float]
    local_fit: float | None = None


class ExplanationFacts(Fact):
    """What explaining a model came to. Everything large lies in the artifact."""

    method: str
    #: Which algorithm gave the values, in words, and what is known of its error.
    explainer: str
    exactness: str = ""
    #: What the values add up to: probability or value.
    space: Literal["probability", "value"] = "probability"
    #: Feature → mean absolute value over samples (and classes), largest first; the first 200.
    feature_importance: dict[str, float]
    importance_intervals: dict[str, Interval] = Field(default_factory=dict)
    #: Class → the same for it alone, the first 20.
    class_importance: dict[str, dict[str, float]] = Field(default_factory=dict)
    #: What the picture shows (summary_plot, dependence_plot, …) → its path in the artifact.
    visualizations: dict[str, str]
    n_samples: int
    n_background: int = 0
    #: At most 100; all of them lie in the artifact.
    samples: list[ExplainedSample] = Field(default_factory=list)
    #: The largest distance between a prediction and its base value plus contributions.
    additivity_error: float | None = None
    #: The middle R² of the local models.
    local_fit: float | None = None
    #: How much of a sample's ranking stays when the local models are drawn anew, 0 to 1.
    stability: float | None = None
    warnings: list[str] = Field(default_factory=list)


class ExplanationCompleted(ExplanationFacts):
    """An explanation is there. Values of single samples stay in the store, under `artifacts_path`."""

    explanation_id: str
    job_id: str
    model_id: str
    dataset_id: str = ""
    artifacts_path: str
    files: dict[str, str]
    #: Of all that decides it, the model's files and this program's version included: equal for equal explanations.
    asked_sha256: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)
    created_by: str = "unknown"
    created_at: datetime
