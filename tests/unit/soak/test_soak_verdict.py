"""Each promise of the soak can be broken: one violation is planted into evidence that is good, and only it is found."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from soak import plan, repeats, report
from soak.diary import Diary, End, Fault, Kind
from soak.evidence import Attempt, Evidence, Heard, Letter, Stored
from soak.ledger import Line, Run, runs
from soak.verdict import CHECKS, judge
from soak.wishes import Wish, event

JOBS = "omniscope.ml.jobs"
NOOP = "omniscope.ml.noop.requested"

#: Worker 10 ran both jobs first; it was killed, and worker 20 took `again` over.
KILLED, TAKER, FROZEN = 10, 20, 30


def heard(name: str, subject: str, offset: int, event_id: str, topic: str = JOBS, **data: Any) -> Heard:
    return Heard(topic, 0, offset, subject.encode(), b"{}", name, event_id, subject, data)


def as_heard(wish: Wish, offset: int) -> Heard:
    return Heard(wish.topic, 0, offset, wish.key, wish.value, wish.recipe, f"e{offset}", wish.subject)


def run(job: str, attempt: int, begun: float, last_seen: float, *, came_to_end: bool = True) -> Run:
    return Run(job, attempt, attempt, begun, last_seen, begun, came_to_end)


def outcome(attempt: int, *ids: str) -> dict[str, Any]:
    return {"attempt": attempt, "events": [{"event": {"id": one}} for one in ids]}


def row(job: str, attempt: int) -> dict[str, Any]:
    return {"job_id": job, "status": "completed", "attempt": attempt, "error": None, "model_id": None}


@cache
def good() -> Evidence:
    """Two jobs, one of which was started twice, a dead letter and an upload. Everything as it should be."""
    wishes = [
        event("quick", 0, "ml.noop.requested", "once", {}, "completed"),
        event("long", 0, "ml.noop.requested", "again", {}, "completed"),
        replace(event("dead letter", 0, "ml.noop.requested", "dead", {}, "dead:not_json"), value=b"{"),
        event("upload", 0, "datasets.uploaded", "data", {}, "registered"),
    ]
    faults = [Fault(kind, 200.0, 220.0, pid=99) for kind in Kind]
    faults[0] = Fault(Kind.KILL_WORKER, 105.0, 105.0, pid=KILLED)
    faults[list(Kind).index(Kind.FREEZE)] = Fault(Kind.FREEZE, 100.0, 120.0, pid=FROZEN)
    return Evidence(
        wishes=wishes,
        log=[
            *(as_heard(wish, offset) for offset, wish in enumerate(wishes)),
            heard("ml.job.started", "once", 0, "s1", attempt=1),
            heard("ml.job.started", "again", 1, "s2", attempt=1),
            heard("ml.job.started", "again", 2, "s3", attempt=2),
            heard("ml.job.completed", "once", 3, "once-ended", attempt=1),
            heard("ml.job.completed", "again", 4, "again-ended", attempt=2),
            heard("ml.job.completed", "again", 5, "again-ended", attempt=2),
            heard("ml.dataset.registered", "data", 0, "data-ended", topic="omniscope.ml.datasets"),
        ],
        letters=[Letter((NOOP, 0, 2), "not_json")],
        store={
            "once": Stored({1: Attempt(KILLED, released=False)}, outcome(1, "once-ended"), 102.0),
            "again": Stored(
                {1: Attempt(KILLED, released=False), 2: Attempt(TAKER, released=False)},
                outcome(2, "again-ended"),
                130.0,
            ),
        },
        runs=[
            run("once", 1, 100.0, 101.9),
            run("again", 1, 100.0, 105.0, came_to_end=False),
            run("again", 2, 113.0, 129.9),
        ],
        diary=Diary(faults, [End("worker-0", KILLED, -9, 105.0, asked=True)]),
        rows=[row("once", 1), row("again", 2)],
        session_s=6.0,
        max_attempts=3,
    )


def with_event(*more: Heard) -> Evidence:
    return replace(good(), log=[*good().log, *more])


def without_event(event_id: str) -> Evidence:
    return replace(good(), log=[heard for heard in good().log if heard.id != event_id])


def with_end(job: str, event_id: str, name: str, **data: Any) -> Evidence:
    """The end of a job replaced by another, everywhere."""
    known = good()
    log = [replace(h, name=name, data={"attempt": 1, **data}) if h.id == event_id else h for h in known.log]
    reason = data["error"]["reason"] if "error" in data else None
    rows = [r for r in known.rows if r["job_id"] != job]
    status = name.rpartition(".")[2]
    error = {"reason": reason} if reason else None
    return replace(known, log=log, rows=[*rows, {**row(job, 1), "status": status, "error": error}])


def with_runs(*more: Run) -> Evidence:
    return replace(good(), runs=sorted([*good().runs, *more], key=lambda one: one.begun))


def with_attempt(evidence: Evidence, job: str, number: int, attempt: Attempt) -> Evidence:
    stored = evidence.store[job]
    changed = replace(stored, attempts={**stored.attempts, number: attempt})
    told = heard("ml.job.started", job, 90 + number, f"{job}-{number}", attempt=number)
    return replace(evidence, store={**evidence.store, job: changed}, log=[*evidence.log, told])


def repeated_after_its_end() -> Evidence:
    # Its worker was killed, so that there is a reason for it; but the outcome stood there.
    return with_attempt(with_runs(run("once", 2, 103.0, 104.0)), "once", 2, Attempt(KILLED, released=False))


def repeated_for_no_reason() -> Evidence:
    # Before the outcome, on workers to which nothing was done.
    return with_attempt(with_runs(run("again", 3, 129.95, 129.99)), "again", 3, Attempt(TAKER, released=False))


def two_at_once() -> Evidence:
    # The first was given back, as it should be, but it went on.
    known = good()
    stored = replace(known.store["again"], attempts={1: Attempt(KILLED, True), 2: Attempt(TAKER, False)})
    overlapping = [replace(r, last_seen=113.2) if (r.job, r.attempt) == ("again", 1) else r for r in known.runs]
    return replace(known, store={**known.store, "again": stored}, runs=overlapping)


def a_zombie(result_of: int, decided_at: float = 130.0) -> Evidence:
    """`again` runs on a frozen worker (attempt 1) and on another (attempt 2) at once; attempt `result_of` counts."""
    known = good()
    attempts = {1: Attempt(FROZEN, released=False), 2: Attempt(TAKER, released=False)}
    told = outcome(result_of, "again-ended")
    stored = replace(known.store["again"], attempts=attempts, outcome=told, decided_at=decided_at)
    end = {"again-ended": result_of}
    log = [replace(h, data={"attempt": end[h.id]}) if h.id in end else h for h in known.log]
    return replace(
        known,
        store={**known.store, "again": stored},
        runs=[
            run("once", 1, 100.0, 101.9),
            run("again", 1, 100.0, 118.0, came_to_end=True),
            run("again", 2, 113.0, 129.9),
        ],
        log=log,
        rows=[row("once", 1), row("again", result_of)],
    )


def given_up() -> Evidence:
    return with_end("again", "again-ended", "ml.job.failed", error={"reason": "worker_lost", "message": ""})


def an_unanswered_cancellation() -> Evidence:
    known = good()
    asked = event("cancellation", 0, "ml.cancellation.requested", "once", {})
    return replace(known, wishes=[*known.wishes, asked], log=[*known.log, as_heard(asked, 0)])


def a_lost_request() -> Evidence:
    """Acknowledged by the broker and gone from the log, though its job was done."""
    return replace(good(), log=good().log[1:])


PLANTED: dict[str, Callable[[], Evidence]] = {
    "lost jobs": given_up,
    "jobs with no terminal event": lambda: without_event("data-ended"),
    "terminal events with different ids for one job": lambda: with_event(
        heard("ml.dataset.registered", "data", 1, "another", topic="omniscope.ml.datasets")
    ),
    "ends told that are not the decided one": lambda: replace(
        good(), store={**good().store, "once": replace(good().store["once"], outcome=outcome(1, "something else"))}
    ),
    "ends that were not to be expected": lambda: with_end("once", "once-ended", "ml.job.cancelled"),
    "cancellations without an answer": an_unanswered_cancellation,
    "runs repeated after outcome.json existed": repeated_after_its_end,
    "runs repeated without a kill, a freeze or a hand-over": repeated_for_no_reason,
    "overlapping runs, frozen zombies apart": two_at_once,
    "results of frozen zombies that count": lambda: a_zombie(result_of=1, decided_at=118.1),
    "runs that no event tells of": lambda: without_event("s2"),
    "jobs completed without a run": lambda: replace(good(), runs=good().runs[1:]),
    "API rows that differ from the log": lambda: replace(good(), rows=[row("once", 1), row("again", 1)]),
    "dead letters that are wrong or missing": lambda: replace(good(), letters=[]),
    "acknowledged requests that the log lost or doubled": a_lost_request,
    "processes left over": lambda: replace(good(), left_over=["123: sleep"]),
    "services that ended by themselves": lambda: replace(
        good(), diary=Diary(good().diary.faults, [End("worker-1", 5, 1, 110.0, asked=False)])
    ),
    "differences after a rebuild": lambda: replace(good(), rebuild={"identical": False, "complaint": "no broker"}),
    "faults that hit nobody": lambda: replace(good(), diary=Diary(good().diary.faults[:-1])),
}


def test_good_evidence_breaks_no_promise() -> None:
    assert judge(good()).broken == {name: [] for name in CHECKS}


def test_a_violation_is_planted_for_every_promise() -> None:
    assert PLANTED.keys() == CHECKS.keys()


@pytest.mark.parametrize("promise", CHECKS)
def test_a_planted_violation_breaks_its_promise_and_no_other(promise: str) -> None:
    verdict = judge(PLANTED[promise]())
    assert not verdict.is_good
    assert [name for name, broken in verdict.broken.items() if broken] == [promise]


def test_a_job_whose_worker_was_killed_as_often_as_it_may_be_started_is_not_lost() -> None:
    evidence = given_up()
    attempts = {number: Attempt(KILLED, released=False) for number in (1, 2, 3)}
    again = replace(evidence.store["again"], attempts=attempts)
    assert not judge(replace(evidence, store={**evidence.store, "again": again})).broken["lost jobs"]


def test_attempts_that_were_given_back_do_not_excuse_a_lost_job() -> None:
    evidence = given_up()
    attempts = {number: Attempt(KILLED, released=number == 2) for number in (1, 2, 3)}
    again = replace(evidence.store["again"], attempts=attempts)
    assert judge(replace(evidence, store={**evidence.store, "again": again})).broken["lost jobs"]


def test_a_job_with_no_end_at_all_is_named_with_what_it_was() -> None:
    (told,) = judge(without_event("once-ended")).broken["jobs with no terminal event"]
    assert told == "once (quick)"


def test_a_frozen_zombie_may_run_beside_another_if_its_result_does_not_count() -> None:
    assert judge(a_zombie(result_of=2)).is_good


def test_who_was_frozen_and_got_its_partition_back_may_end_the_job() -> None:
    # The other was given back at 129.9, before the end was decided.
    assert judge(a_zombie(result_of=1, decided_at=130.0)).is_good


def test_a_worker_that_was_frozen_past_its_session_is_a_lost_one() -> None:
    evidence = given_up()
    attempts = {
        1: Attempt(KILLED, released=False),
        2: Attempt(KILLED, released=False),
        3: Attempt(FROZEN, released=True),
    }
    again = replace(evidence.store["again"], attempts=attempts)
    frozen = run("again", 3, 115.0, 118.0, came_to_end=False)
    killed = replace(evidence, store={**evidence.store, "again": again})
    assert judge(killed).broken["lost jobs"] == ["again: given up after 2 kills and 0 freezes, of 3 attempts"]
    assert not judge(replace(killed, runs=[*killed.runs, frozen])).broken["lost jobs"]


def test_a_run_on_a_worker_that_was_frozen_at_another_time_is_no_zombie() -> None:
    evidence = a_zombie(result_of=2)
    later = [replace(f, begun=140.0, ended=150.0) if f.kind is Kind.FREEZE else f for f in evidence.diary.faults]
    broken = judge(replace(evidence, diary=Diary(later))).broken
    assert broken["overlapping runs, frozen zombies apart"]


def test_a_job_that_was_shot_may_have_crashed_and_no_other() -> None:
    crashed = with_end("once", "once-ended", "ml.job.failed", error={"reason": "crashed", "message": ""})
    assert judge(crashed).broken["ends that were not to be expected"]
    shot = [replace(f, job="once") if f.kind is Kind.KILL_JOB else f for f in crashed.diary.faults]
    assert judge(replace(crashed, diary=Diary(shot))).is_good


def test_a_freeze_shorter_than_the_session_shows_nothing() -> None:
    brief = [replace(f, ended=f.begun + 5) if f.kind is Kind.FREEZE else f for f in good().diary.faults]
    (told,) = judge(replace(good(), diary=Diary(brief))).broken["faults that hit nobody"]
    assert "shorter than the session" in told


def test_a_service_that_cannot_start_without_a_broker_has_not_died() -> None:
    def broken(at: float, *, served: bool) -> list[str]:
        ends = [End("worker-1", 5, 1, at, asked=False, served=served)]
        return judge(replace(good(), diary=Diary(good().diary.faults, ends))).broken[
            "services that ended by themselves"
        ]

    assert not broken(230.0, served=False)
    assert broken(230.0, served=True)
    assert broken(150.0, served=False)


def test_a_table_that_a_rebuild_changed_is_named() -> None:
    tables = [{"table": "training_jobs", "identical": False, "different": 2}, {"table": "datasets", "identical": True}]
    (told,) = judge(replace(good(), rebuild={"identical": False, "tables": tables})).broken[
        "differences after a rebuild"
    ]
    assert "training_jobs" in told
    assert judge(replace(good(), rebuild={"identical": True, "tables": []})).is_good


def test_a_row_that_nobody_asked_for_differs_from_the_log() -> None:
    assert judge(replace(good(), rows=[*good().rows, row("nobody", 1)])).broken["API rows that differ from the log"]


def test_a_doubled_request_is_found() -> None:
    log = good().log
    broken = judge(replace(good(), log=[*log, replace(log[0], offset=50)])).broken
    assert broken["acknowledged requests that the log lost or doubled"]


def test_a_letter_put_aside_twice_is_one_letter() -> None:
    assert judge(replace(good(), letters=good().letters * 2)).is_good


def test_a_letter_with_another_reason_is_a_wrong_one() -> None:
    wrong = replace(good(), letters=[Letter((NOOP, 0, 2), "unknown_type")])
    assert len(judge(wrong).broken["dead letters that are wrong or missing"]) == 2


def test_the_reason_of_a_repeat_is_told() -> None:
    ((again, why),) = repeats.before_the_outcome(good())
    assert (again.job, again.attempt, why) == ("again", 2, "killed")


def test_lines_of_a_ledger_become_runs() -> None:
    lines = [
        Line("start", "a", 1, 7, 1.0, 101.0),
        Line("start", "b", 1, 8, 1.5, 101.5),
        Line("tick", "a", 1, 7, 2.0, 102.0),
        Line("end", "b", 1, 8, 3.0, 103.0),
    ]
    assert runs(lines) == [
        Run("a", 1, 7, 1.0, 2.0, 101.0, came_to_end=False),
        Run("b", 1, 8, 1.5, 3.0, 101.5, came_to_end=True),
    ]


def test_the_report_shows_figures_and_what_broke() -> None:
    evidence = two_at_once()
    told = report.written(plan.short(60, 7), evidence, judge(evidence))
    assert "seed 7" in told
    assert "again: attempts 1 and 2, for 0.20 s" in told
    assert "p50 8.0 s, p99 8.0 s, of 1 jobs" in report.written(plan.short(60, 7), good(), judge(good()))
    assert told.rstrip().endswith("SOMETHING BROKE: see above.")
