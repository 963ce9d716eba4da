"""Fetched weights on this machine: where each lies, and whether its bytes are those that were published.

Beside every file stands what was known when it was fetched, `<file>.json`. A torchvision file is also known by its
name, so one that somebody put there by hand needs nothing beside it.
"""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydantic

from events.errors import OmniScopeError, ReasonCode
from handlers.transfer_learning.base_models import BaseModel, parse
from handlers.transfer_learning.known_weights import TORCHVISION, promised

#: What a repository on the hub is read from, and what says which architecture it is for.
HUB_FILE = "model.safetensors"
HUB_CONFIG = "config.json"

_LOOK_AGAIN_S = 0.1


class Manifest(pydantic.BaseModel):
    """What was known of a file when it was fetched. `beside`: SHA-256 of what came with it, by name."""

    model_config = pydantic.ConfigDict(frozen=True)

    base_model: str
    url: str
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    size: int
    beside: dict[str, str] = {}
    fetched_at: datetime = pydantic.Field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Place:
    """The file of a base model's weights, and the names that belong to it."""

    base: BaseModel
    file: Path

    @property
    def manifest(self) -> Path:
        return self.file.with_name(f"{self.file.name}.json")

    @property
    def part(self) -> Path:
        """The file until it is complete; whoever holds the place writes it."""
        return self.file.with_name(f".{self.file.name}.part")

    @property
    def config(self) -> Path:
        return self.file.with_name(HUB_CONFIG)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else on this machine fetches these weights meanwhile. A dead process holds nothing."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.file.with_name(f".{self.file.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            while not _taken(lock):  # noqa: ASYNC110 - another process holds it, whom no event tells of
                await asyncio.sleep(_LOOK_AGAIN_S)
            yield
        finally:
            os.close(lock)


def place_of(root: Path, base: BaseModel) -> Place:
    """Where below `root` the weights of a torchvision model or of a repository on the hub belong.

    Raises:
        OmniScopeError: `invalid_field`; what climbs out of the folder is no name.
        ValueError: they belong nowhere there.
    """
    base = parse(str(base))
    if base.source == "torchvision":
        return Place(base, root / "torchvision" / TORCHVISION[base.name])
    if base.repository is None:
        raise ValueError(f"{base} is not fetched")
    return Place(base, root / "hub" / base.repository / HUB_FILE)


def places(root: Path) -> Iterator[Place]:
    """All places below `root` where something is."""
    for name, file in TORCHVISION.items():
        if (root / "torchvision" / file).is_file():
            yield Place(BaseModel("torchvision", name), root / "torchvision" / file)
    for path in sorted((root / "hub").glob(f"*/*/{HUB_FILE}")):
        owner, name = path.parts[-3:-1]
        yield Place(BaseModel("timm", name) if owner == "timm" else BaseModel("hf", f"{owner}/{name}"), path)


def verified(place: Place) -> str | None:
    """The SHA-256 of the weights at `place`, read anew; None where there are none that can be relied on.

    Raises:
        OmniScopeError: `weights_refused`, they were altered; `file_unreadable`.
    """
    if not place.file.is_file():
        return None
    known = _manifest(place)
    if known is None and place.base.source != "torchvision":
        return None  # nobody can say what they should be
    found = sha256_of(place.file)
    if place.base.source == "torchvision" and not found.startswith(promised(place.file.name)):
        raise altered(place.base, place.file)
    if known is not None:
        if known.sha256 != found:
            raise altered(place.base, place.file)
        _check_config(place, known)
    return found


def _check_config(place: Place, known: Manifest) -> None:
    sha256 = known.beside.get(HUB_CONFIG)
    if sha256 is not None and not (place.config.is_file() and sha256_of(place.config) == sha256):
        raise altered(place.base, place.config)


def keep(place: Place, manifest: Manifest, config: bytes | None) -> None:
    """Moves the complete `place.part` to where it is found from now on. To be called by who holds the place."""
    place.manifest.unlink(missing_ok=True)  # whoever looks meanwhile must not judge the new file by the old words
    if config is not None:
        _write(place.config, config)
    elif place.base.repository is not None:
        place.config.unlink(missing_ok=True)  # an older one
    place.part.replace(place.file)
    _write(place.manifest, manifest.model_dump_json(indent=1).encode())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes.

    Raises:
        OmniScopeError: `file_unreadable`.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except PermissionError:
        raise OmniScopeError(
            ReasonCode.FILE_UNREADABLE, f"the worker may not read {path}: give it read permission"
        ) from None


def altered(base: BaseModel, file: Path) -> OmniScopeError:
    return OmniScopeError(
        ReasonCode.WEIGHTS_REFUSED,
        f"{file} is not what was published as {base}, its SHA-256 differs: "
        f"remove it, then fetch it again (omniscope-ml weights prefetch {said(base)})",
    )


def said(base: BaseModel) -> str:
    """The base model as a person says it: a torchvision name alone."""
    return base.name if base.source == "torchvision" else str(base)


def _manifest(place: Place) -> Manifest | None:
    try:
        return Manifest.model_validate_json(place.manifest.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise altered(place.base, place.manifest) from None


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(data)
    draft.replace(path)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
