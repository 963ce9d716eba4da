"""The files that a job borrows: weights that were trained elsewhere, and models of earlier jobs.

All of it lies in the attempt's own folder, so that nobody takes it away or changes it while the job reads.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from events.errors import OmniScopeError, ReasonCode
from handlers.contract import BaseWeights, ModelFiles
from handlers.transfer_learning.base_models import BaseModel

from .ports import Store, StoreError, Weights
from .retries import patiently
from .staging import link

#: What may lie beside the weights of the hub.
_CONFIG = "config.json"
_MEGABYTE = 1e6

Say = Callable[[str], None]


async def borrowed_weights(weights: Weights, base: BaseModel, folder: Path, say: Say) -> BaseWeights:
    """The weights in `folder`, under the name that says how they are to be read. `say` hears of a download.

    Raises:
        OmniScopeError: see `Weights.fetch`; `weights_refused` also where a file was changed this very moment.
    """

    def tell(so_far: int, total: int | None) -> None:
        say(f"Fetching {base.name}{_amount(so_far, total)}")

    async def attempt() -> BaseWeights:
        found = await weights.fetch(base, tell)
        return await asyncio.to_thread(_brought, base, found, folder)

    # FileNotFoundError: it was removed between being looked at and being linked to.
    return await patiently(attempt, f"fetch {base}", only=(StoreError, FileNotFoundError))


async def borrowed_model(store: Store, model_id: str, facts: dict[str, Any], folder: Path) -> ModelFiles:
    """A model's files in `folder`, every one verified by the SHA-256 that was recorded when it was made.

    Raises:
        OmniScopeError: `file_missing`, `sha256_mismatch`, or `store_damaged`: the record names no such files.
    """
    path, files = facts.get("artifacts_path"), facts.get("files")
    if not (isinstance(path, str) and isinstance(files, dict) and files and all(files.values())):
        raise OmniScopeError(
            ReasonCode.STORE_DAMAGED, f"the record of model {model_id} names no files with their hashes: train it again"
        )
    target = folder / model_id
    await store.download(path, target, files)
    return ModelFiles(model_id, target, facts)


def _brought(base: BaseModel, found: BaseWeights, folder: Path) -> BaseWeights:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (Path(base.name).name if base.source == "file" else found.path.name)
    if base.source in ("file", "bundled"):
        _copied(found, target)
    else:
        link(found.path, target)
        if base.repository is not None and (beside := found.path.with_name(_CONFIG)).is_file():
            link(beside, folder / _CONFIG)
    return replace(found, path=target)


def _copied(found: BaseWeights, target: Path) -> None:
    """A copy of a file that somebody may write to while we read it: the copy must be what was looked at."""
    target.unlink(missing_ok=True)
    shutil.copyfile(found.path, target)
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != found.sha256:
        raise OmniScopeError(
            ReasonCode.WEIGHTS_REFUSED, f"the file of {found.name} was changed while it was read: ask again"
        )


def _amount(so_far: int, total: int | None) -> str:
    if not so_far:
        return ""
    of = f" of {total / _MEGABYTE:,.0f}" if total else ""
    return f" ({so_far / _MEGABYTE:,.0f}{of} MB)"
