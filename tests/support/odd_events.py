"""Real events of every request topic, each damaged in one or two of many ways, from a seed.

Some are still valid afterwards: these are bounded, so that no one of them starts long work.
"""

import base64
import copy
import json
import random
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from events.envelope import CONTENT_TYPE, full_type
from events.errors import InvalidEvent
from events.topics import Topic
from events.vocabulary import EVENTS, EventType, identify, validate

from .odd_headers import RawName

Header = tuple[str, bytes | None]

#: What a well-formed request of each type says; none of these datasets, models and files is there.
REQUESTS: dict[str, dict[str, Any]] = {
    "datasets.uploaded": {"uri": "nobody-put-this-here.csv", "format": "csv", "name": "Cohort"},
    "ml.automl.requested": {"dataset_id": "nobodys", "target_column": "outcome", "time_limit": 10, "seed": 1},
    "ml.deep-learning.requested": {"dataset_id": "nobodys", "target_column": "y", "architecture": "cnn_1d"},
    "ml.transfer-learning.requested": {"dataset_id": "nobodys", "target_column": "y", "fine_tune_layers": "auto"},
    "ml.ensemble.requested": {"model_ids": ["m1", "m2"], "method": "voting", "weights": [0.5, 1.5]},
    "ml.explanation.requested": {"model_id": "m1", "method": "shap", "sample_indices": [0, 3]},
    "ml.noop.requested": {"duration_s": 0.0, "steps": 1, "behaviour": "finish", "resources": {"cpus": 1}},
    "ml.cancellation.requested": {"requested_by": "ada"},
    "ml.model-deletion.requested": {"cascade": False, "requested_by": "ada"},
    "ml.model-promotion.requested": {"approved_by": "ada", "reason": "looked at"},
}

LARGE = 1_000_000

