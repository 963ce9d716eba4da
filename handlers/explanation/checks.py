"""Requests that cannot be carried out, told before anything expensive is begun."""

from events.errors import ReasonCode
from events.requests import ExplanationRequested
from handlers.contract import DatasetFile, Inputs, JobRefused, ModelFiles


def asked_model(request: ExplanationRequested, inputs: Inputs) -> tuple[ModelFiles, DatasetFile]:
    """The model that is to be explained and its dataset, which must be the one it was trained on.

    Raises:
        JobRefused: `model_unknown`, `dataset_unknown`, `dataset_changed`, or `model_unsuitable` for the method.
    """
    model = inputs.models.get(request.model_id)
    if model is None:
        raise JobRefused(
            ReasonCode.MODEL_UNKNOWN, f"there is no model {request.model_id} here: send the model_id of a finished one"
        )
    if inputs.dataset is None:
        raise JobRefused(
            ReasonCode.DATASET_UNKNOWN,
            f"the dataset that model {request.model_id} was trained on cannot be read: upload it again",
        )
    _refuse_changed(model, inputs.dataset)
    if request.method == "lime":
        _refuse_ordered(model)
    return model, inputs.dataset


def _refuse_changed(model: ModelFiles, dataset: DatasetFile) -> None:
    recorded = str(model.facts.get("dataset_sha256") or "")
    if recorded.lower() != dataset.sha256.lower():
        raise JobRefused(
            ReasonCode.DATASET_CHANGED,
            f"the dataset «{dataset.dataset_id}» is not what model {model.model_id} was trained on: its sha256 is "
            f"{dataset.sha256[:12]}…, then it was {recorded[:12] or 'not recorded'}…: bring back that file, or train "
            "a model on this one",
        )


def _refuse_ordered(model: ModelFiles) -> None:
    """What a series or an image shows is in the order of its values, of which nothing is left when each is redrawn."""
    shape = (model.facts.get("training_config") or {}).get("input_shape")
    if shape is not None:
        raise JobRefused(
            ReasonCode.MODEL_UNSUITABLE,
            f"method lime is for tables, and model {model.model_id} reads series or images (input_shape {shape}): "
            "send method shap",
        )
