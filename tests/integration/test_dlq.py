"""Dead letters are listed, shown and sent back: the original bytes to the original topic, each letter once."""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy import select
from support.broker import Broker, running_broker
from support.house import open_house
from typer.testing import CliRunner

from events.dead_letters import REDRIVEN_FROM, DeadLetter, Redriven
from events.envelope import CloudEvent, full_type
from events.topics import Topic
from infra.cli.dlq import _book
from infra.cli.dlq_redriving import Report, send_back
from infra.cli.main import app
from infra.kafka.connection import client_settings
from infra.kafka.letters.book import Choice
from infra.kafka.letters.filed import dead_letters
from infra.kafka.letters.redrive import Redriver
from infra.kafka.log_epoch import read_epoch
from infra.kafka.outcomes import KafkaOutcomes
from infra.kafka.projector import Projector
from infra.settings import Settings
from infra.storage.database import migrate, open_engine
from infra.storage.redrive_claims import STALE_S, RedriveClaims, Underway
from schemas import tables


@pytest.fixture
async def settings(tmp_path: Path, both_brokers: Broker) -> AsyncIterator[Settings]:
    async with running_broker(tmp_path, both_brokers) as settings:
        yield settings


class Commands:
    """`omniscope-ml dlq …` against one broker: as a process of its own, or `here`, where nothing else prints."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("EMBEDDED_KAFKA_PORT", str(settings.embedded_kafka_port))
        if settings.kafka_bootstrap_servers:
            monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        """(exit code, what it printed, what it printed on stderr)."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", "dlq", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def here(self, *words: str) -> tuple[int, str, str]:
        """The same within this process, in a thread: it has an event loop of its own."""
        done = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *words], prog_name="omniscope-ml")
        return done.exit_code, done.stdout, done.stderr

    async def json(self, *words: str) -> Any:
        return json.loads((await self.here(*words, "--json"))[1])


async def published(settings: Settings, topic: str) -> list[Any]:
    """All records of a topic, by partition and offset."""
    consumer = AIOKafkaConsumer(**client_settings(settings), auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings.topic_partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []
        while any(
            [consumer.highwater(p) is None or await consumer.position(p) < consumer.highwater(p) for p in places]
        ):
            found += [read for reads in (await consumer.getmany(timeout_ms=100)).values() for read in reads]
        return sorted(found, key=lambda read: (read.partition, read.offset))
    finally:
        await consumer.stop()


async def put_aside(settings: Settings, *letters: DeadLetter) -> None:
    async with KafkaOutcomes(settings) as outcomes:
        for letter in letters:
            await outcomes.bury(letter)


async def sent_back(settings: Settings, choice: Choice) -> int:
    """What `dlq redrive` does, beside services in this process that print, too; how many letters were sent back."""
    letters = (await _book(settings)).letters()
    report = Report([known for known in letters if known in choice], dry_run=False)
    await send_back(settings, report)
    return report.count()["redriven"]


def letter(offset: int, **also: Any) -> DeadLetter:
    told: dict[str, Any] = {
        "topic": Topic.NOOP.value, "partition": offset % 2, "offset": offset, "timestamp_ms": 1_700_000_000_000,
        "key": b"key \xff", "value": b"\x00\xff bytes", "headers": (("a", b"\x01"), ("b", None), ("a", b"2")),
        "reason": "not_json", "message": "the record's value is no JSON",
    }  # fmt: skip
    return DeadLetter(**{**told, **also})


async def test_a_refused_request_comes_back_as_it_was_and_is_refused_again(
    tmp_path: Path, both_brokers: Broker
) -> None:
    async with open_house(tmp_path, "noop", broker=both_brokers) as house:
        first = await house.buried(await house.send(Topic.NOOP, b"{", None, [("trace", b"\xfe")]))
        assert await sent_back(house.settings, Choice.of([first.place])) == 1
        moved = (await published(house.settings, Topic.NOOP))[-1]
        assert (moved.key, moved.value, moved.partition) == (None, b"{", first.partition)
        assert moved.headers == (("trace", b"\xfe"), (REDRIVEN_FROM, first.place.encode()))

        again = await house.buried(moved)
        assert (again.reason, again.value, again.key) == ("not_json", b"{", None)
        letters = {known.offset: known for known in (await _book(house.settings)).letters()}
        assert letters.keys() == {first.offset, again.offset}
        assert (letters[again.offset].came_from, letters[again.offset].redriven) == (letters[first.offset].id, None)
        redriven = letters[first.offset].redriven
        assert redriven is not None
        assert (redriven.partition, redriven.offset) == (moved.partition, moved.offset)


async def test_a_letter_whose_cause_is_gone_is_carried_out(tmp_path: Path, both_brokers: Broker) -> None:
    """Binary as it came: the header more changes no event."""
    binary = (
        ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"t"), ("content-type", b"application/json"),
        ("ce_type", full_type("ml.noop.requested").encode()), ("ce_subject", b"late"),
    )  # fmt: skip
    async with open_house(tmp_path, "noop", broker=both_brokers) as house:
        await put_aside(house.settings, letter(0, key=b"late", value=b"{}", headers=binary, reason="internal_error"))
        assert await sent_back(house.settings, Choice.of(topics=["noop.requested"])) == 1
        assert (await house.ended("late")).name == "ml.job.completed"


