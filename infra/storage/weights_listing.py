"""What pretrained weights this machine has, each looked at anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from events.errors import OmniScopeError, ReasonCode
from handlers.transfer_learning.base_models import BaseModel
from handlers.transfer_learning.known_weights import BUNDLED

from .weights_bundled import bundled, bundled_file
from .weights_files import places, verified

#: `unknown`: nothing tells what the bytes should be, so they are not used.
State = Literal["verified", "altered", "unknown", "unreadable", "not installed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """Weights by the name they are asked for by. `size` in bytes; `why_not`: what to do where they are no good."""

    base_model: str
    origin: Literal["bundled", "cached"]
    state: State
    path: Path | None = None
    size: int | None = None
    sha256: str | None = None
    why_not: str | None = None


def listed(root: Path) -> Iterator[Listed]:
    """What wheels ship, then what was fetched into `root`. Every file is read whole."""
    for name in BUNDLED:
        yield _bundled(BaseModel("bundled", name))
    for place in places(root):
        name, size = str(place.base), place.file.stat().st_size
        try:
            sha256 = verified(place)
        except OmniScopeError as refusal:
            yield Listed(name, "cached", _STATES[refusal.reason], place.file, size, why_not=refusal.message)
        else:
            yield Listed(name, "cached", "verified" if sha256 else "unknown", place.file, size, sha256)


def _bundled(base: BaseModel) -> Listed:
    path = bundled_file(BUNDLED[base.name])
    size = path.stat().st_size if path else None
    try:
        return Listed(str(base), "bundled", "verified", path, size, bundled(base).sha256)
    except OmniScopeError as refusal:
        return Listed(str(base), "bundled", _STATES[refusal.reason], path, size, why_not=refusal.message)


_STATES: dict[ReasonCode, State] = {
    ReasonCode.WEIGHTS_MISSING: "not installed",
    ReasonCode.WEIGHTS_REFUSED: "altered",
    ReasonCode.FILE_UNREADABLE: "unreadable",
}
