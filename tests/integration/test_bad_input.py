"""Every bad input of the contract, sent to a real worker: where it ends and what a person reads.

One test sends all of them, waits for every end, prints the table and then lets a good job through.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.broker import Broker
from support.house import House, open_house

from events.envelope import CloudEvent, full_type, headers_of
from events.topics import Topic

AUTOML = full_type("ml.automl.requested")

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Case:
    """What is sent, by a function that returns how it ended: (where, reason, sentence)."""

    name: str
    expected: tuple[str, str]
    send: Callable[[House], Awaitable[tuple[str, str, str]]]


def raw(name: str, reason: str, value: bytes | None, key: bytes | None = None, headers: Any = ()) -> Case:
    """A record that is no job and ends in the dead letters, with its bytes."""

    async def send(house: House) -> tuple[str, str, str]:
        letter = await house.buried(await house.send(Topic.AUTOML, value, key, headers))
        assert (letter.value, letter.key) == (value, key), "the original bytes are changed"
        return "dead letter", letter.reason, letter.message

    return Case(name, ("dead letter", reason), send)


def event(name: str, reason: str, *, key: bytes | None = None, type: str = AUTOML, **attributes: Any) -> Case:
    """A CloudEvent that ends in the dead letters."""
    data = {"dataset_id": "good", "target_column": "outcome", **attributes.pop("data", {})}
    body = {"specversion": "1.0", "id": name, "source": "test", "type": type, "data": data, **attributes}
    return raw(name, reason, json.dumps(body).encode(), key)


def job(name: str, reason: str, **data: Any) -> Case:
    """A request that owns its id and ends as failed."""
    asked = {"dataset_id": "good", "target_column": "outcome", "time_limit": 20, **data}

    async def send(house: House) -> tuple[str, str, str]:
        job_id = "job-" + name.replace(" ", "-").replace(",", "").replace("*", "x")
        await house.ask("ml.automl.requested", job_id, **{k: v for k, v in asked.items() if v != "absent"})
        end = await house.ended(job_id)
        assert end.name == "ml.job.failed", f"{name} ended as {end.name}"
        return "failed job", end.data["error"]["reason"], end.data["error"]["message"]

    return Case(name, ("failed job", reason), send)


def upload(name: str, reason: str, file: str, **data: Any) -> Case:
    """An upload that is rejected."""

    async def send(house: House) -> tuple[str, str, str]:
        root = Path(house.settings.roots[0])
        dataset_id = "upload-" + name.replace(" ", "-")
        await house.ask(
            "datasets.uploaded", dataset_id, uri=file.format(root=root) if "/" in file else str(root / file), **data
        )
        told = (await house.heard("ml.dataset.rejected", dataset_id)).data["error"]
        return "rejected upload", told["reason"], told["message"]

    return Case(name, ("rejected upload", reason), send)


BASE = {"specversion": "1.0", "id": "1", "source": "test", "type": AUTOML, "subject": "x1"}

CASES = [
    raw("bytes that are no JSON", "not_json", b"\x00\xff\xfe garbage"),
    raw("half a JSON document", "not_json", b'{"specversion": "1.0", '),
    raw("an empty record", "not_json", None, key=b"k"),
    raw("JSON that is no CloudEvent", "not_a_cloudevent", b'{"job_id": "x"}'),
    event("unknown type", "unknown_type", type="ai.omniscope.ml.magic.requested.v1", subject="x2"),
    event("type of another topic", "wrong_topic", type=full_type("ml.ensemble.requested"), subject="x3"),
    event("no job_id and no subject", "job_id_missing"),
    event("climbing job_id", "job_id_invalid", data={"job_id": "../x"}),
    event("job_id with a slash", "job_id_invalid", data={"job_id": "a/b"}),
    event("key contradicts data", "key_mismatch", subject="x4", key=b"another"),
    event("subject contradicts data", "subject_mismatch", subject="x5", data={"job_id": "x6"}),
    job("unknown field", "unknown_field", time_limt=60),
    job("field missing", "missing_field", target_column="absent"),
    job("wrong type", "invalid_field", time_limit="soon"),
    job("time_limit 0", "out_of_range", time_limit=0),
    job("time_limit -1", "out_of_range", time_limit=-1),
    job("time_limit 10**9", "out_of_range", time_limit=10**9),
    job("unknown dataset", "dataset_unknown", dataset_id="nobody-uploaded-this"),
    job("target not there", "target_missing", target_column="outcom"),
    job("target twice in the header", "target_duplicate", dataset_id="twice"),
    job("target all NaN", "target_empty", target_column="all_nan"),
    job("target constant", "target_constant", target_column="constant"),
    job("one class", "target_one_class", target_column="one_class"),
    job("a class with one row", "target_class_too_small", target_column="rare"),
    job("target is a unique id", "target_is_id", target_column="sample_id"),
    job("text target, regression", "target_not_numeric", problem_type="regression"),
    job("no features left", "no_features", feature_columns=["gene_1"], exclude_columns=["gene_1"]),
    job("unknown feature names", "column_missing", feature_columns=["gene_1", "gene_x"]),
    job("unknown group column", "column_missing", group_column="patient"),
    job("3 rows", "too_few_rows", dataset_id="tiny"),
    upload("empty file", "file_empty", "empty.csv"),
    upload("header only", "file_empty", "header.csv"),
    upload("truncated Parquet", "file_unreadable", "truncated.parquet"),
    upload("unknown extension", "format_unknown", "table.xyz"),
    upload("file that is not there", "file_missing", "missing.csv"),
    upload("outside the roots", "uri_outside_roots", "/etc/hostname"),
    upload("climbing out of the root", "uri_outside_roots", "{root}/../secret.csv"),
    upload("through a symlink", "uri_outside_roots", "link.csv"),
    upload("wrong sha256", "sha256_mismatch", "good.csv", sha256="0" * 64),
    upload("unsupported scheme", "uri_unsupported", "ftp://example.org/x.csv"),
]


def write_files(root: Path) -> None:
    """The good data set, and the bad files."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    n = 60
    outcome = np.array(["case", "control"])[np.arange(n) % 2]
    good = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            **{f"gene_{i}": rng.normal(size=n) + (outcome == "case") * (i < 2) for i in range(6)},
            "constant": 1,
            "one_class": "case",
            "all_nan": np.nan,
            "rare": ["a", *["b", "c"] * ((n - 1) // 2), "b"][:n],
            "outcome": outcome,
        }
    )
    good.to_csv(root / "good.csv", index=False)
    good.head(3).to_csv(root / "tiny.csv", index=False)
    (root / "twice.csv").write_text("outcome,g,outcome\n" + "a,1,b\nb,2,a\n" * 20)
    (root / "empty.csv").write_bytes(b"")
    (root / "header.csv").write_text("a,b,c\n")
    (root / "table.xyz").write_text("a,b\n1,2\n")
    good.to_parquet(root / "truncated.parquet")
    whole = (root / "truncated.parquet").read_bytes()
    (root / "truncated.parquet").write_bytes(whole[: len(whole) // 2])
    (root.parent / "secret.csv").write_text("a,b\n1,2\n")
    (root / "link.csv").symlink_to(root.parent / "secret.csv")
    wide = pd.DataFrame(rng.normal(size=(60, 20_000)), columns=[f"g{i}" for i in range(20_000)])
    wide["outcome"] = outcome
    wide.to_parquet(root / "wide.parquet")


async def test_every_bad_input_ends_with_a_reason_and_the_worker_goes_on(
    tmp_path: Path, both_brokers: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("automl", "datasets", "noop")
    async with open_house(tmp_path, *names, broker=both_brokers, dataset_wait_s=1.0, worker_slots=2) as house:
        root = Path(house.settings.roots[0])
        write_files(root)
        for name in ("good.csv", "tiny.csv", "twice.csv", "wide.parquet"):
            await house.ask("datasets.uploaded", name.split(".")[0], uri=str(root / name))
            await house.heard("ml.dataset.registered", name.split(".")[0])
        rows = [(case, await case.send(house)) for case in CASES]
        rows.append((REUSED, await REUSED.send(house)))

        await house.ask("ml.noop.requested", "good")
        assert (await house.ended("good")).name == "ml.job.completed"
        if both_brokers == "embedded":  # what is trained on does not depend on the broker, and takes a minute
            await _train_on_many_columns(house)

    width = max(len(case.name) for case, _ in rows)
    lines = [f"{case.name:{width}}  {where:15}  {reason:22}  {text}" for case, (where, reason, text) in rows]
    with capsys.disabled():
        print("\n\nWhat was sent, where it ended, the reason, what the person reads\n" + "\n".join(lines))
    for case, (where, reason, text) in rows:
        assert (where, reason) == case.expected, f"{case.name}: {text}"
        assert len(text) > 15, case.name


async def _train_on_many_columns(house: House) -> None:
    """20,000 columns are no bad input."""
    asked = {"dataset_id": "wide", "target_column": "outcome", "time_limit": 60, "quality": "medium"}
    await house.ask("ml.automl.requested", "wide", **asked)
    wide = await house.ended("wide")
    assert wide.name == "ml.job.completed", wide.data


async def _reuse(house: House) -> tuple[str, str, str]:
    """The id of a running job with other content: the job is untouched."""
    await house.ask("ml.noop.requested", "reused", duration_s=2.0)
    await house.heard("ml.job.started", "reused")
    other = CloudEvent(source="test", type=full_type("ml.noop.requested"), subject="reused", data={"duration_s": 0.0})
    letter = await house.buried(await house.send(Topic.NOOP, other.to_bytes(), b"reused", headers_of(other)))
    assert (await house.ended("reused")).name == "ml.job.completed"
    return "dead letter", letter.reason, letter.message


REUSED = Case("a running job's id with other content", ("dead letter", "job_id_reused"), _reuse)
