"""All pictures of one trained model, written as SVG with the figures behind them as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from handlers.metrics import Predictions

from .against_true import against_true
from .calibration import calibration
from .canvas import settings
from .confusion import confusion
from .labels import clean
from .leaderboard import leaderboard
from .learning import learning_curve
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
    history: Sequence[Mapping[str, float]] = (),
) -> dict[str, str]:
    """Writes <name>.svg and the figures behind it as <name>.json into `directory`; returns name → file of the SVG.

    `said`, `plain`: what the model and the baseline said about the same n test rows. `labels`: the k classes by
    code, None for a regression. `leaderboard`: members with `name`, `validation_score` and `fit_seconds`, best first.
    `history`: of a network's epochs, see `learning_curve`; nothing, if there were none.

    No number in them is a row's value: curves are on a fixed grid, values in bins with round edges, means are of at
    least five rows and rounded, and cells with fewer rows only tell that there are some. The same predictions give
    the same bytes. A picture that these rows cannot give (ROC of one class, bins of four rows) is left out.
    """
    told = Told(said, plain, _labels(said, labels), target, metric, clean(baseline_name), leaderboard)
    with settings():
        return _written(_pictures(told, history), {"target": clean(target), "n_test": told.n}, directory)


def draw_learning_curve(
    history: Sequence[Mapping[str, float]], metric: str, directory: Path, target: str = ""
) -> dict[str, str]:
    """Writes the one picture of `learning_curve` as `draw` does."""
    with settings():
        found = learning_curve(history, metric)
        return _written([] if found is None else [found], {"target": clean(target)}, directory)


def _written(pictures: Iterable[Picture], about: Mapping[str, Any], directory: Path) -> dict[str, str]:
    directory.mkdir(parents=True, exist_ok=True)
    written = {}
    for picture in pictures:
        written[picture.name] = f"{picture.name}.svg"
        drawn = picture.canvas.svg(picture.name, picture.about)
        (directory / f"{picture.name}.svg").write_text(drawn, encoding="utf-8")
        (directory / f"{picture.name}.json").write_text(_figures(picture, about), encoding="utf-8")
    return written


def _labels(said: Predictions, labels: Sequence[str] | None) -> list[str]:
    """Of every class one, as text that can be drawn; of a regression none."""
    if labels is not None:
        return [clean(label) for label in labels]
    if said.probabilities is not None:
        return [str(code) for code in range(said.probabilities.shape[1])]
    return []


def _pictures(told: Told, history: Sequence[Mapping[str, float]]) -> Iterator[Picture]:
    if told.n:
        yield from _of_predictions(told)
    for found in (leaderboard(told), learning_curve(history, told.metric)):
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


def _figures(picture: Picture, about: Mapping[str, Any]) -> str:
    named = {"picture": picture.name, "title": picture.canvas.title, **about}
    return json.dumps(named | picture.figures, ensure_ascii=False, allow_nan=False)
