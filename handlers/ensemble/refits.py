"""Where no rows are set aside for combining: the members trained again on folds of the training rows.

What a member says of the rows that its refit has not seen stands in for combination rows. Only what was decided for the
member is repeated: the plan of AutoML without a clock, a network's settings. Nothing here sees a test row.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from events.errors import ReasonCode
from handlers.contract import Inputs, JobRefused, Outputs, Report
from handlers.datasets.columns import quote
from handlers.preparation import Prepared
from handlers.splits import Indices, Split
from handlers.units import units_of

from .combining import Floats, combined
from .folds import deal, strata_of
from .members import Member
from .practice import Practice
from .recipes import Recipe, recipe_of
from .training_again import AGAIN, prepared_for, why_not

#: Refits take at most this share of the job's time, and this many seconds.
_SHARE, _MOST_S = 0.5, 600.0
_MOST_FOLDS, _FEWEST_FOLDS = 5, 3
#: Where in the job, in percent, refits begin and end.
_BEGINS, _ENDS = 25.0, 75.0


@dataclass(frozen=True, slots=True)
class Refits:
    """What refits came to: `practice` is None where not one fold was finished in time.

    `told`: folds, those that were finished, rows with answers, seconds and the limit on them.
    """

    practice: Practice | None
    told: dict[str, Any]


@dataclass(slots=True)
class Slot:
    """A report for one of `n` fits: says whose it is, and asks to stop when the time for refits is over."""

    report: Report
    what: str
    begins: float
    width: float
    ends_at: float
    late: bool = field(default=False)

    def __call__(
        self, percent: float, message: str, *, eta_s: float | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        share = min(100.0, max(0.0, percent)) / 100
        self.report(self.begins + self.width * share, f"{self.what}: {message}")

    def should_stop(self) -> bool:
        self.late = self.late or self.report.should_stop() or time.monotonic() > self.ends_at
        return self.late

    def checkpoint(self) -> None:
        self.report.checkpoint()


def refitted(
    members: Sequence[Member], prepared: Prepared, inputs: Inputs, out: Outputs, report: Report, seed: int
) -> Refits:
    """Practice on training rows by refits of all members, as many folds of it as there is time for.

    Raises:
        JobRefused: `model_unsuitable`, a member cannot be trained again.
    """
    recipes = [Recipe.from_dict(recipe_of(member)) for member in members]
    leaves = list({leaf.model_id: leaf for recipe in recipes for leaf in recipe.leaves()}.values())
    _refuse_what_cannot_be_repeated(leaves, prepared, inputs)
    begun, allowed = time.monotonic(), min(_MOST_S, _SHARE * (inputs.limits.seconds or np.inf))
    folds = _folds(prepared, _n_folds(members, allowed), seed)
    n_folds = int(folds.max()) + 1
    problems = {leaf.model_id: prepared_for(leaf, inputs) for leaf in leaves}
    work = _Work(leaves, problems, inputs, out, report, begun + allowed)
    held = list(work.folds(prepared.parts.train, folds))
    told = {
        "folds": n_folds,
        "finished": len(held),
        "rows": sum(len(rows) for rows, _ in held),
        "seconds": round(time.monotonic() - begun, 3),
        "limit_s": allowed,
    }
    return Refits(_practice(recipes, held, prepared) if held else None, told)


def _refuse_what_cannot_be_repeated(leaves: Sequence[Recipe], prepared: Prepared, inputs: Inputs) -> None:
    for leaf in leaves:
        if reason := why_not(leaf, prepared, inputs):
            raise JobRefused(
                ReasonCode.MODEL_UNSUITABLE,
                f"with so few rows, members are trained again on folds of them, and member {quote([leaf.name])} cannot "
                f"be: {reason}. Ask for voting, which learns nothing, or leave it out",
            )


def _n_folds(members: Sequence[Member], allowed: float) -> int:
    """Five; three where five would take longer than there is time, going by the members' own fits."""
    seconds = [(member.facts.get("environment") or {}).get("seconds") for member in members]
    known = sum(float(told.get("fit", 0.0)) for told in seconds if isinstance(told, Mapping))
    return _MOST_FOLDS if _MOST_FOLDS * known <= allowed else _FEWEST_FOLDS