_NAUGHTY_STRINGS = (
    "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "é", "e\u0301", "\u202egnp.exe", "𝕊" * 50, "A" * 300,
    "../../etc/passwd", "..", ".", "/", "a/b", "a\\b", "C:\\x", "%2e%2e%2f", "-", ".hidden", "a b", "a\nb", "a\tb",
    "null", "NaN", "Infinity", "0", "-1", "1e400", "true", "{{7*7}}", "${HOME}", "$(id)", "'; DROP TABLE jobs; --",
    "<script>", "s3://bucket/x.csv", "file:///etc/passwd", "ftp://x/y", "http://127.0.0.1:1/x.csv", "\x7f", "\x1b[31m",
)  # fmt: skip
_NAUGHTY_NUMBERS = (0, -0.0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 1e308, 5e-324, 0.1, -1e-9)
_NAUGHTY_VALUES = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, [1, "a", None, {}])
_NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
_DATES = (
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
    "1970-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "12:00", "1e12", "-1",
    "253402300800", "+123456-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789123Z", "2026-01-01T24:00:00Z", "",
)  # fmt: skip
_CONTENT_TYPES = (
    b"application/json", b"application/cloudevents+json", b"application/cloudevents+avro", b"text/plain", b"",
    b"application/cloudevents-batch+json", b"APPLICATION/CLOUDEVENTS+JSON; charset=utf-16", b";;;", b"\xff\xfe", None,
    b"application/cloudevents+json" + b";a" * 3000,
)  # fmt: skip
_TIMESTAMPS = (0, 1, 10**9, 10**14, 253402300800000, 10**16, 2**53, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Odd:
    """A record to send. `how` names what was done to it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    how: str
    timestamp_ms: int | None = None


@dataclass(slots=True)
class _Draft:
    """An event that is being damaged: `body` as long as it is JSON, `text` and what goes with it afterwards."""

    known: EventType
    topic: str
    body: dict[str, Any]
    key: bytes | None
    headers: list[Header]
    text: Callable[[Any], bytes | None]
    timestamp_ms: int | None = None
    topics: Sequence[str] = ()


def odd_events(seed: int, count: int, names: Sequence[str] = tuple(REQUESTS)) -> Iterator[Odd]:
    """`count` damaged events of the types in `names`, the same for the same seed.

    They go to the topics of these types; about one in five hundred has a megabyte.
    """
    rng = random.Random(seed)
    topics = [EVENTS[full_type(name)].topic for name in names]
    made = 0
    while made < count:
        odd = _odd(rng, rng.choice(names), topics, f"odd-{seed}-{made}")
        if not _starts_long_work(odd):
            made += 1
            yield odd


def _odd(rng: random.Random, name: str, topics: Sequence[str], subject: str) -> Odd:
    draft = _drafted(name, subject)
    draft.topics = topics
    chosen = [rng.choice(_WAYS) for _ in range(rng.choice((1, 1, 1, 2)))]
    if rng.random() < 0.002:
        chosen = [_large]
    for way in sorted(chosen, key=_WAYS_IN_ORDER.index):
        way(rng, draft)
    return Odd(
        draft.topic,
        draft.key,
        draft.text(draft.body),
        tuple(draft.headers),
        " and ".join(way.__name__.strip("_") for way in chosen),
        draft.timestamp_ms,
    )


def _drafted(name: str, subject: str) -> _Draft:
    event_type = full_type(name)
    known = EVENTS[event_type]
    body = {
        "specversion": "1.0",
        "id": f"event-of-{subject}",
        "source": "odd",
        "type": event_type,
        "subject": subject,
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {known.key: subject, **copy.deepcopy(REQUESTS[name])},
    }
    headers: list[Header] = [("content-type", CONTENT_TYPE.encode()), ("ce_type", event_type.encode())]
    return _Draft(known, known.topic, body, subject.encode(), headers, _as_json)


def _as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


# Ways in which the JSON is damaged: each changes the body, wherever in it the dice fall.


def _another_value(rng: random.Random, draft: _Draft) -> None:
    where, name = _anywhere(rng, draft.body)
    where[name] = rng.choice((_any_string, _any_number, _any_value))(rng)


def _no_number(rng: random.Random, draft: _Draft) -> None:
    where, name = _anywhere(rng, draft.body)
    where[name] = rng.choice(_NO_NUMBERS)


def _missing_field(rng: random.Random, draft: _Draft) -> None:
    where, name = _anywhere(rng, draft.body)
    del where[name]


def _extra_field(rng: random.Random, draft: _Draft) -> None:
    where = rng.choice((draft.body, _data(draft)))
    where[rng.choice((_any_string(rng), "time_limt", "ext1", "Ext", "traceparent", "data_base64"))] = _any_value(rng)


def _odd_id(rng: random.Random, draft: _Draft) -> None:
    odd = _any_string(rng)
    for where, name in rng.sample(_places_of_the_id(draft), k=rng.choice((1, 2))):
        where[name] = odd
    if rng.random() < 0.5:
        draft.key = odd.encode(errors="surrogatepass")


def _odd_date(rng: random.Random, draft: _Draft) -> None:
    draft.body["time"] = rng.choice((*_DATES, *_NAUGHTY_NUMBERS))


def _wrong_type(rng: random.Random, draft: _Draft) -> None:
    right = draft.known.type
    draft.body["type"] = rng.choice((*EVENTS, right.upper(), "v1", right.replace("v1", "v2"), f" {right}"))


def _whole_data(rng: random.Random, draft: _Draft) -> None:
    draft.body["data"] = rng.choice((*_NAUGHTY_VALUES, "{}", 1, [draft.body["data"]]))


def _in_base64(rng: random.Random, draft: _Draft) -> None:
    whole = base64.b64encode(_as_json(draft.body.get("data")))
    odd = rng.choice((whole, whole[:-3], b"!" + whole, whole + b"\xc3\xa9", b"", base64.b64encode(b"\xff{")))
    draft.body["data_base64"] = odd.decode()
    if rng.random() < 0.7:
        draft.body.pop("data", None)


def _deep(rng: random.Random, draft: _Draft) -> None:
    levels = rng.choice((10, 60, 70, 500, 3000, 100_000))
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
    where, name = _anywhere(rng, draft.body)
    where[name] = "@deep@"
    deep = f"{opened * levels}1{closed * levels}".encode()
    _then(draft, lambda text: text.replace(b'"@deep@"', deep))


# Ways in which the text is damaged, or the record around it.


def _bytes_changed(rng: random.Random, draft: _Draft) -> None:
    changes = [(rng.random(), rng.randrange(256), rng.choice("rid")) for _ in range(rng.choice((1, 1, 2, 8)))]

    def change(text: bytes) -> bytes:
        changed = bytearray(text)
        for where, byte, what in changes:
            at = int(where * len(changed))
            changed[at : at + (what != "i")] = b"" if what == "d" else bytes([byte])
        return bytes(changed)

    _then(draft, change)


def _cut(rng: random.Random, draft: _Draft) -> None:
    where = rng.random()
    _then(draft, lambda text: text[: int(where * len(text))])


def _said_twice(rng: random.Random, draft: _Draft) -> None:
    name = rng.choice(("data", "subject", "type", "id", "specversion"))
    other = json.dumps(rng.choice((None, "other", {}, {"job_id": "other"}, draft.body.get(name)))).encode()
    _then(draft, lambda text: b'{"' + name.encode() + b'": ' + other + b", " + text[1:])


def _other_encoding(rng: random.Random, draft: _Draft) -> None:
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "utf-7", "cp037"))
    _then(draft, lambda text: text.decode(errors="replace").encode(encoding, errors="replace"))


def _garbage(rng: random.Random, draft: _Draft) -> None:
    garbage = rng.choice(
        (rng.randbytes(rng.randrange(1, 400)), b"", None, b"null", b"[]", b'""', b"1", b"\0" * 100, b"[" * 50_000)
    )
    draft.key = draft.key or b""  # the client cannot send a record with neither
    draft.text = lambda _: garbage


def _large(rng: random.Random, draft: _Draft) -> None:
    filling = rng.choice(("A" * LARGE, ["g" * 9] * (LARGE // 14), [1e15] * (LARGE // 25), "é" * (LARGE // 6)))
    _data(draft)[rng.choice(("name", "feature_columns", "sample_indices", "x"))] = filling
    _then(draft, lambda text: text[: LARGE + 40_000])


def _odd_key(rng: random.Random, draft: _Draft) -> None:
    draft.key = rng.choice((None, b"", b"\xff\xfe", b"another", b"a/b", rng.randbytes(200), b"k" * 10_000))


def _odd_content_type(rng: random.Random, draft: _Draft) -> None:
    draft.headers[0] = ("content-type", rng.choice(_CONTENT_TYPES))


def _odd_headers(rng: random.Random, draft: _Draft) -> None:
    name = rng.choice(("ce_specversion", "CE_TYPE", "ce_", "content-type", "dead-letter-reason", "dead-letter-offset",
                       "dead-letter-topic", "dead-letter-partition", "", "é", "x" * 5000, "traceparent"))  # fmt: skip
    value = rng.choice((None, b"", b"\xff\xfe", b"1.0", b"0.3", rng.randbytes(50), b"\0", b"not a number"))
    draft.headers.append((name, value))


def _odd_header_name(rng: random.Random, draft: _Draft) -> None:
    draft.headers.insert(0, (RawName(rng.choice(("x\xff", "\xc3", "ce_\xfe", "\xed\xa0\x80"))), b"value"))


def _binary(rng: random.Random, draft: _Draft) -> None:
    """The binary mode, with one attribute that is odd or missing."""
    attributes = {f"ce_{name}": str(value).encode(errors="surrogatepass") for name, value in draft.body.items()}
    attributes.pop("ce_data", None)
    name = rng.choice((*attributes, "ce_ext1", "ce_Ext", "ce_data", "ce_data_base64", "ce_time"))
    odd = rng.choice((None, b"", b"\xff", b"\0", b"2.0", _any_string(rng).encode(errors="surrogatepass")))
    if rng.random() < 0.3:
        attributes.pop(name, None)
    else:
        attributes[name] = odd
    draft.headers = [("content-type", rng.choice((b"application/json", b"", b"text/csv"))), *attributes.items()]
    before = draft.text
    draft.text = lambda body: before(body.get("data"))


def _other_topic(rng: random.Random, draft: _Draft) -> None:
    draft.topic = rng.choice(draft.topics)


def _odd_timestamp(rng: random.Random, draft: _Draft) -> None:
    draft.timestamp_ms = rng.choice(_TIMESTAMPS)


#: In this order, where two are combined: first what the event says, then what it is written as.
_WAYS_IN_ORDER = [
    _another_value, _no_number, _missing_field, _extra_field, _odd_id, _odd_date, _wrong_type, _whole_data, _in_base64,
    _deep, _large, _binary, _said_twice, _bytes_changed, _cut, _other_encoding, _garbage, _odd_key, _odd_content_type,
    _odd_headers, _odd_header_name, _other_topic, _odd_timestamp,
]  # fmt: skip
#: The commonest mistakes come more often.
_WAYS = [way for way in _WAYS_IN_ORDER if way is not _large] + [_another_value] * 6 + [_bytes_changed] * 3


def _then(draft: _Draft, change: Callable[[bytes], bytes]) -> None:
    before = draft.text

    def text(body: Any) -> bytes | None:
        written = before(body)
        return None if written is None else change(written)

    draft.text = text


def _data(draft: _Draft) -> dict[str, Any]:
    data = draft.body.get("data")
    return data if isinstance(data, dict) else draft.body


def _anywhere(rng: random.Random, body: dict[str, Any]) -> tuple[Any, Any]:
    """A container in the body and a place in it, in the data more often than not."""
    data = body.get("data")
    where: Any = data if isinstance(data, dict) and data and rng.random() < 0.7 else body
    name = rng.choice(list(where))
    while isinstance(where[name], dict | list) and where[name] and rng.random() < 0.5:
        where = where[name]
        name = rng.choice(list(where)) if isinstance(where, dict) else rng.randrange(len(where))
    return where, name


def _places_of_the_id(draft: _Draft) -> list[tuple[dict[str, Any], str]]:
    return [(draft.body, "subject"), (_data(draft), draft.known.key)]


def _any_string(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "".join(rng.choices(string.printable, k=rng.randrange(1, 140)))
    return rng.choice(_NAUGHTY_STRINGS)


def _any_number(rng: random.Random) -> float:
    return rng.choice((*_NAUGHTY_NUMBERS, rng.uniform(-1e6, 1e6), rng.randrange(10**9)))


def _any_value(rng: random.Random) -> Any:
    return rng.choice((*_NAUGHTY_VALUES, _any_string(rng), _any_number(rng)))


def _starts_long_work(odd: Odd) -> bool:
    """A noop that does what it is asked to, for more than a moment."""
    if odd.topic != Topic.NOOP:
        return False
    try:
        asked = validate(identify(odd.topic, odd.key, odd.value, odd.headers))
    except InvalidEvent:
        return False
    return asked.duration_s > 0.02 or asked.steps > 10 or asked.behaviour == "hang"
