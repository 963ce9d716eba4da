"""What the pictures of an explanation are drawn from, and what things are called in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from handlers.metrics import Floats, Indices
from handlers.pictures.bins import in_range
from handlers.pictures.labels import clean, trimmed

_OF_CLASSES = "probability of "
_OUTPUT_COLUMNS = 26


@dataclass(frozen=True, slots=True)
class Explained:
    """What moved the answers for n samples: p features, c outputs (1 for a regression and for two classes).

    `table`: (n, p), the samples' own cells. `values`: (n, p, c). `base`: (c,). `predictions`: (n, c). `outputs`: c
    names, «probability of tumour» or the target's. `rows`: n places in the dataset. `importance`: (p,), the mean size
    of the values; `intervals`: (p, 2) around it. `interactions`: feature → the one that it interacts with most.
    `local_fits`: (n,), of LIME's local models.
    """

    features: Sequence[str]
    table: pd.DataFrame
    values: Floats
    base: Floats
    predictions: Floats
    outputs: Sequence[str]
    rows: Sequence[int]
    importance: Floats
    intervals: Floats
    interactions: Mapping[int, int]
    is_shap: bool
    target: str
    local_fits: Floats | None = None

    @property
    def n(self) -> int:
        return len(self.rows)

    def top(self, most: int) -> list[int]:
        """The most important features, the first of equals first."""
        return ranked(self.importance, most)

    def of(self, feature: int, output: int) -> Floats:
        """(n,): numbers that can be drawn; what is no number counts as nothing."""
        return drawable(self.values[:, feature, output])

    def name(self, feature: int) -> str:
        return clean(self.features[feature])

    def class_name(self, output: int) -> str:
        """«tumour» of «probability of tumour»."""
        return clean(str(self.outputs[output]).removeprefix(_OF_CLASSES))

    def what(self, output: int) -> str:
        """What is moved, as part of a sentence."""
        name = trimmed(self.class_name(output).strip("«»"), _OUTPUT_COLUMNS)
        is_class = str(self.outputs[output]).startswith(_OF_CLASSES)
        return f"the probability of «{name}»" if is_class else f"«{name}»"

    def output_of(self, sample: int) -> int:
        """The one that a sample is explained by: what it is taken for."""
        return int(np.argmax(drawable(self.predictions[sample])))


def drawable(values: Floats) -> Floats:
    """Numbers that can be drawn; what is no number counts as nothing."""
    return in_range(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf))


def ranked(sizes: Floats, most: int) -> list[int]:
    """The places of the largest, the first of equals first."""
    order = np.argsort(-drawable(sizes), kind="stable")
    return [int(place) for place in order[:most]]


def spread(explained: Explained, most: int) -> list[int]:
    """Samples to be shown one by one: all, or so many of them, evenly over classes and answers."""
    if explained.n <= most:
        return list(range(explained.n))
    outputs = np.array([explained.output_of(sample) for sample in range(explained.n)])
    answers = drawable(explained.predictions)[np.arange(explained.n), outputs]
    order: Indices = np.lexsort((answers, outputs))
    return [int(order[place]) for place in np.linspace(0, explained.n - 1, most).round().astype(int)]
