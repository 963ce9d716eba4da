"""All pictures of one trained model, written as SVG with the figures behind them as JSON."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from handlers.metrics import Predictions

from .against_true import against_true
from .calibration import calibration
from .canvas import settings
from .confusion import confusion
from .labels import clean
from .leaderboard import leaderboard
from .ranking import ranking
from .residuals import residuals
from .told import Picture, Told


def draw(
    said: Predictions,
    plain: Predictions | None,
    *,
    labels: Sequence[str] | None,
    target: str,
    leaderboard: list[dict[str, Any]],
    metric: str,
    baseline_name: str,
    directory: Path,
) -> dict[str, str]:
    """Writes <name>.svg and the figures behind it as <name>.json into `directory`; returns name → file of the SVG.

    `said`, `plain`: what the model and the baseline said about the same n test rows. `labels`: the k classes by
    code, None for a regression. `leaderboard`: members with `name`, `validation_score` and `fit_seconds`, best first.

    No number in them is a row's value: curves are on a fixed grid, values in bins with round edges, means are of at
    least five rows and rounded, and cells with fewer rows only tell that there are some. The same predictions give
    the same bytes. A picture that these rows cannot give (ROC of one class, bins of four rows) is left out.
    """
    told = Told(said, plain, _labels(said, labels), target, metric, clean(baseline_name), leaderboard)
    directory.mkdir(parents=True, exist_ok=True)
    written = {}
    with settings():
        for picture in _pictures(told):
            written[picture.name] = f"{picture.name}.svg"
            drawn = picture.canvas.svg(picture.name, picture.about)
            (directory / f"{picture.name}.svg").write_text(drawn, encoding="utf-8")
            (directory / f"{picture.name}.json").write_text(_figures(picture, told), encoding="utf-8")
    return written


def _labels(said: Predictions, labels: Sequence[str] | None) -> list[str]:
    """Of every class one, as text that can be drawn; of a regression none."""
    if labels is not None:
        return [clean(label) for label in labels]
    if said.probabilities is not None:
        return [str(code) for code in range(said.probabilities.shape[1])]
    return []


def _pictures(told: Told) -> Iterator[Picture]:
    if told.n:
        yield from _of_predictions(told)
    found = leaderboard(told)
    if found is not None:
        yield found


def _of_predictions(told: Told) -> Iterator[Picture]:
    if not told.labels:
        yield from (found for found in (against_true(told), residuals(told)) if found is not None)
        return
    if told.said.probabilities is not None:
        yield from ranking(told)
    yield confusion(told)
    if told.said.probabilities is not None:
        found = calibration(told)
        if found is not None:
            yield found


def _figures(picture: Picture, told: Told) -> str:
    about = {"picture": picture.name, "title": picture.canvas.title, "target": clean(told.target), "n_test": told.n}
    return json.dumps(about | picture.figures, ensure_ascii=False, allow_nan=False)
