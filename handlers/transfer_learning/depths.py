"""How many of an encoder's last blocks are trained."""

from events.errors import ReasonCode
from events.requests import TransferLearningRequested
from handlers.contract import JobRefused

from .starts import Start


def depths(request: TransferLearningRequested, start: Start) -> list[int]:
    """The numbers of last blocks to train: the one that was asked for, or for «auto» a few to choose from.

    Which depth is best differs from case to case and cannot be told beforehand: «auto» tries the head alone, the last
    block, half of the blocks and all of them, and lets validation rows decide.

    Raises:
        JobRefused: `invalid_field`, where there are not so many blocks.
    """
    n_blocks = len(start.encoder.blocks)
    if request.fine_tune_layers == "auto":
        # A first block without parameters, such as an image, trains nothing.
        most = n_blocks if any(True for _ in start.encoder.blocks[0].parameters()) else n_blocks - 1
        return sorted({0, 1, -(-most // 2), most})
    if request.fine_tune_layers > n_blocks:
        raise JobRefused(
            ReasonCode.INVALID_FIELD,
            f"fine_tune_layers is {request.fine_tune_layers}, but the base model has {n_blocks} blocks: send a number "
            f"from 0 (the head alone) to {n_blocks} (all of it), or «auto»",
        )
    return [request.fine_tune_layers]
