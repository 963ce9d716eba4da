"""What `base_model` means, and whether the tables of known weights are true."""

import hashlib
import re

import pytest

from events.errors import OmniScopeError, ReasonCode
from events.requests import TransferLearningRequested
from handlers.transfer_learning.base_models import BaseModel, parse
from handlers.transfer_learning.known_weights import BUNDLED, TORCHVISION, promised


@pytest.mark.parametrize(
    ("told", "source", "name"),
    [
        ("resnet50", "torchvision", "resnet50"),
        ("torchvision:vit_b_16", "torchvision", "vit_b_16"),
        ("bundled:efficientnet-lite0", "bundled", "efficientnet-lite0"),
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k"),
        ("hf:timm/resnet50.a1_in1k", "hf", "timm/resnet50.a1_in1k"),
        ("hf:Org-1/na.me_2", "hf", "Org-1/na.me_2"),
        ("file:/data/größe 🧬.safetensors", "file", "/data/größe 🧬.safetensors"),
        ("file:/data/100%25.pth", "file", "/data/100%25.pth"),
        ("file:///data/a%20b.pth", "file", "/data/a b.pth"),
        ("file:/data/c:d.pt", "file", "/data/c:d.pt"),
        ("job:3f-9._x", "job", "3f-9._x"),
    ],
)
def test_a_name_is_read_with_its_source(told: str, source: str, name: str) -> None:
    found = parse(told)
    assert (found.source, found.name) == (source, name)
    assert parse(str(found)) == found
    assert len(str(found)) <= 512, "it may be sent again"


@pytest.mark.parametrize(
    ("told", "remedy"),
    [
        ("", "send for example resnet50"),
        ("torchvision:", "send for example resnet50"),
        ("job:", "job:<model_id>"),
        ("ResNet50", "did you mean «resnet50»"),
        ("torchvision:resnet5O", "did you mean «resnet50»"),
        ("efficientnet-lite0", "did you mean «bundled:efficientnet-lite0»"),
        ("bundled:efficientnet-lite9", "did you mean «efficientnet-lite0»"),
        ("bundled:nothing-like-it", "there are bundled:efficientnet-lite0"),
        ("resnet50.a1_in1k", "did you mean «timm:resnet50.a1_in1k»"),
        ("microsoft/resnet-50", "did you mean «hf:microsoft/resnet-50»"),
        ("/data/mine.pth", "file:/its/path"),
        ("timm:resnet50", "timm:resnet50.a1_in1k"),
        ("timm:timm/resnet50.a1_in1k", "on the Hugging Face hub"),
        ("hf:resnet50", "hf:<organisation>/<name>"),
        ("hf:../x", "hf:<organisation>/<name>"),
        ("hf:a/b/c", "hf:<organisation>/<name>"),
        ("hf:a/b..c", "hf:<organisation>/<name>"),
        ("hf:a/b\n", "hf:<organisation>/<name>"),
        ("file:mine.pth", "absolute path"),
        ("file://server/mine.pth", "absolute path"),
        ("file://[/mine.pth", "absolute path"),
        ("file:///a/%00.pth", "absolute path"),
        ("file:/data/mine.csv", ".safetensors"),
        ("job:a/b", "job:<model_id>"),
        ("job:..", "job:<model_id>"),
        ("timn:x.y", "did you mean «timm»"),
        ("http://example.org/w.pth", "begin it with"),
        ("größe:x", "begin it with"),
        ("x" * 512, "no torchvision model"),
    ],
)
def test_any_other_name_is_refused_with_the_remedy(told: str, remedy: str) -> None:
    with pytest.raises(OmniScopeError) as refused:
        parse(told)
    assert refused.value.reason == ReasonCode.INVALID_FIELD
    assert refused.value.message.startswith("data.base_model ")
    assert remedy.rstrip("»") in refused.value.message
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 500


def test_the_default_of_the_request_is_a_name() -> None:
    default = TransferLearningRequested.model_fields["base_model"].default
    assert parse(default) == BaseModel("torchvision", "resnet50")


def test_repositories_of_the_hub() -> None:
    assert parse("timm:resnet50.a1_in1k").repository == "timm/resnet50.a1_in1k"
    assert parse("hf:org/name").repository == "org/name"
    assert parse("resnet50").repository is None


def test_a_torchvision_files_name_promises_its_hash() -> None:
    assert promised("resnet50-11ad3fa6.pth") == "11ad3fa6"
    assert promised("mnasnet0.5_top1_67.823-3ffadce67e.pth") == "3ffadce67e"
    assert all(len(promised(file)) >= 8 for file in TORCHVISION.values())
    assert all(re.fullmatch(r"[\w.-]+", file) for file in TORCHVISION.values()), "they are names in a folder"
    with pytest.raises(ValueError, match="beginning of a SHA-256"):
        promised("resnet50.pth")


@pytest.mark.slow  # imports torch
def test_the_table_is_torchvisions_own() -> None:
    models = pytest.importorskip("torchvision.models")
    known = {
        name: models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
        for name in models.list_models(module=models)
    }
    assert known == TORCHVISION


@pytest.mark.slow  # imports torch
def test_every_pretrained_name_of_timm_is_one_of_ours() -> None:
    timm = pytest.importorskip("timm")
    names = timm.list_pretrained()
    assert len(names) > 1000
    assert [name for name in names if parse(f"timm:{name}").name != name] == []


@pytest.mark.slow  # imports torch
def test_what_wheels_ship_is_for_architectures_that_timm_has() -> None:
    timm = pytest.importorskip("timm")
    assert [known.architecture for known in BUNDLED.values() if not timm.is_model(known.architecture)] == []
    assert all(len(known.sha256) == hashlib.sha256().digest_size * 2 for known in BUNDLED.values())
