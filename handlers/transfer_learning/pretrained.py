"""Where the fine-tuning of a pretrained vision network starts from."""

from pathlib import Path

import numpy as np
import torch

from events.errors import ReasonCode
from handlers.contract import BaseWeights, JobRefused
from handlers.networks.backbones import make_backbone
from handlers.networks.vision import VisionEncoder
from handlers.training.layout import fit_layout
from handlers.training.rows import Rows

from .architectures import architecture
from .base_models import BaseModel
from .starts import Start
from .weights_file import fill, read_tensors


def vision_start(
    base: BaseModel,
    weights: BaseWeights | None,
    rows: Rows,
    *,
    seed: int,
    is_random: bool = False,
    shape: list[int] | None = None,
) -> Start:
    """A vision network of torchvision or timm for rows: images of `shape`, or features laid out in a plane.

    The plane is fitted on the rows that are fitted. Weights are random only with `is_random`, for which none are read.

    Raises:
        JobRefused: `weights_missing`, there are none and random ones were not asked for; `weights_refused`, they do
            not fill the network; `model_unsuitable`, it cannot be used here; `invalid_field`, its file tells no
            architecture.
    """
    if weights is None and not is_random:
        raise JobRefused(
            ReasonCode.WEIGHTS_MISSING,
            f"the weights of {base} are not on this machine: omniscope-ml weights prefetch {base}, or send "
            '"weights": "random"',
        )
    path = None if weights is None or is_random else weights.path
    family, backbone = architecture(base, None if weights is None else weights.path)
    torch.manual_seed(seed)
    layout = None if shape is not None else fit_layout(rows.X[rows.fit]).tolist()
    try:
        encoder = VisionEncoder(rows.X.shape[1], family, backbone, shape=shape, layout=layout)
        _restore(encoder, rows)
        _take(encoder, path)
    except ValueError as error:
        raise JobRefused(ReasonCode.MODEL_UNSUITABLE, f"base_model «{base}» cannot be used: {error}") from error
    return Start(encoder, None, f"{base} ({backbone})", _told(encoder), is_random)


def _restore(encoder: VisionEncoder, rows: Rows) -> None:
    """Undoes for images what a network does to each feature when it scales."""
    mean, spread = rows.X.mean(axis=0, dtype=np.float64), rows.X.std(axis=0, dtype=np.float64)
    encoder.restore(torch.as_tensor(mean), torch.as_tensor(spread))


def _take(encoder: VisionEncoder, path: Path | None) -> None:
    if path is None:
        return
    told = encoder.arguments
    made = make_backbone(told["family"], told["backbone"], told["size"])
    fill(made, read_tensors(path), path)
    encoder.take(made)


def _told(encoder: VisionEncoder) -> list[str]:
    if encoder.arguments["shape"] is not None:
        return []
    return [
        "Features were laid out as an image for a network that learned from photographs: on gene expression that has "
        "been worse than a linear model wherever it was measured; an encoder of an earlier job (job:<model_id>) is "
        "the better base"
    ]
