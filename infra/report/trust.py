"""How far an explanation can be trusted, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any


def checks(told: Mapping[str, Any]) -> Iterator[str]:
    """What was measured of an explanation, as the read API answers it."""
    if told["exactness"]:
        yield f"How exact: {told['exactness']}."
    if told["additivity_error"] is not None:
        yield f"Base value and contributions add up to the prediction within {told['additivity_error']:.1e}."
    if told["local_fit"] is not None:
        yield f"The local models reproduce {told['local_fit']:.0%} of the model's answers (median R²)."
    if told["stability"] is not None:
        yield f"{told['stability']:.0%} of a sample's ranking stays when its local model is drawn anew."