def _folds(prepared: Prepared, n_folds: int, seed: int) -> Indices:
    problem, train = prepared.problem, prepared.parts.train
    groups = None if problem.groups is None else problem.groups.iloc[train].astype(str).to_numpy()
    units = units_of(groups, len(train))
    n_classes = None if problem.classes is None else len(problem.classes)
    return deal(strata_of(problem.y[train], n_classes), units, min(n_folds, int(units.max()) + 1), seed)


@dataclass(slots=True)
class _Work:
    """The fits to be done, fold by fold, so that what is finished in time is of use."""

    leaves: list[Recipe]
    problems: dict[str, Prepared]
    inputs: Inputs
    out: Outputs
    report: Report
    ends_at: float

    def folds(self, train: Indices, folds: Indices) -> Iterator[tuple[Indices, dict[str, Floats]]]:
        """For each fold its rows and every leaf's answers to them; ends where time is over."""
        n_folds = int(folds.max()) + 1
        for fold in range(n_folds):
            rows = np.flatnonzero(folds == fold)
            parts = Split(train[folds != fold], train[:0], train[rows], f"fold {fold + 1} of {n_folds}")
            answers = self._fold(fold, n_folds, parts)
            if answers is None:
                return
            yield train[rows], answers

    def _fold(self, fold: int, n_folds: int, parts: Split) -> dict[str, Floats] | None:
        answers: dict[str, Floats] = {}
        n = n_folds * len(self.leaves)
        for place, leaf in enumerate(self.leaves):
            number = fold * len(self.leaves) + place
            what = f"Training {leaf.name} again ({number + 1} of {n})"
            width = (_ENDS - _BEGINS) / n
            slot = Slot(self.report, what, _BEGINS + number * width, width, self.ends_at)
            slot(0, parts.split_id)
            answer = None if slot.should_stop() else self._kept(leaf, fold, parts, slot)
            if answer is None:
                return None
            answers[leaf.model_id] = answer
        return answers

    def _kept(self, leaf: Recipe, fold: int, parts: Split, slot: Slot) -> Floats | None:
        """The answers, from an attempt before where it got so far; None where the fit was cut short."""
        folder = self.out.keep / "refits" / leaf.model_id / str(fold)
        if (path := folder / "answers.npy").is_file():
            return np.asarray(np.load(path), dtype=np.float64)
        folder.mkdir(parents=True, exist_ok=True)
        # A folder for each fit: checkpoints of one are nothing to another.
        own = Outputs(self.out.directory, folder)
        prepared = replace(self.problems[leaf.model_id], parts=parts)
        try:
            answer = AGAIN[leaf.model_type](leaf, prepared, self.inputs, own, slot)
        except JobRefused as refusal:
            if slot.late:
                return None
            raise JobRefused(refusal.reason, f"{slot.what}: {refusal.message}") from refusal
        if slot.late:
            return None
        _save(path, answer)
        slot.checkpoint()
        return answer


def _save(path: Path, answer: Floats) -> None:
    part = path.with_suffix(".part.npy")
    np.save(part, answer)
    part.replace(path)


def _practice(recipes: list[Recipe], held: list[tuple[Indices, dict[str, Floats]]], prepared: Prepared) -> Practice:
    problem = prepared.problem
    rows = np.concatenate([rows for rows, _ in held])
    answers = {name: np.concatenate([told[name] for _, told in held]) for name in held[0][1]}
    groups = None if problem.groups is None else problem.groups.iloc[rows].astype(str).to_numpy()
    return Practice.of(np.stack([_answer(recipe, answers) for recipe in recipes]), problem.y[rows], groups)


def _answer(recipe: Recipe, answers: Mapping[str, Floats]) -> Floats:
    """A leaf's own answers, or those of an ensemble by the way in which it combines its parts'."""
    if recipe.combination is None:
        return answers[recipe.model_id]
    return combined(recipe.combination, np.stack([_answer(part, answers) for part in recipe.parts]))
