"""Vision networks of torchvision and timm as encoders of rows: a row is an image, or its features become one."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from .backbones import Backbone, make_backbone
from .encoder import Encoder
from .plane import Plane, side_of

#: An image's channels as the networks know them.
_COLOURS = 3
#: A map of features keeps this many places along each side, fewer where the embedding would become too wide.
_PLACES = 4
_WIDEST = 4096
#: Sides of the images that the backbone sees, in pixels: the smallest and the largest that are chosen unasked.
_SIZES = (32, 128)


class VisionEncoder(Encoder):
    """A classifier of images without its classifier: an image of the row, the network's stages, places kept apart.

    A block each: the image, then every stage; the last stage's block ends in the embedding. Small images lose in the
    late stages what tells them apart, and in a mean over the whole map where it was: so `stages` of the backbone are
    used, and the map is averaged down to `places` x `places` and no further.

    `shape`: [channels, height, width] of a true image; without it, features lie in a square as `layout` says (see
    `Plane`; it is saved with the weights). `size`: side of the image the backbone sees, in pixels (patches round it
    up). Buffer `keep_norms`: batch norms hold on to the statistics they came with, in training too, as is right for
    pretrained weights and a few rows.

    Raises:
        ValueError: the backbone does not exist or cannot be used so; the message says what can be done.
    """

    name = "vision"
    #: An image network makes some hundred times as much of a row as a row holds.
    rows_at_once = 32
    keep_norms: torch.Tensor

    def __init__(
        self,
        n_features: int,
        family: str,
        backbone: str,
        shape: list[int] | None = None,
        layout: Sequence[int] | None = None,
        size: int | None = None,
        stages: int | None = None,
        places: int | None = None,
    ) -> None:
        made = make_backbone(family, backbone, _size(n_features, shape) if size is None else size)
        channels = channels_of(shape)
        see_channels(made.stages, channels)
        outputs = _outputs(made, channels)
        stages = _suitable(outputs) if stages is None else stages
        if not 1 <= stages <= len(made.stages):
            raise ValueError(f"{backbone} has {len(made.stages)} stages, {stages} of them cannot be used")
        n_channels, side = outputs[stages - 1]
        places = _fitting(n_channels, side) if places is None else places
        super().__init__(
            n_features=n_features,
            family=family,
            backbone=backbone,
            shape=shape,
            size=made.size,
            stages=stages,
            places=places,
        )
        self.register_buffer("keep_norms", torch.zeros((), dtype=torch.bool))
        self.width = n_channels * places**2 + (n_channels if made.prefix else 0)
        image = Image(n_features, shape, layout, made.size)
        embedding = Embedding(self.width, places, made.channels_last, made.prefix)
        last = nn.Sequential(made.stages[stages - 1], embedding)
        self.blocks = nn.ModuleList([image, *made.stages[: stages - 1], last])

    def restore(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        """Tells the image how its pixels were scaled, see `Image.restore`."""
        image = self.blocks[0]
        assert isinstance(image, Image)
        image.restore(mean, spread)

    def take(self, made: Backbone) -> None:
        """Takes the weights of a whole network: for three colours, of this one's size."""
        see_channels(made.stages, channels_of(self.arguments["shape"]))
        *others, last = list(self.blocks)[1:]
        assert isinstance(last, nn.Sequential)
        for own, theirs in zip([*others, last[0]], made.stages, strict=False):
            own.load_state_dict(theirs.state_dict())
        self.keep_norms.fill_(True)

    def train(self, mode: bool = True) -> "VisionEncoder":
        """Batch norms that keep their statistics predict even in training."""
        super().train(mode)
        if self.keep_norms:
            for part in self.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self