async def test_listed_and_shown_with_nothing_that_moves_a_cursor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlq = Commands(settings, monkeypatch)
    assert await dlq.here("list") == (0, "No dead letters.\n", "")
    evil = "\x1b[2J\u202e"
    event = CloudEvent(source="t", type="ai.omniscope.ml.magic.v1", subject="job-7", data={"größe": "x\x9b" + evil})
    await put_aside(
        settings,
        letter(0, key=None, value=event.to_bytes(), headers=((evil, evil.encode()),), message=evil, reason="odd"),
        letter(1),
    )
    _, listed, _ = await dlq.here("list")
    _, shown, _ = await dlq.here("show", "noop.requested:0:0")
    assert not {"\x1b", "\x9b", "\u202e"} & {*listed, *shown}
    assert "job-7" in listed
    assert "2 letters (1 odd, 1 not_json)" in listed or "2 letters (1 not_json, 1 odd)" in listed
    assert '"größe": ' in shown
    assert "key        none" in shown
    assert "00 ff 20 62" in (await dlq.here("show", "omniscope.ml.noop.requested:1:1"))[1]
    assert [found["reason"] for found in await dlq.json("list", "--reason", "odd", "--topic", Topic.NOOP)] == ["odd"]
    assert (await dlq.here("list", "--reason", "none of them"))[1] == "No dead letters.\n"
    whole = await dlq.json("show", "noop.requested:1:1")
    assert base64.b64decode(whole["value_base64"]) == letter(1).value
    _, bare, _ = await dlq.here("list", "--reason", "not_json")
    assert "job-7" not in bare


async def test_the_exact_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    dlq = Commands(settings, monkeypatch)
    await put_aside(settings, letter(1))
    done = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", "show", "noop.requested:1:1", "--raw"])
    assert (done.exit_code, done.stdout_bytes) == (0, letter(1).value)
    assert (await dlq.here("show", "noop.requested:1:7"))[0] == 4
    assert (await dlq.here("redrive", "--id", "noop.requested:1:7"))[0] == 4
    assert (await dlq.here("redrive", "--reason", "none of them"))[:2] == (
        0,
        "No dead letter is like that: nothing to send back.\n",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["redrive"], "say which letters: by --id, --topic or --reason, or --all of them"),
        (["redrive", "--all", "--id", "a:0:1"], "--all takes no filter beside it"),
        (["redrive", "--id", "17"], "'17' is no letter's id: it looks like automl.requested:0:17"),
        (["show", "a:b:c"], "'a:b:c' is no letter's id"),
        (["show", "a:0:1", "--raw", "--json"], "choose one"),
    ],
)
def test_what_makes_no_sense_is_said_before_anybody_is_asked(words: list[str], told: str) -> None:
    done = CliRunner().invoke(app, ["dlq", *words], prog_name="omniscope-ml")
    assert (done.exit_code, told in done.stderr) == (2, True), done.output


