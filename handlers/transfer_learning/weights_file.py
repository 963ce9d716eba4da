"""A file of pretrained weights, read without running anything in it, and put into the network it belongs to."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.networks.backbones import Backbone
from handlers.training.checkpoints import UNREADABLE

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Tensors = dict[str, torch.Tensor]

#: Under which keys a training's checkpoint keeps a network's tensors.
_WRAPPED = ("state_dict", "model", "model_ema")
#: How torchvision's dense networks were saved before a name could not hold a dot: norm.1 for norm1.
_DOTTED = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")


def read_tensors(path: Path) -> Tensors:
    """The tensors in a file of safetensors, or in one that `torch.load` reads with `weights_only`, by name.

    Raises:
        JobRefused: `weights_refused`, the file is no such thing.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *UNREADABLE) as error:
        raise refused(path, "cannot be read as weights and nothing else") from error
    if isinstance(found, dict):
        found = next((found[key] for key in _WRAPPED if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise refused(path, "holds something other than named tensors")
    return {_DOTTED.sub(r"\1\2", str(name)): value for name, value in found.items()}


def fill(made: Backbone, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Puts tensors into a network, each of its stages' parameters; the classifier may be any or none.

    Raises:
        JobRefused: `weights_refused`: tensors are missing, too many, of another shape or not finite.
    """
    model = made.model
    tensors = _placed(made, _renamed(model, tensors))
    own = {name: value.shape for name, value in model.state_dict().items()}
    needed = _of_stages(made)
    missing = [name for name in needed if name not in tensors and not name.endswith("num_batches_tracked")]
    others = [name for name in own if name not in needed]
    beyond = {name.partition(".")[0] for name in others} - {name.partition(".")[0] for name in needed}
    unexpected = [name for name in tensors if name not in own and name.partition(".")[0] not in beyond]
    present = {name: tensors[name] for name in needed if name in tensors}
    misshapen = [name for name, value in present.items() if value.shape != own[name]]
    strange = [name for name, value in present.items() if not _is_plain(value, model.state_dict()[name])]
    faults = {
        "are missing": missing,
        "are not known to it": unexpected,
        "have another shape": misshapen,
        "are of another type": strange,
    }
    if not any(faults.values()):
        faults["are not finite"] = [name for name, value in present.items() if not torch.isfinite(value).all()]
    for what, names in faults.items():
        if names:
            raise refused(path, f"does not fit {type(model).__name__}: {len(names):,} tensors {what} ({names[0]}, …)")
    model.load_state_dict(present, strict=False)


def _is_plain(value: torch.Tensor, like: torch.Tensor) -> bool:
    """Whether a tensor lies in memory as numbers do, real ones where real ones are wanted."""
    if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
        return False
    return value.dtype in _FLOATS if like.is_floating_point() else not value.is_floating_point()


def _of_stages(made: Backbone) -> list[str]:
    """The names that the stages' parameters and buffers have in the whole network."""
    owned = {id(value) for stage in made.stages for value in [*stage.parameters(), *stage.buffers()]}
    return [name for name, value in made.model.state_dict(keep_vars=True).items() if id(value) in owned]


def _placed(made: Backbone, tensors: Tensors) -> Tensors:
    """Positions of patches, resampled where the network sees images of another size."""
    for name in ("encoder.pos_embedding", "pos_embed"):
        mine = made.model.state_dict().get(name)
        theirs = tensors.get(name)
        if mine is None or theirs is None or mine.shape == theirs.shape or theirs.dim() != 3:
            continue
        prefix = next((prefix for prefix in (made.prefix, 0) if _is_square(mine.shape[1] - prefix)), None)
        if prefix is None or not _is_square(theirs.shape[1] - prefix):
            continue
        from timm.layers.pos_embed import resample_abs_pos_embed

        side = math.isqrt(mine.shape[1] - prefix)
        tensors[name] = resample_abs_pos_embed(theirs, [side, side], num_prefix_tokens=prefix)
    return tensors


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def _renamed(model: Any, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Names of the package efficientnet_lite_pytorch as timm has them; others stay as they are."""
    if "_conv_stem.weight" not in tensors or not hasattr(model, "blocks"):
        return dict(tensors)
    places = [f"blocks.{stage}.{number}" for stage, blocks in enumerate(model.blocks) for number in range(len(blocks))]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    renamed = {}
    for name, value in tensors.items():
        first, _, rest = name.partition(".")
        if first != "_blocks":
            renamed[f"{outer.get(first, first)}.{rest}"] = value
            continue
        number, part, leaf = rest.split(".", 2)
        expands = f"_blocks.{number}._expand_conv.weight" in tensors
        place = places[int(number)] if int(number) < len(places) else name
        renamed[f"{place}.{_part(part, expands)}.{leaf}"] = value
    return renamed


def _part(part: str, expands: bool) -> str:
    """What timm calls a part of a block: without an expansion, what follows it moves up."""
    with_expansion = {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3", "_project_conv": "conv_pwl"}
    without = {"_bn1": "bn1", "_bn2": "bn2", "_project_conv": "conv_pw"}
    always = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw"}
    return {**always, **(with_expansion if expands else without)}.get(part, part)


def refused(path: Path, why: str) -> JobRefused:
    """The refusal of a file, by its name."""
    return JobRefused(ReasonCode.WEIGHTS_REFUSED, f"the weights in {path.name} are refused: the file {why}")
