"""Which function does which work. Names are strings, so that reading this imports nothing heavy."""

from dataclasses import dataclass

from events.topics import JobKind


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """`entry` is `module:function`; `preload` is imported once by the warm server, before any job.

    A `light` kind has a slot of its own: it never waits behind a training.
    """

    entry: str
    preload: tuple[str, ...] = ()
    light: bool = False


_NETWORKS = (
    "torch",
    "torch._dynamo",
    "pytorch_lightning",
    "mlflow.pyfunc",
    "sklearn.linear_model",
    "handlers.pictures",
)

_ANY_MODEL = (*_NETWORKS, "autogluon.tabular")

HANDLERS: dict[JobKind, HandlerSpec] = {
    JobKind.NOOP: HandlerSpec("handlers.noop:run"),
    JobKind.AUTOML: HandlerSpec(
        "handlers.automl.handler:run",
        preload=(
            "torch",
            "autogluon.tabular",
            "mlflow.pyfunc",
            "torch._dynamo",
            "sklearn.linear_model",
            "handlers.pictures",
        ),
    ),
    JobKind.DEEP_LEARNING: HandlerSpec("handlers.deep_learning.handler:run", preload=_NETWORKS),
    JobKind.TRANSFER_LEARNING: HandlerSpec("handlers.transfer_learning.handler:run", preload=_NETWORKS),
    # Members are loaded, and on small tables trained again, whatever kind they are.
    JobKind.ENSEMBLE: HandlerSpec("handlers.ensemble.handler:run", preload=_ANY_MODEL),
    JobKind.EXPLANATION: HandlerSpec(
        "handlers.explanation.handler:run", preload=(*_ANY_MODEL, "handlers.attribution.tree_shap"), light=True
    ),
}

#: What the agent for uploads is called; all others are called as their kind.
DATASETS = "datasets"

#: Looking into an uploaded file is no job of its own, but runs in the same way.
PROFILE = HandlerSpec("handlers.datasets.profile:run", preload=("pandas", "pyarrow.parquet"), light=True)