async def test_once_whoever_asks_how_often(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    dlq = Commands(settings, monkeypatch)
    letters = [
        letter(n, key=None if n % 3 == 0 else b"k%d" % n, value=None if n % 5 == 0 else b"v%d" % n) for n in range(150)
    ]
    await put_aside(settings, *letters)

    ended = await asyncio.gather(*(dlq("redrive", "--all", "--json") for _ in range(2)))
    at_once = [json.loads(out) for _, out, _ in ended]
    assert sum(told["count"].get("redriven", 0) for told in at_once) == len(letters)
    assert (await dlq.json("redrive", "--all"))["count"] == {"already_redriven": len(letters)}
    assert (await dlq.json("redrive", "--id", "noop.requested:0:0"))["count"] == {"already_redriven": 1}

    moved = {dict(x.headers)[REDRIVEN_FROM]: x for x in await published(settings, Topic.NOOP)}
    assert len(await published(settings, Topic.NOOP)) == len(moved) == len(letters)
    for one in letters:
        found = moved[one.place.encode()]
        assert (found.key, found.value, found.partition) == (one.key, one.value, one.partition)
        assert found.headers[:-1] == one.headers
    assert [found["id"] for found in await dlq.json("list")] == []
    back = await dlq.json("list", "--all")
    assert {(x["id"], x["redriven"]["offset"]) for x in back} == {
        (f"noop.requested:{one.partition}:{one.offset}", moved[one.place.encode()].offset) for one in letters
    }


async def test_what_was_killed_between_claim_and_publication_is_finished(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlq = Commands(settings, monkeypatch)
    await put_aside(settings, letter(0), letter(1))
    claims = RedriveClaims.open(settings.artifacts, await read_epoch(settings) or "", "grace@elsewhere")
    claims.take(letter(0))

    code, out, err = await dlq.here("redrive", "--all")
    assert (code, out) == (1, "1 letter sent back; 1 letter being sent back by somebody else\n")
    assert "grace@elsewhere began to send it" in err

    now = time.time
    monkeypatch.setattr("infra.storage.redrive_claims.time.time", lambda: now() + STALE_S)
    code, out, err = await dlq.here("redrive", "--all")
    assert (code, out) == (0, "1 letter sent back; 1 letter sent back before\n")
    assert "grace@elsewhere had begun to send it and was broken off before it arrived" in err
    assert [x.value for x in await published(settings, Topic.NOOP)] == [letter(0).value] * 2


async def test_what_was_killed_between_publication_and_saying_so_is_found_on_its_topic(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlq = Commands(settings, monkeypatch)
    originals = [letter(n, partition=0, headers=((REDRIVEN_FROM, b"t:0:0"),)) for n in range(2)]
    await put_aside(settings, *originals)
    claims = RedriveClaims.open(settings.artifacts, await read_epoch(settings) or "", "grace@elsewhere")
    async with AIOKafkaProducer(**client_settings(settings)) as producer:
        for _ in range(2):
            await producer.send_and_wait(Topic.NOOP, b"at the originals' places", partition=0)
        claims.take(originals[0])
        claims.take(originals[1])
        key, value, headers = originals[1].original()
        sent = await producer.send_and_wait(Topic.NOOP, value, key, partition=0, headers=headers)

    now = time.time
    monkeypatch.setattr("infra.storage.redrive_claims.time.time", lambda: now() + STALE_S)
    told = {each["id"]: each for each in (await dlq.json("redrive", "--all"))["letters"]}
    assert told["noop.requested:0:0"]["fate"] == "redriven"
    assert told["noop.requested:0:1"]["fate"] == "already_redriven"
    assert told["noop.requested:0:1"]["redriven"]["offset"] == sent.offset
    assert len(await published(settings, Topic.NOOP)) == 4
    assert await dlq.json("list") == []


async def test_what_was_killed_between_publication_and_mark_is_only_marked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlq = Commands(settings, monkeypatch)
    await put_aside(settings, letter(0))
    claims = RedriveClaims.open(settings.artifacts, await read_epoch(settings) or "", "grace@elsewhere")
    claims.take(letter(0))
    claims.sent(letter(0), Redriven(1, "grace@elsewhere", 0, 7))

    told = await dlq.json("redrive", "--all")
    assert told["count"] == {"already_redriven": 1}
    assert told["letters"][0]["redriven"]["by"] == "grace@elsewhere"
    assert await published(settings, Topic.NOOP) == []
    (found,) = await dlq.json("list", "--all")
    assert (found["redriven"]["by"], found["redriven"]["offset"]) == ("grace@elsewhere", 7)


async def test_what_cannot_go_back_is_refused_with_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlq = Commands(settings, monkeypatch)
    await put_aside(
        settings,
        letter(0, topic="omniscope.ml.abolished"),
        letter(1, value=b"x" * 3_000_000),
        letter(2, topic=Topic.LOG.value),
        letter(3),
    )
    plan = await dlq.json("redrive", "--all", "--dry-run")
    assert plan["count"] == {"refused": 3, "would_be_redriven": 1}
    told = await dlq.json("redrive", "--all")
    assert told["count"] == {"refused": 3, "redriven": 1}
    why = {each["id"]: each["message"] for each in told["letters"] if each["fate"] == "refused"}
    assert "not one of those that this broker has" in why["abolished:0:0"]
    assert "too large to be kept whole" in why["noop.requested:1:1"]
    assert len(await dlq.json("list")) == 3


async def test_a_letter_that_fills_its_topics_limit_is_refused_and_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the header more it is larger than any producer of ours sends."""
    room = 2_000_000 - 1000
    dlq = Commands(settings, monkeypatch)
    monkeypatch.setattr("infra.kafka.letters.redrive.LARGE_EVENT_BYTES", room)
    await put_aside(settings, letter(0, value=b"x" * room), letter(1))
    code, out, err = await dlq.here("redrive", "--all")
    assert (code, out) == (1, "1 letter sent back; 1 letter refused\n")
    assert "larger than omniscope.ml.noop.requested takes" in err
    assert [found["id"] for found in await dlq.json("list")] == ["noop.requested:0:0"]


async def test_the_tables_know_what_was_sent_back(settings: Settings) -> None:
    outcome = letter(3, topic=Topic.JOBS.value, value=b"{", key=b"job-1", headers=())
    await put_aside(settings, outcome, letter(4))
    await migrate(settings.database)
    engine, stop = open_engine(settings.database), asyncio.Event()
    async with KafkaOutcomes(settings) as outcomes:
        projector = Projector(settings, engine, outcomes)
        running = asyncio.create_task(projector.run(stop))
        try:
            # An outcome, too: it is as unreadable as before, and the projector puts it aside again.
            assert await sent_back(settings, Choice.of([outcome.place])) == 1
            for read in await published(settings, Topic.DEAD_LETTERS):
                await projector.wait_until(read.topic, read.partition, read.offset)
            async with engine.connect() as connection:
                rows = (await connection.execute(select(tables.dead_letters))).mappings().all()
        finally:
            stop.set()
            await running
            await engine.dispose()
    found = {(row["topic"], row["offset"]): row for row in rows}
    assert found[Topic.JOBS, 3]["redriven"] is True
    assert (found[Topic.JOBS, 3]["value"], found[Topic.JOBS, 3]["message"]) == (b"{", outcome.message)
    assert found[Topic.NOOP, 4]["redriven"] is False


async def test_a_log_with_a_transaction_and_other_peoples_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apache Kafka: what was aborted is no letter, commit markers at the end keep nobody waiting."""
    async with running_broker(tmp_path, "apache") as settings:
        dlq = Commands(settings, monkeypatch)
        await put_aside(settings, letter(0))
        async with AIOKafkaProducer(**client_settings(settings), transactional_id=f"t-{tmp_path.name}") as producer:
            for offset, keep in ((1, True), (2, False)):
                key, value, headers = letter(offset).to_record()
                await producer.begin_transaction()
                for partition in range(2):
                    await producer.send_and_wait(Topic.DEAD_LETTERS, value, key, partition, headers=headers)
                    await producer.send_and_wait(Topic.DEAD_LETTERS, b"no letter", b"k", partition)
                await (producer.commit_transaction() if keep else producer.abort_transaction())
            assert sorted(found["offset"] for found in await dlq.json("list")) == [0, 1]
            await producer.begin_transaction()
            key, value, headers = letter(3).to_record()
            await producer.send_and_wait(Topic.DEAD_LETTERS, value, key, 0, headers=headers)
            # One that is still open holds up nobody.
            assert sorted(found["offset"] for found in await dlq.json("list")) == [0, 1]
            await producer.abort_transaction()


async def test_a_broker_that_is_away_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_broker(tmp_path) as settings:
        dlq = Commands(settings, monkeypatch)
    for words in (["list"], ["show", "noop.requested:0:0"], ["redrive", "--all"]):
        code, _, err = await dlq.here(*words)
        assert (code, "no Kafka broker answers" in err) == (3, True), err


async def test_a_broker_that_goes_away_in_the_middle_leaves_what_a_later_redrive_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.letters.redrive._SEND_S", 0.5)
    monkeypatch.setattr("infra.kafka.letters.redrive._STOP_S", 0.1)
    async with running_broker(tmp_path) as settings:
        await put_aside(settings, letter(0))
        filed = [found async for found in dead_letters(settings)]
        epoch = await read_epoch(settings) or ""
        claims, others = (RedriveClaims.open(settings.artifacts, epoch, who) for who in ("ada", "grace"))
        redriver = Redriver(settings, claims, "ada")
        await redriver.__aenter__()
    with pytest.raises(ConnectionError, match="redrive again in a minute"):
        await redriver.redrive(filed, lambda told: pytest.fail(f"nothing became of {told}"))
    await redriver.__aexit__()
    found = others.take(letter(0))
    assert isinstance(found, Underway)
    assert found.by == "ada"
