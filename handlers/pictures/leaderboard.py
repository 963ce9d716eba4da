"""The members of a trained model by their score on validation rows."""

import math
from typing import Any

import numpy as np

from handlers.metrics import LOWER_IS_BETTER

from . import palette
from .canvas import COLUMN, WIDTH, Canvas
from .labels import clean, trimmed, width
from .told import Picture, Told, rounded

_MOST = 15
_BAR = 19
_TOP = 50
_LABEL_COLUMNS = 26
_TEXT_WIDTH = 92
#: One hopeless member would make all other bars look alike.
_REACH = 4


def leaderboard(told: Told) -> Picture | None:
    """None where no member has a score."""
    members = [
        {
            "name": clean(member["name"]),
            "validation_score": rounded(member["validation_score"], 6),
            "fit_seconds": member.get("fit_seconds"),
        }
        for member in told.leaderboard
        if _is_number(member.get("validation_score"))
    ][:_MOST]
    if not members:
        return None
    way = "lower" if told.metric in LOWER_IS_BETTER else "higher"
    n_left_out = len(told.leaderboard) - len(members)
    beyond = f", {n_left_out} more not shown" if n_left_out else ""
    subtitle = f"{told.metric} on validation rows, {way} is better{beyond}"
    canvas = Canvas(_TOP + _BAR * len(members) + 26, "Models that were trained", subtitle)
    _draw(canvas, members)
    figures = {"metric": told.metric, "lower_is_better": way == "lower", "members": members}
    about = f"Best of {len(told.leaderboard)}: {members[0]['name']}, {members[0]['validation_score']:.4g}."
    return Picture("leaderboard", canvas, about, figures)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _draw(canvas: Canvas, members: list[dict[str, Any]]) -> None:
    names = [trimmed(member["name"], _LABEL_COLUMNS) for member in members]
    scores = np.array([member["validation_score"] for member in members])
    left = 14 + COLUMN * max(map(width, names))
    axes = canvas.axes(left, _TOP, WIDTH - left - _TEXT_WIDTH, _BAR * len(members))
    reach = _REACH * (float(np.median(np.abs(scores))) or 1.0)
    shown = np.clip(scores, -reach, reach)
    colours = [palette.MODEL if place == 0 else palette.SHADES[2] for place in range(len(members))]
    axes.barh(range(len(members)), shown, height=0.7, color=colours)
    low, high = min(0.0, float(shown.min())), max(0.0, float(shown.max()))
    axes.set(xlim=(low, high if high > low else low + 1), ylim=(len(members) - 0.5, -0.5))
    axes.set_yticks(range(len(members)), names)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)
    for place, member in enumerate(members):
        words = _words(member, is_cut=bool(abs(scores[place]) > reach))
        canvas.text(WIDTH - _TEXT_WIDTH + 6, _TOP + _BAR * (place + 0.5) + 3.5, words, colour=palette.FAINT)


def _words(member: dict[str, Any], is_cut: bool) -> str:
    score = member["validation_score"]
    words = f"{score:.3f}" if abs(score) < 10 else f"{score:.4g}"
    words = words.replace("-", "−")
    if is_cut:
        return f"{words} (cut)"
    return f"{words} · {member['fit_seconds']:.3g} s" if _is_number(member["fit_seconds"]) else words