class Image(nn.Module):
    """(n, p) → (n, channels, size, size): true images, or features in a plane; grey ones become three channels.

    Buffers `gain`, `offset` (p,): what a pixel is multiplied by, and then what is added to it, see `restore`.
    """

    gain: torch.Tensor
    offset: torch.Tensor

    def __init__(self, n_features: int, shape: list[int] | None, layout: Sequence[int] | None, size: int) -> None:
        super().__init__()
        if shape is not None and (len(shape) != 3 or math.prod(shape) != n_features):
            raise ValueError(f"{n_features} features are no image of [channels, height, width] = {shape}")
        self.size, self._shape = size, shape
        places = range(n_features) if layout is None else layout
        self.view: nn.Module = Plane(places) if shape is None else nn.Unflatten(1, tuple(shape))
        self.register_buffer("gain", torch.ones(n_features))
        self.register_buffer("offset", torch.zeros(n_features))

    def restore(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        """Makes true images of pixels that were scaled one by one, to deviation 1: scaled by channel instead.

        A pixel in a corner that hardly ever changes would else be as loud as one in the middle. `mean`, `spread`: (p,)
        means and deviations; a pixel that never changed was left in its own units. Features in a plane have units of
        their own: they stay as they are.
        """
        if self._shape is None:
            return
        means, spreads = (values.view(self._shape[0], -1) for values in (mean, spread))
        middle = means.mean(dim=1, keepdim=True)
        whole = (spreads**2 + (means - middle) ** 2).mean(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        units = torch.where(spreads > 1e-12, spreads, 1.0)
        self.gain.copy_((units / whole).flatten())
        self.offset.copy_(((means - middle) / whole).flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.view(x * self.gain + self.offset)
        image = nn.functional.interpolate(image, (self.size, self.size), mode="bilinear", antialias=True)
        return image.expand(-1, _COLOURS, -1, -1) if image.shape[1] == 1 else image


class Embedding(nn.Module):
    """Maps or tokens (see `Backbone`) → (n, width): means of `places` x `places` regions, then the token of the class.

    Each row is brought to mean 0 and deviation 1, without parameters: a head learns at the same speed on any backbone.
    """

    def __init__(self, width: int, places: int, channels_last: bool, prefix: int) -> None:
        super().__init__()
        self._channels_last, self._prefix = channels_last, prefix
        self.pool = nn.AdaptiveAvgPool2d(places)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = as_maps(x, self._channels_last, self._prefix)
        pooled = self.pool(maps).flatten(1)
        if self._prefix:
            pooled = torch.cat([pooled, x[:, 0]], dim=1)
        normed: torch.Tensor = self.norm(pooled)
        return normed


def as_maps(x: torch.Tensor, channels_last: bool, prefix: int) -> torch.Tensor:
    """What a stage gave, as (n, channels, h, w)."""
    if x.dim() == 3:
        side = math.isqrt(x.shape[1] - prefix)
        return x[:, prefix:].transpose(1, 2).reshape(len(x), -1, side, side)
    return x.permute(0, 3, 1, 2) if channels_last else x


def channels_of(shape: Sequence[int] | None) -> int:
    """The channels a backbone sees: those of the image, three where it is grey or a plane of features."""
    return _COLOURS if shape is None or shape[0] == 1 else shape[0]


def see_channels(stages: Sequence[nn.Module], channels: int) -> None:
    """Makes the first convolution, which sees three colours, see `channels`: its weights' mean for each.

    Scaled so that the sum over channels stays what it was, as timm does it. In place.
    """
    if channels == _COLOURS:
        return
    first = next((part for stage in stages for part in stage.modules() if isinstance(part, nn.Conv2d)), None)
    if first is None or first.groups != 1:
        raise ValueError(f"the backbone begins with no convolution that could see {channels} channels")
    mean = first.weight.detach().mean(dim=1, keepdim=True)
    first.weight = nn.Parameter(mean.repeat(1, channels, 1, 1) * (first.in_channels / channels))
    first.in_channels = channels


def _size(n_features: int, shape: list[int] | None) -> int:
    """Twice the image's longer side, within what a backbone can use and a CPU can bear."""
    side = max(shape[1:]) if shape else side_of(n_features)
    return min(_SIZES[1], max(_SIZES[0], -(-2 * side // 32) * 32))


def _outputs(made: Backbone, channels: int) -> list[tuple[int, int]]:
    """Of every stage: channels, and places along the shorter side."""
    x = torch.zeros(1, channels, made.size, made.size)
    found = []
    for stage in made.stages:
        training = stage.training
        try:
            with torch.no_grad():
                x = stage.eval()(x)
        except RuntimeError as error:
            raise ValueError(f"images of {made.size} x {made.size} pixels are too small for the backbone") from error
        stage.train(training)
        maps = as_maps(x, made.channels_last, made.prefix)
        found.append((maps.shape[1], min(maps.shape[2:])))
    return found


def _suitable(outputs: list[tuple[int, int]]) -> int:
    """The most stages whose map still has `_PLACES` along a side; all of them where none has."""
    return max((number for number, (_, side) in enumerate(outputs, 1) if side >= _PLACES), default=len(outputs))


def _fitting(n_channels: int, side: int) -> int:
    return next((places for places in (_PLACES, 3, 2) if places <= side and n_channels * places**2 <= _WIDEST), 1)
