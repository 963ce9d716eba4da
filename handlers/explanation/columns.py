"""What columns of a table of values are called, where features may be called anything."""

from collections.abc import Sequence

ROW, CLASS, BASE, PREDICTION = "_row", "_class", "_base_value", "_prediction"
_OURS = (ROW, CLASS, BASE, PREDICTION)


def column_names(features: Sequence[str]) -> list[str]:
    """The features' own names; one that is called like a column of ours gets underscores until none is."""
    taken, names = {*_OURS, *features}, []
    for feature in features:
        name = feature
        if name in _OURS:
            while name in taken:
                name = f"_{name}"
            taken.add(name)
        names.append(name)
    return names
