"""What a decided end tells of what its job made is written down, so that whoever hears of it can find it."""

from . import explained, known_models
from .arbiter import Outcome
from .ports import Store


async def remember(store: Store, outcome: Outcome) -> None:
    """Writes down what this end made, a model or an explanation; called before it is told, any number of times.

    Of a model that was deleted since, nothing comes back.
    """
    await known_models.remember(store, outcome)
    await explained.remember(store, outcome)
