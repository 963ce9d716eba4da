"""Which cell of a square a feature gets: features that move together come to lie side by side.

The idea of reading a table's features as an image is DeepInsight's (Sharma et al. 2019, Scientific Reports 9:11399:
t-SNE or kernel PCA, then pixels) and REFINED's (Bazgir et al. 2020, Nature Communications 11:4391: multidimensional
scaling, then hill climbing). Here each feature has its own cell. Up to `MOST_SORTED` features are put there by linear
assignment sorting (Barthel et al. 2023, Computer Graphics Forum 42(1):261-276): blur the square, give every feature
the cell whose blurred content is most like it, blur less, again. It needs no t-SNE, gives the same layout every time,
and optimises neighbourhoods in the square itself. More features are sorted by their two first principal components.
"""

from typing import Any

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from handlers.networks.plane import side_of

#: Features up to which the assignment is solved: its time grows with their third power.
MOST_SORTED = 2000
#: Rows that are looked at: spaced evenly, they tell who moves with whom as well as all of them.
_MOST_ROWS = 1000
_COMPONENTS = 24
_NARROWER = 0.75

Array = np.ndarray[Any, Any]


def fit_layout(X: Array) -> Array:
    """The features' cells, (p,) int64, all different, in a square of side ⌈√p⌉, numbered row by row.

    `X`: (n, p) training rows without gaps, in any units. Constant features are taken as they come.
    """
    p = X.shape[1]
    if p < 3:
        return np.arange(p)
    if p > MOST_SORTED:
        return _columns(_components(X, 2))
    vectors = _components(X, _COMPONENTS)
    return _sorted_by_assignment(vectors, _columns(vectors))


def _components(X: Array, most: int) -> Array:
    """(p, ≤most): the features as points, in their principal components, widest first, signs settled."""
    rows = np.linspace(0, len(X) - 1, min(len(X), _MOST_ROWS)).astype(int)
    with np.errstate(all="ignore"):
        Z = np.asarray(X[rows], dtype=np.float64)
        Z = Z - Z.mean(axis=0)
        lengths = np.sqrt(np.square(Z).sum(axis=0))
        Z = np.where((lengths > 0) & np.isfinite(lengths), Z / lengths, 0).astype(np.float32)
    Z -= Z.mean(axis=1, keepdims=True)
    values, directions = np.linalg.eigh((Z @ Z.T).astype(np.float64))
    kept = np.argsort(-values, kind="stable")[:most]
    points = Z.T.astype(np.float64) @ directions[:, kept]
    signs = np.sign(points[np.abs(points).argmax(axis=0), np.arange(points.shape[1])])
    return np.asarray(points * np.where(signs == 0, 1, signs))


def _columns(points: Array) -> Array:
    """Cells by sorting: the first component chooses the column, the second the place in it."""
    p, side = len(points), side_of(len(points))
    cells = np.empty(p, dtype=np.int64)
    second = points[:, 1] if points.shape[1] > 1 else points[:, 0]
    for column, features in enumerate(np.array_split(np.argsort(points[:, 0], kind="stable"), side)):
        ordered = features[np.argsort(second[features], kind="stable")]
        cells[ordered] = np.arange(len(ordered)) * side + column
    return cells


def _sorted_by_assignment(vectors: Array, cells: Array) -> Array:
    side = side_of(len(vectors))
    radius = side / 2
    while radius >= 1:
        blurred = _blurred(vectors, cells, side, 2 * round(radius) + 1)
        _, cells = linear_sum_assignment(_distances(vectors, blurred))
        radius *= _NARROWER
    return np.asarray(cells, dtype=np.int64)


def _blurred(vectors: Array, cells: Array, side: int, width: int) -> Array:
    """(side², d): the mean of the features within `width` x `width` cells around each cell."""
    square = np.zeros((side * side, vectors.shape[1] + 1))
    square[cells] = np.column_stack([vectors, np.ones(len(vectors))])
    square = square.reshape(side, side, -1)
    blurred = ndimage.uniform_filter(square, size=(width, width, 1), mode="constant").reshape(side * side, -1)
    return np.asarray(blurred[:, :-1] / np.maximum(blurred[:, -1:], 1e-9))


def _distances(a: Array, b: Array) -> Array:
    """(len(a), len(b)): squared distances."""
    return np.asarray(np.square(a).sum(axis=1)[:, None] - 2 * a @ b.T + np.square(b).sum(axis=1)[None])
