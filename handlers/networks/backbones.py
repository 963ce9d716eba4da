"""Vision networks of torchvision and timm, taken apart into stages: what comes after another, without the classifier.

Nothing here loads weights, and nothing reaches for a network: timm is never asked for pretrained ones.
"""

import copy
import re
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .torchvision_guard import import_torchvision

FAMILIES = ("torchvision", "timm")
SUPPORTED = (
    "torchvision's alexnet, convnext, densenet, efficientnet, mobilenet, regnet, resnet, resnext, shufflenet, swin, "
    "vgg, vit and wide_resnet, and those of timm that are a plain sequence of stages"
)
#: torchvision's classes whose children, one after another, are the network.
_SEQUENTIAL = (
    *("AlexNet", "ConvNeXt", "DenseNet", "EfficientNet", "MobileNetV2", "MobileNetV3", "RegNet", "ResNet"),
    *("ShuffleNetV2", "SwinTransformer", "VGG"),
)
#: Children that hold the stages: their own children are counted.
_HOLDERS = ("features", "blocks", "stages", "layers", "trunk_output")
#: The first of these children begins the classifier.
_ENDS = ("permute", "avgpool", "global_pool", "flatten", "head_drop", "fc_norm", "head", "heads", "fc", "classifier")


@dataclass(frozen=True, slots=True)
class Backbone:
    """`model`: the whole network; `stages`: its parts in order, sharing its parameters, the classifier left out.

    Images are `size` x `size` pixels: what was asked for, or for patches the next multiple of their side.

    Stages pass on maps (n, channels, h, w), with `channels_last` (n, h, w, channels), or tokens (n, `prefix` + h·w,
    channels), the first of the prefix being the token of the class.
    """

    model: nn.Module
    stages: list[nn.Module]
    size: int
    channels_last: bool = False
    prefix: int = 0


def make_backbone(family: str, name: str, size: int) -> Backbone:
    """The network `name` with random weights, for images of `size` x `size` pixels.

    Raises:
        ValueError: nothing is called so, or it cannot be taken apart into stages, or not for images of this size.
        ModuleNotFoundError: torchvision or timm is not installed.
    """
    if family not in FAMILIES:
        raise ValueError(f"{family!r} is no library of networks: {' or '.join(FAMILIES)}")
    return _of_torchvision(name, size) if family == "torchvision" else _of_timm(name, size)


def _of_torchvision(name: str, size: int) -> Backbone:
    models = import_torchvision().models
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classifier of images called {name!r}; supported are {SUPPORTED}")
    if name.startswith("vit_"):
        size = _whole_patches(name, size)
        return _torchvision_tokens(models.get_model(name, weights=None, image_size=size), size)
    kind = type(made := _made(models, name)).__name__
    if kind not in _SEQUENTIAL:
        raise ValueError(f"{name} ({kind}) cannot be taken apart into stages; supported are {SUPPORTED}")
    # The activation that ends a DenseNet stands in its code and not among its children.
    last = [nn.ReLU()] if kind == "DenseNet" else []
    return Backbone(made, grouped([*_pieces(made), *last]), size, channels_last=kind == "SwinTransformer")


def _made(models: Any, name: str) -> nn.Module:
    # googlenet and inception_v3 announce that they will be initialised differently; they are refused a line later.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        made: nn.Module = models.get_model(name, weights=None)
    return made


def _of_timm(name: str, size: int) -> Backbone:
    import_torchvision()
    import timm

    if not timm.is_model(name):
        raise ValueError(f"timm has no network called {name!r}; supported are {SUPPORTED}")
    tokens = timm.model_entrypoint(name).__module__ in ("timm.models.vision_transformer", "timm.models.deit")
    size = _whole_patches(name, size) if tokens else size
    sized: dict[str, Any] = {"img_size": size} if tokens else {}
    model = timm.create_model(name, pretrained=False, **sized)
    if tokens and hasattr(model, "patch_embed") and hasattr(model, "num_prefix_tokens"):
        found = _timm_tokens(model, size)
    else:
        found = Backbone(model, grouped(_pieces(model)), size, getattr(model, "output_fmt", "NCHW") == "NHWC")
    _check(found, name)
    return found


def _check(found: Backbone, name: str) -> None:
    """Whether the stages give what the network gives: of timm's 1,300 not all are a sequence of their children."""
    training = found.model.training
    found.model.eval()
    image = torch.linspace(-1, 1, 3 * found.size**2).view(1, 3, found.size, found.size)
    try:
        with torch.no_grad():
            whole: torch.Tensor = found.model.forward_features(image)  # type: ignore[operator]
            same = torch.allclose(nn.Sequential(*found.stages)(image), whole, rtol=1e-3, atol=1e-4)
    except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = f"cannot be taken apart into stages for images of {found.size} x {found.size} pixels"
        raise ValueError(f"timm's {name} {reason}; supported are {SUPPORTED}") from error
    if not same:
        raise ValueError(f"timm's {name} is more than a sequence of its stages; supported are {SUPPORTED}")
    found.model.train(training)


def _pieces(model: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for name, child in model.named_children():
        if name in _ENDS:
            break
        found.extend(child.children() if name in _HOLDERS else [child])
    return found


def grouped(pieces: list[nn.Module]) -> list[nn.Module]:
    """Stages that learn something: norms, activations and pooling join the convolution or block before them."""
    groups: list[list[nn.Module]] = []
    for piece in pieces:
        learns = any(isinstance(part, nn.Conv2d | nn.Linear) for part in piece.modules())
        if learns or not groups:
            groups.append([])
        groups[-1].append(piece)
    return [group[0] if len(group) == 1 else nn.Sequential(*group) for group in groups]


def _whole_patches(name: str, size: int) -> int:
    """The next multiple of a patch's side, which stands in the name: vit_b_16, vit_tiny_patch16_224."""
    written = re.search(r"patch(\d+)", name) or re.search(r"^vit_\w_(\d+)", name)
    patch = int(written[1]) if written else 16
    return -(-size // patch) * patch


class TorchvisionTokens(nn.Module):
    """(n, 3, h, w) → (n, 1 + patches, d): the first part of torchvision's vision transformer."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.conv_proj, self.dropout = model.conv_proj, model.encoder.dropout
        self.class_token, self.pos_embedding = model.class_token, model.encoder.pos_embedding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        placed: torch.Tensor = self.dropout(tokens + self.pos_embedding)
        return placed


def _torchvision_tokens(model: Any, size: int) -> Backbone:
    layers = [TorchvisionTokens(model), *model.encoder.layers, model.encoder.ln]
    return Backbone(model, grouped(layers), size, prefix=1)


class TimmTokens(nn.Module):
    """(n, 3, h, w) → (n, prefix + patches, d): timm's vision transformer without what follows its tokens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # Shares the parameters; the copy's own lists of children can be shortened without touching the network.
        self.model = copy.copy(model)
        self.model._modules = dict(model._modules)
        for name in ("blocks", "norm", "fc_norm", "head_drop", "head", "attn_pool"):
            if name in self.model._modules:
                self.model._modules[name] = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.model.forward_features(x)
        return tokens


def _timm_tokens(model: Any, size: int) -> Backbone:
    layers = [TimmTokens(model), *model.blocks, model.norm]
    return Backbone(model, grouped(layers), size, prefix=model.num_prefix_tokens)
