"""A training that will not come back."""

from events.errors import ReasonCode
from handlers.contract import JobRefused

#: A loss this many times that of a guess will not come back.
_BEYOND_HOPE = 100.0


def refuse_if_diverged(loss: float, guess: float, epoch: int, learning_rate: float) -> None:
    """Looks at the loss of an epoch (counted from 0).

    Raises:
        JobRefused: `diverged`.
    """
    # Where fit rows hardly differ a guess has next to no loss: an untrained network has about 1.
    if loss <= _BEYOND_HOPE * max(1.0, guess):
        return
    raise JobRefused(
        ReasonCode.DIVERGED,
        f"the training diverged: in epoch {epoch + 1} the loss was {loss:.3g}, where a guess has {guess:.3g}; "
        f"send a smaller learning_rate than {learning_rate:g}",
    )
