"""Vision networks as encoders: taken apart and put together they are what they were."""

import json

import pytest
import torch
from torch import nn

from handlers.networks.backbones import make_backbone
from handlers.networks.catalogue import build_encoder
from handlers.networks.vision import Image, VisionEncoder, see_channels


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", 5),
        ("efficientnet_b0", 9),
        ("mobilenet_v3_small", 13),
        ("densenet121", 8),
        ("shufflenet_v2_x0_5", 5),
        ("regnet_y_400mf", 5),
        pytest.param("convnext_tiny", 8, marks=pytest.mark.slow),
        pytest.param("vgg11_bn", 8, marks=pytest.mark.slow),
    ],
)
def test_the_stages_of_torchvision_give_what_its_classifier_gets(name: str, stages: int) -> None:
    made = make_backbone("torchvision", name, 64)
    assert len(made.stages) == stages
    given = []
    classifier = next(getattr(made.model, end) for end in ("avgpool", "fc", "classifier") if hasattr(made.model, end))
    classifier.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    image = torch.randn(2, 3, 64, 64)
    made.model.eval()
    with torch.no_grad():
        made.model(image)
        maps = nn.Sequential(*made.stages)(image)
    if given[0].dim() == 2:
        maps = maps.mean(dim=(2, 3))
    torch.testing.assert_close(maps, given[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b_16", "swin_t"])
def test_the_stages_of_transformers_give_what_the_classifier_gets(name: str) -> None:
    made = make_backbone("torchvision", name, 64)
    image = torch.randn(1, 3, 64, 64)
    made.model.eval()
    with torch.no_grad():
        found = nn.Sequential(*made.stages)(image)
        if made.prefix:
            torch.testing.assert_close(made.model.heads(found[:, 0]), made.model(image))
        else:
            torch.testing.assert_close(made.model.head(found.mean(dim=(1, 2))), made.model(image))


@pytest.mark.parametrize(
    ("name", "stages"), [("resnet18", 5), ("mobilenetv3_small_050", 7), ("vit_tiny_patch16_224", 13)]
)
def test_networks_of_timm_are_taken_apart(name: str, stages: int) -> None:
    assert len(make_backbone("timm", name, 64).stages) == stages


@pytest.mark.parametrize(
    ("family", "name", "message"),
    [
        ("torchvision", "googlenet", "cannot be taken apart"),
        ("torchvision", "no_such", "has no classifier of images called 'no_such'"),
        ("timm", "no_such", "has no network called 'no_such'"),
        ("timm", "hf-hub:timm/resnet18", "has no network called"),
        ("timm", "mixer_s16_224", "for images of 64 x 64 pixels"),
        ("elsewhere", "resnet18", "no library of networks"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_can(family: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_backbone(family, name, 64)


@pytest.mark.parametrize("shape", [None, [1, 4, 8], [2, 4, 4]])
@pytest.mark.parametrize("backbone", [("torchvision", "resnet18"), ("timm", "vit_tiny_patch16_224")])
def test_its_arguments_as_json_make_it_again(backbone: tuple[str, str], shape: list[int] | None) -> None:
    layout = list(reversed(range(32))) if shape is None else None
    encoder = VisionEncoder(32, *backbone, shape=shape, layout=layout).eval()
    again = build_encoder(json.loads(json.dumps({"name": encoder.name, **encoder.arguments}))).eval()
    again.load_state_dict(encoder.state_dict())
    x = torch.randn(3, 32)
    with torch.no_grad():
        assert encoder(x).shape == (3, encoder.width)
        assert torch.equal(again(x), encoder(x))


def test_it_has_a_block_for_the_image_and_one_for_each_stage_and_keeps_places_apart() -> None:
    encoder = VisionEncoder(64, "torchvision", "resnet18", shape=[1, 8, 8])
    assert len(encoder.blocks) == 1 + encoder.arguments["stages"]
    assert encoder.width == 128 * 4 * 4
    assert not list(encoder.blocks[0].parameters())
    assert all(list(block.parameters()) for block in encoder.blocks[1:])


@pytest.mark.parametrize("stages", [0, 6])
def test_stages_that_a_backbone_does_not_have_are_refused(stages: int) -> None:
    with pytest.raises(ValueError, match="resnet18 has 5 stages"):
        VisionEncoder(64, "torchvision", "resnet18", stages=stages)


def test_an_image_that_does_not_hold_the_features_is_refused() -> None:
    with pytest.raises(ValueError, match="64 features are no image"):
        VisionEncoder(64, "torchvision", "resnet18", shape=[1, 8, 9])


def test_grey_images_become_three_equal_channels() -> None:
    image = Image(16, [1, 4, 4], None, 8)(torch.randn(2, 16))
    assert image.shape == (2, 3, 8, 8)
    assert torch.equal(image[:, 0], image[:, 1])
    assert torch.equal(image[:, 0], image[:, 2])


def test_any_number_of_channels_is_seen_with_the_weights_of_three() -> None:
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    grey = torch.randn(1, 1, 8, 8)
    expected = convolution(grey.expand(-1, 3, -1, -1))
    see_channels([convolution], 5)
    torch.testing.assert_close(convolution(grey.expand(-1, 5, -1, -1)), expected)


def test_pixels_scaled_one_by_one_become_an_image_scaled_by_channel() -> None:
    pixels = torch.rand(50, 18, dtype=torch.float64) * torch.arange(1, 19) + 3
    pixels[:, 4] = 2
    mean, spread = pixels.mean(dim=0), pixels.std(dim=0, correction=0)
    image = Image(18, [2, 3, 3], None, 3)
    image.restore(mean, spread)
    scaled = ((pixels - mean) / torch.where(spread > 1e-12, spread, 1.0)).float()
    channels = pixels.view(50, 2, 9)
    expected = (channels - channels.mean(dim=(0, 2), keepdim=True)) / channels.std(
        dim=(0, 2), keepdim=True, correction=0
    )
    torch.testing.assert_close((scaled * image.gain + image.offset).view(50, 2, 9), expected.float())


def test_features_in_a_plane_stay_as_they_were_scaled() -> None:
    image = Image(4, None, [0, 1, 2, 3], 4)
    image.restore(torch.full((4,), 7.0), torch.full((4,), 3.0))
    assert image.gain.tolist() == [1.0] * 4
    assert image.offset.tolist() == [0.0] * 4


def test_pretrained_norms_keep_their_statistics_in_training_and_new_ones_do_not() -> None:
    encoder = VisionEncoder(64, "torchvision", "resnet18", shape=[1, 8, 8])
    norm = next(part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d))
    assert encoder.train().training
    assert norm.training
    encoder.take(make_backbone("torchvision", "resnet18", encoder.arguments["size"]))
    encoder.train()
    assert not norm.training
    before = norm.running_mean.clone()
    encoder(torch.randn(4, 64))
    assert torch.equal(norm.running_mean, before)
