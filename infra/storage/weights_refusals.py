"""Why weights cannot be had, in sentences that say what to do."""

from events.errors import OmniScopeError, ReasonCode
from handlers.transfer_learning.base_models import BaseModel
from handlers.transfer_learning.known_weights import promised

from .weights_files import Place, said

#: What `roots.resolve` says of datasets, said of a person's own weights.
OWN_FILE = {
    ReasonCode.FILE_MISSING: "there is no file {file} on the worker's machine: put it there, or correct base_model",
    ReasonCode.FILE_UNREADABLE: "the worker may not read {file}: give it read permission",
    ReasonCode.URI_UNSUPPORTED: "{file} is no regular file: name the file with the weights in base_model",
    ReasonCode.URI_OUTSIDE_ROOTS: (
        "{file} lies outside the places weights are read from: move it into one of DATASET_ROOTS or into "
        "DATA_DIR/weights"
    ),
}


def missing(base: BaseModel, why: str) -> OmniScopeError:
    """`why` ends a sentence: «…, and `why`»."""
    return OmniScopeError(
        ReasonCode.WEIGHTS_MISSING,
        f"the pretrained weights of {said(base)} are not on this machine, and {why}: fetch them beforehand "
        f"(omniscope-ml weights prefetch {said(base)}; DATA_DIR/weights may be copied to a machine without a network), "
        'or ask for "weights": "random"',
    )


def require_published(place: Place, url: str, sha256: str, told: str | None) -> None:
    """Whether these are the bytes that were published: by the file's name, or by the word of the hub.

    Raises:
        OmniScopeError: `weights_refused`.
    """
    if place.base.source == "torchvision":
        right: bool | None = sha256.startswith(promised(place.file.name))
    else:
        right = None if told is None else told == sha256
    if right is None:
        raise OmniScopeError(
            ReasonCode.WEIGHTS_REFUSED,
            f"{url} comes without a SHA-256 that it could be checked by: set WEIGHTS_HUB_URL to a hub that tells one",
        )
    if not right:
        raise OmniScopeError(
            ReasonCode.WEIGHTS_REFUSED,
            f"what came from {url} is not what was published as {place.base}, its SHA-256 differs, and was not kept: "
            "try again, or look at the mirror that WEIGHTS_TORCHVISION_URL or WEIGHTS_HUB_URL names",
        )


def not_there(base: BaseModel, status: int | None, code: str, why: str) -> OmniScopeError:
    """What a person is told when nothing was received.

    Args:
        status, code: what the server answered, and its own word for why (X-Error-Code); None where none answered.
        why: ends a sentence.
    """
    if base.repository is None or status is None:
        return missing(base, why)
    if code == "EntryNotFound":
        return OmniScopeError(
            ReasonCode.WEIGHTS_REFUSED,
            f"the repository {base.repository} has no model.safetensors, and weights in other formats may hold code: "
            "choose a repository with safetensors in one file, or convert them and send file:/its/path",
        )
    if status in (401, 403, 404):
        return OmniScopeError(
            ReasonCode.WEIGHTS_MISSING,
            f"the hub shows no repository {base.repository} to everybody ({status}): correct base_model, or fetch the "
            "file yourself, put it into DATA_DIR/weights and send file:/its/path",
        )
    return missing(base, why)
