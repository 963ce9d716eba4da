"""`omniscope-ml weights`: fetching before a job needs it, and what is here.

A small server on this machine (`support.weights_host`) stands in for the hosts of the weights.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ports import free_port
from support.weights_host import Answer, WeightsHost, weights_host
from typer.testing import CliRunner, Result

from handlers.transfer_learning import known_weights
from infra.cli import extras
from infra.cli.main import app

DATA = b"tensors" * 100_000
FILE = f"tiny-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OMNISCOPE_DEBUG", "0")
    monkeypatch.setenv("RES_OPTIONS", "timeout:1")  # is put back at the end
    monkeypatch.setitem(known_weights.TORCHVISION, "tiny", FILE)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsHost]:
    with weights_host() as host:
        host.files[f"/models/{FILE}"] = Answer(DATA)
        host.put_on_hub("timm/resnet18.a1_in1k", DATA)
        monkeypatch.setenv("WEIGHTS_TORCHVISION_URL", f"{host.url}/models")
        monkeypatch.setenv("WEIGHTS_HUB_URL", host.url)
        yield host


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["weights", *arguments], prog_name="omniscope-ml")


def from_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_what_is_fetched_is_told_kept_and_not_fetched_again(host: WeightsHost, tmp_path: Path) -> None:
    first = call("prefetch", "tiny", "timm:resnet18.a1_in1k", "bundled:efficientnet-lite0")
    assert first.exit_code == 0, first.output
    told = [line for line in first.stdout.splitlines() if "SHA-256 verified" in line]
    assert [line.partition(":")[0] for line in told] == ["torchvision", "timm", "bundled"]
    assert (tmp_path / "data/weights/torchvision" / FILE).read_bytes() == DATA
    asked = len(host.asked)
    again = call("prefetch", "--json", "tiny")
    assert again.exit_code == 0
    (end,) = from_json(again)
    assert (end["base_model"], end["origin"]) == ("torchvision:tiny", "cached")
    assert len(host.asked) == asked


def test_progress_goes_by_as_lines_where_there_is_no_terminal(host: WeightsHost) -> None:
    assert "Fetching tiny" in call("prefetch", "tiny").stdout


def test_one_that_cannot_be_had_does_not_keep_the_others_back(host: WeightsHost, tmp_path: Path) -> None:
    host.files[f"/models/{FILE}"] = Answer(DATA[1:])
    done = call("prefetch", "tiny", "timm:resnet18.a1_in1k")
    assert done.exit_code == 1
    assert "(weights_refused)" in done.stderr
    assert "timm:resnet18.a1_in1k: fetched" in done.stdout


def test_without_a_network_the_remedy_is_another_one_than_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS_TORCHVISION_URL", f"http://127.0.0.1:{free_port()}")
    done = call("prefetch", "resnet50")
    assert done.exit_code == 1
    assert "127.0.0.1 cannot be reached" in done.stderr
    assert "copy DATA_DIR/weights" in done.stderr
    assert "weights prefetch" not in done.stderr
    (end,) = from_json(call("prefetch", "--json", "resnet50"))
    assert end["reason"] == "weights_missing"


@pytest.mark.parametrize("name", ["resnet5O", "job:m1", "file:/x.pth", "timm:resnet50", ""])
def test_what_is_nothing_to_fetch_is_refused_before_anything_is_fetched(host: WeightsHost, name: str) -> None:
    done = call("prefetch", "tiny", name)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert host.asked == []


def test_the_list_on_a_fresh_machine_shows_what_wheels_ship(tmp_path: Path) -> None:
    done = call("list")
    assert done.exit_code == 0, done.output
    assert "bundled:efficientnet-lite0" in done.stdout
    assert "weights prefetch resnet50" in done.stdout
    assert not (tmp_path / "data").exists()


def test_the_list_names_altered_files_and_ends_with_an_error(host: WeightsHost, tmp_path: Path) -> None:
    call("prefetch", "tiny")
    assert call("list").exit_code == 0
    path = tmp_path / "data/weights/torchvision" / FILE
    path.chmod(0o600)
    path.write_bytes(DATA[:-1])
    done = call("list")
    assert done.exit_code == 1
    assert f"! {path}" in done.stdout
    states = {each["base_model"]: each["state"] for each in from_json(call("list", "--json"))}
    assert states == {"bundled:efficientnet-lite0": "verified", "torchvision:tiny": "altered"}


def test_all_known_names_need_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "missing", lambda extra: ["obstore"])
    names = from_json(call("list", "--known", "--json"))
    assert {"resnet50", "vit_b_16", "bundled:efficientnet-lite0"} <= set(names)
    for command in (["list"], ["prefetch", "tiny"]):
        done = call(*command)
        assert done.exit_code == 1
        assert "[worker]" in done.stderr


def test_looking_at_names_imports_neither_torch_nor_a_client() -> None:
    code = (
        "import sys; from handlers.transfer_learning.base_models import parse; parse('resnet50');"
        "import infra.cli.weights, infra.storage.weights_cache;"
        "print({'torch', 'httpx', 'torchvision', 'timm'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert ran.stdout.strip() == "set()", ran.stderr
