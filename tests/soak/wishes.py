"""What is asked for, and what must become of it. A pure function of the seed: the same seed asks for the same."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from events.envelope import CloudEvent, full_type, headers_of
from events.vocabulary import EVENTS

#: Ends are told as `completed`, `cancelled`, `failed:<reason>`; of uploads as `registered`, `rejected:<reason>`.
COMPLETED, CANCELLED = "completed", "cancelled"
DATASET = "soak-data"


@dataclass(frozen=True, slots=True)
class Wish:
    """One record for a request topic, `at_s` seconds after the traffic begins.

    `subject` is the job (or dataset) it is about, and `ends` how that may end. A dead letter is about nobody: its
    `ends` are `dead:<reason>`. What only repeats another record or cancels its job has no ends of its own.
    """

    recipe: str
    at_s: float
    topic: str
    subject: str
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    ends: frozenset[str] = frozenset()

    @property
    def is_dead(self) -> bool:
        return any(end.startswith("dead:") for end in self.ends)

    @property
    def is_job(self) -> bool:
        return bool(self.ends) and not self.is_dead and not self.is_upload

    @property
    def is_upload(self) -> bool:
        return self.topic.endswith("datasets.uploaded")


def event(recipe: str, at_s: float, name: str, subject: str, data: dict[str, Any], *ends: str) -> Wish:
    """A wish that is a well-formed event; whether its data are right is another matter."""
    told = CloudEvent(source="soak", type=full_type(name), subject=subject, data=data)
    return Wish(
        recipe=recipe,
        at_s=at_s,
        topic=str(EVENTS[told.type].topic),
        subject=subject,
        value=told.to_bytes(),
        key=subject.encode(),
        headers=tuple(headers_of(told)),
        ends=frozenset(ends),
    )


class Recipes:
    """How each kind of wish is made. `folder` is where uploaded files lie."""

    def __init__(self, rng: random.Random, folder: Path) -> None:
        self._rng = rng
        self._folder = folder

    def quick(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._noop("quick", at_s, name, self._short(), "finish", COMPLETED)

    def long(self, at_s: float, name: str) -> Iterator[Wish]:
        """So long that a takeover meets it running."""
        yield self._noop("long", at_s, name, self._rng.uniform(15, 20), "finish", COMPLETED)

    def fail(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._noop("fail", at_s, name, self._short(), "fail", "failed:training_failed")

    def raises(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._noop("raise", at_s, name, self._short(), "raise", "failed:handler_error")

    def exits(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._noop("exit", at_s, name, self._short(), "exit", "failed:crashed")

    def spawn(self, at_s: float, name: str) -> Iterator[Wish]:
        """Leaves a process behind, in a session of its own."""
        yield self._noop("spawn", at_s, name, self._short(), "spawn", COMPLETED)

    def timed_out(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._noop("timed out", at_s, name, 15.0, "finish", "failed:timed_out", timeout_s=2)

    def invalid(self, at_s: float, name: str) -> Iterator[Wish]:
        """Owns its job, and cannot be carried out as written."""
        wrong, reason = self._rng.choice(
            [
                ({"duration_s": -1.0}, "out_of_range"),
                ({"durations": 1.0}, "unknown_field"),
                ({"steps": "many"}, "invalid_field"),
            ]
        )
        yield event("invalid", at_s, "ml.noop.requested", name, wrong, f"failed:{reason}")

    def without_model(self, at_s: float, name: str) -> Iterator[Wish]:
        """Works on a model that nobody has."""
        kind, data = self._rng.choice(
            [
                ("ensemble", {"model_ids": ["a", "b"], "method": "voting"}),
                ("explanation", {"model_id": "a", "method": "shap"}),
            ]
        )
        yield event("without model", at_s, f"ml.{kind}.requested", name, data, "failed:model_unknown")

    def automl(self, at_s: float, name: str) -> Iterator[Wish]:
        asked = {"dataset_id": DATASET, "target_column": "outcome", "time_limit": 10, "quality": "medium"}
        yield event("automl", at_s, "ml.automl.requested", name, asked, COMPLETED)

    def repeated(self, at_s: float, name: str) -> Iterator[Wish]:
        """The same request three times, each time as another event."""
        first = self._noop("repeated", at_s, name, self._short(), "finish", COMPLETED)
        data = json.loads(first.value)["data"]
        yield first
        for _ in range(2):
            at_s += self._rng.uniform(0, 5)
            yield event("repetition", at_s, "ml.noop.requested", name, data)

    def reused(self, at_s: float, name: str) -> Iterator[Wish]:
        """Two different requests under one id: one of them is the job, the other a dead letter."""
        yield self._noop("reused", at_s, name, self._short(), "finish", COMPLETED, "failed:training_failed")
        yield self._noop("reuse", at_s + self._rng.uniform(0, 5), name, 0.123, "fail", "dead:job_id_reused")

    def cancelled(self, at_s: float, name: str) -> Iterator[Wish]:
        """Cancelled while it waits, while it runs, or when it is over."""
        yield self._noop("cancelled", at_s, name, self._rng.uniform(0.5, 8), "finish", COMPLETED, CANCELLED)
        at_s += self._rng.uniform(0, 6)
        yield event("cancellation", at_s, "ml.cancellation.requested", name, {"job_id": name, "requested_by": "soak"})

    def dead(self, at_s: float, name: str) -> Iterator[Wish]:
        """No event, an event of an unknown type, an event that contradicts its key."""
        good = self._noop("dead letter", at_s, name, 0.1, "finish")
        yield self._rng.choice(
            [
                replace(good, value=b"{ no json", headers=(), ends=frozenset({"dead:not_json"})),
                replace(
                    good,
                    value=good.value.replace(b"noop.requested", b"nap.requested"),
                    headers=good.headers[:1],
                    ends=frozenset({"dead:unknown_type"}),
                ),
                replace(good, key=b"another", ends=frozenset({"dead:key_mismatch"})),
            ]
        )

    def upload(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._upload(at_s, name, "good.csv", "registered")

    def bad_upload(self, at_s: float, name: str) -> Iterator[Wish]:
        yield self._upload(at_s, name, "missing.csv", "rejected:file_missing")

    def _upload(self, at_s: float, name: str, file: str, *ends: str) -> Wish:
        data = {"dataset_id": name, "uri": str(self._folder / file)}
        return event("upload", at_s, "datasets.uploaded", name, data, *ends)

    def _noop(
        self, recipe: str, at_s: float, name: str, seconds: float, behaviour: str, *ends: str, **more: Any
    ) -> Wish:
        steps = self._rng.choice([0, 3, 20])
        data = {"duration_s": round(seconds, 3), "steps": steps, "behaviour": behaviour, **more}
        return event(recipe, at_s, "ml.noop.requested", name, data, *ends)

    def _short(self) -> float:
        """0.05 to 3 s, as many below 0.4 as above."""
        return 0.05 * 60 ** self._rng.random()


#: Of a hundred jobs, how many are of which recipe; what is left is quick.
SHARES: dict[Callable[..., Iterator[Wish]], float] = {
    Recipes.long: 8,
    Recipes.fail: 4,
    Recipes.raises: 4,
    Recipes.exits: 4,
    Recipes.spawn: 4,
    Recipes.timed_out: 2,
    Recipes.invalid: 4,
    Recipes.without_model: 4,
    Recipes.automl: 1,
    Recipes.repeated: 4,
    Recipes.reused: 2,
    Recipes.cancelled: 4,
    # These are no jobs and come on top.
    Recipes.dead: 3,
    Recipes.upload: 1.5,
    Recipes.bad_upload: 1.5,
}

_NO_JOBS = (Recipes.dead, Recipes.upload, Recipes.bad_upload)


def wishes(jobs: int, seed: int, seconds: float, folder: Path, *, leave_out: tuple[str, ...] = ()) -> list[Wish]:
    """`jobs` jobs and what comes beside them, in the order of their times. At least one of every recipe."""
    rng = random.Random(seed)
    recipes = Recipes(rng, folder)
    chosen = [
        make
        for make, share in SHARES.items()
        if make.__name__ not in leave_out
        for _ in range(max(1, round(share * jobs / 100)))
    ]
    quick = jobs - sum(make not in _NO_JOBS for make in chosen)
    made = [recipes._upload(0.0, DATASET, "good.csv", "registered")]
    for number, make in enumerate(chosen + [Recipes.quick] * quick):
        # A training takes longer than the rest: it comes early enough for its end to be seen.
        at_s = rng.uniform(0, seconds * (0.4 if make is Recipes.automl else 1.0))
        made += make(recipes, at_s, f"{make.__name__.replace('_', '-')}-{number:04}")
    return sorted(made, key=lambda wish: wish.at_s)


def write_files(folder: Path) -> None:
    """The file that is uploaded: 80 rows, whose outcome follows from their columns."""
    rng = random.Random(0)
    rows = []
    for _ in range(80):
        a, b, noise = (rng.gauss(0, 1) for _ in range(3))
        rows.append(f"{a:.4f},{b:.4f},{noise:.4f},{'ill' if a + b + noise / 4 > 0 else 'well'}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "good.csv").write_text("\n".join(["a,b,c,outcome", *rows]) + "\n")
