"""Checks of ends: every job has one, it is the one that was decided, and it is one that was to be expected."""

from collections.abc import Iterator

from .diary import Kind
from .evidence import Evidence, Heard
from .repeats import frozen_during

_UPLOAD_ENDS = ("ml.dataset.registered", "ml.dataset.rejected")
_REFUSED = "ml.job.cancellation-refused"


def kills(evidence: Evidence, job: str) -> int:
    """How many workers were killed while they had the job in hand."""
    killed = evidence.diary.pids(Kind.KILL_WORKER)
    return sum(a.worker in killed and not a.released for a in evidence.stored(job).attempts.values())


def freezes(evidence: Evidence, job: str) -> int:
    """How many of its runs were on a worker that was frozen past its session: to the group it was dead as well."""
    runs = evidence.runs_of.get(job, ())
    return sum(frozen_during(evidence, run, run.last_seen) for run in runs)


def given_up(evidence: Evidence) -> list[str]:
    """Jobs that ended as `worker_lost`."""
    return [job for job, ends in evidence.ends.items() if any(end.end == "failed:worker_lost" for end in ends)]


def lost(evidence: Evidence) -> Iterator[str]:
    """Given up, though fewer of its workers were killed or frozen out than it may be started."""
    for job in given_up(evidence):
        killed, frozen = kills(evidence, job), freezes(evidence, job)
        if killed + frozen < evidence.max_attempts:
            yield f"{job}: given up after {killed} kills and {frozen} freezes, of {evidence.max_attempts} attempts"


def without_end(evidence: Evidence) -> Iterator[str]:
    """Jobs and uploads that nothing was heard of in the end."""
    for job in evidence.asked:
        if job not in evidence.ends:
            yield f"{job} ({evidence.asked[job].recipe})"
    told = {heard.subject for heard in evidence.log if heard.name in _UPLOAD_ENDS}
    for wish in evidence.wishes:
        if wish.is_upload and wish.subject not in told:
            yield f"upload {wish.subject}"


def two_ends(evidence: Evidence) -> Iterator[str]:
    """Told of as ended by events with different ids."""
    ends = [heard for told in evidence.ends.values() for heard in told]
    ends += [heard for heard in evidence.log if heard.name in (*_UPLOAD_ENDS, "ml.model.completed")]
    ids: dict[tuple[str, str], set[str]] = {}
    for heard in ends:
        ids.setdefault((heard.topic, heard.subject), set()).add(heard.id)
    for (_, subject), found in ids.items():
        if len(found) > 1:
            yield f"{subject}: {len(found)} ends"


def not_as_decided(evidence: Evidence) -> Iterator[str]:
    """Told an end that is not the one in the store."""
    for job, ends in evidence.ends.items():
        outcome = evidence.stored(job).outcome or {"events": []}
        decided = {recorded["event"]["id"] for recorded in outcome["events"]}
        if not {end.id for end in ends} <= decided:
            yield f"{job}: {ends[0].end}"


def unexpected(evidence: Evidence) -> Iterator[str]:
    """Ended otherwise than what was asked for and what was done to it allow."""
    shot = {fault.job for fault in evidence.diary.hits(Kind.KILL_JOB)}
    for job, wish in evidence.asked.items():
        allowed = wish.ends | {"failed:worker_lost"}  # see `lost`
        allowed |= {"failed:crashed"} if job in shot else set()
        for end in evidence.ends.get(job, ()):
            if end.end not in allowed:
                yield f"{job}: {end.end} ({_message(end)}), not {' or '.join(sorted(wish.ends))}"
    yield from _unexpected_uploads(evidence)


def _unexpected_uploads(evidence: Evidence) -> Iterator[str]:
    uploads = {wish.subject: wish for wish in evidence.wishes if wish.is_upload}
    for heard in evidence.log:
        if heard.name in _UPLOAD_ENDS and heard.end not in uploads[heard.subject].ends:
            yield f"upload {heard.subject}: {heard.end} ({_message(heard)})"


def _message(heard: Heard) -> str:
    error = heard.data.get("error") or {}
    return str(error.get("message", ""))[:160]


def unanswered_cancellations(evidence: Evidence) -> Iterator[str]:
    """Somebody asked for a job's end, it came to its own, and nobody said so."""
    refused = {heard.subject for heard in evidence.log if heard.name == _REFUSED}
    for wish in evidence.wishes:
        ends = evidence.ends.get(wish.subject, ())
        if wish.recipe == "cancellation" and ends and ends[0].end != "cancelled" and wish.subject not in refused:
            yield f"{wish.subject}: {ends[0].end}"
