"""Who is let in, and what everybody else is told."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from support.clients import client_of

from infra.api import keys
from infra.api.app import ENDPOINTS, create_app
from infra.api.auth import Verifier
from infra.api.problems import Refusal
from infra.settings import Settings, SettingsError

JOBS = "/api/ml/jobs"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["iss", "aud", "exp", "scope"]), inner, max_size=4)
    ),
    max_leaves=8,
)
GUARDED = [
    e.operation.path.format(job_id="x", model_id="x", explanation_id="x") for e in ENDPOINTS if not e.operation.public
]


def refused(answer, status: int, reason: str) -> str:
    """The sentence in a refusal, after checking what holds for each of them."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == reason
    return answer.json()["detail"]


@pytest.mark.parametrize("path", GUARDED)
async def test_every_guarded_address_asks_for_a_token(stranger, path: str) -> None:
    answer = await stranger.get(path)
    assert "Authorization: Bearer" in refused(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="omniscope-ml"'


def test_only_what_tells_nothing_of_the_tables_is_open() -> None:
    assert {e.operation.path for e in ENDPOINTS if e.operation.public} == {"/", "/healthz", "/readyz", "/openapi.json"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic YTpi", "Token abc"])
async def test_what_is_no_bearer_token_counts_as_none(stranger, header: str) -> None:
    refused(await stranger.get(JOBS, headers={"Authorization": header}), 401, "token_missing")


@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "..", "é.é.é", "eyJhbGciOiJIUzI1NiJ9.e30.", "x" * 5000, "[]", "e30.e30.e30"]
)
async def test_garbage_is_refused(stranger, token: str) -> None:
    answer = await stranger.get(JOBS, headers={"Authorization": f"Bearer {token}".encode("latin-1")})
    refused(answer, 401, "token_invalid")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exp": datetime.now(UTC) - timedelta(minutes=5)}, "has expired"),
        ({"nbf": datetime.now(UTC) + timedelta(days=1)}, "not valid yet"),
        ({"aud": "another-api"}, "API_JWT_AUDIENCE"),
        ({"iss": "somebody"}, "API_JWT_ISSUER"),
        ({"exp": None}, "lacks the claim exp"),
        ({"aud": None}, "lacks the claim aud"),
        ({"iss": None}, "lacks the claim iss"),
        ({"exp": "soon"}, "no token that was signed"),
        ({"sub": 7}, "no token that was signed"),
    ],
)
async def test_each_wrong_claim_is_named(stranger, signed, changes: dict[str, Any], sentence: str) -> None:
    answer = await stranger.get(JOBS, headers={"Authorization": f"Bearer {signed(**changes)}"})
    assert sentence in refused(answer, 401, "token_invalid")


@pytest.mark.parametrize("key", ["another secret that is also long enough", "short"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the forger's key, not ours
async def test_another_key_is_refused(stranger, signed, key: str) -> None:
    refused(await stranger.get(JOBS, headers={"Authorization": f"Bearer {signed(key=key)}"}), 401, "token_invalid")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS384", "HS512", "RS256"])
async def test_no_other_algorithm_is_taken(stranger, signed, algorithm: str) -> None:
    """The header says another algorithm over an otherwise good, HS256-signed token; or over no signature."""
    _, body, signature = signed().split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    for end in (signature, ""):
        answer = await stranger.get(JOBS, headers={"Authorization": f"Bearer {forged}.{body}.{end}"})
        refused(answer, 401, "token_invalid")


async def test_a_token_signed_with_a_longer_hash_and_our_secret_is_refused(stranger, signed) -> None:
    token = signed(key="x" * 64, algorithm="HS512")
    refused(await stranger.get(JOBS, headers={"Authorization": f"Bearer {token}"}), 401, "token_invalid")


@pytest.mark.parametrize("scope", ["", "ml:write", "ml:reader", "ml", ["ml:write"], None, 7, {"ml:read": 1}])
async def test_without_the_scope_it_is_forbidden(stranger, signed, scope: object) -> None:
    answer = await stranger.get(JOBS, headers={"Authorization": f"Bearer {signed(scope=scope)}"})
    assert "ml:read" in refused(answer, 403, "scope_missing")
    assert 'error="insufficient_scope", scope="ml:read"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("scope", ["ml:read", "openid ml:read email", ["ml:write", "ml:read"]])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_scope_it_is_let_in(stranger, signed, scope: object, scheme: str) -> None:
    answer = await stranger.get(JOBS, headers={"Authorization": f"{scheme} {signed(scope=scope)}"})
    assert answer.status_code == 200


class Issuer:
    """An identity provider: private keys here, the public ones in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "jwks.json"
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.keys = [
            self._jwk(jwt.algorithms.RSAAlgorithm, self.rsa, "rsa-1", alg="RS256"),
            self._jwk(jwt.algorithms.ECAlgorithm, self.ec, "ec-1"),
        ]
        self.write()

    @staticmethod
    def _jwk(algorithm: Any, key: Any, kid: str, **more: str) -> dict[str, Any]:
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}

    def write(self) -> None:
        self.path.write_text(json.dumps({"keys": self.keys}))


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
async def jwks_client(issuer: Issuer, settings: Settings, engine: AsyncEngine):
    trusting = settings.model_copy(update={"api_jwt_secret": None, "api_jwks": str(issuer.path)})
    async with client_of(create_app(trusting, engine)) as opened:
        yield opened


async def test_keys_of_a_set_are_found_by_their_id(jwks_client, issuer: Issuer, signed) -> None:
    for key, algorithm, kid in ((issuer.rsa, "RS256", "rsa-1"), (issuer.ec, "ES256", "ec-1")):
        token = signed(key=key, algorithm=algorithm, headers={"kid": kid})
        assert (await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_a_key_of_the_set_goes_with_its_own_algorithm_only(jwks_client, issuer: Issuer, signed) -> None:
    wrong = [
        signed(key=issuer.rsa, algorithm="RS512", headers={"kid": "rsa-1"}),
        signed(key=issuer.rsa, algorithm="PS256", headers={"kid": "rsa-1"}),
        signed(key=issuer.rsa, algorithm="RS256", headers={"kid": "ec-1"}),
        signed(key=issuer.rsa, algorithm="RS256", headers={"kid": "nobody"}),
        signed(key=issuer.rsa, algorithm="RS256"),
        signed(headers={"kid": "rsa-1"}),
    ]
    for token in wrong:
        refused(await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"}), 401, "token_invalid")


async def test_the_public_key_is_no_shared_secret(jwks_client, issuer: Issuer, claims: Callable[..., Any]) -> None:
    """The classic confusion: HS256 with the public key's bytes as the secret, made by hand as PyJWT refuses to."""
    pem = issuer.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    payload = claims() | {"exp": int((datetime.now(UTC) + timedelta(minutes=5)).timestamp())}
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}, payload]
    signing = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    for secret in (pem, pem.strip(), issuer.path.read_bytes()):
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signing, hashlib.sha256)).rstrip(b"=")
        token = (signing + b"." + signature).decode()
        refused(await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"}), 401, "token_invalid")


async def test_a_symmetric_key_in_the_set_is_never_used(jwks_client, issuer: Issuer, signed) -> None:
    secret = "s" * 40
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="), "kid": "oct-1"}
    issuer.keys.append(jwk)
    issuer.write()
    token = signed(key=secret, headers={"kid": "oct-1"})
    refused(await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"}), 401, "token_invalid")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the issuer's fault, shown on purpose
async def test_a_short_key_of_an_issuer_is_refused(jwks_client, issuer: Issuer, signed) -> None:
    short = rsa.generate_private_key(65537, 1024)
    issuer.keys.append(issuer._jwk(jwt.algorithms.RSAAlgorithm, short, "short"))
    issuer.write()
    token = signed(key=short, algorithm="RS256", headers={"kid": "short"})
    answer = await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"})
    assert "too short" in refused(answer, 401, "token_invalid")


async def test_a_changed_set_is_read_again_and_a_broken_one_is_not(jwks_client, issuer: Issuer, signed) -> None:
    newer = ec.generate_private_key(ec.SECP256R1())
    token = signed(key=newer, algorithm="ES256", headers={"kid": "ec-2"})
    refused(await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"}), 401, "token_invalid")
    issuer.keys.append(issuer._jwk(jwt.algorithms.ECAlgorithm, newer, "ec-2"))
    issuer.write()
    assert (await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"})).status_code == 200
    issuer.path.write_text("{half")
    assert (await jwks_client.get(JOBS, headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_many_requests_ask_a_silent_issuer_once(settings, monkeypatch) -> None:
    asked: list[str] = []

    def fetch(client: jwt.PyJWKClient) -> Any:
        asked.append(client.uri)
        raise jwt.PyJWKClientConnectionError("timed out")

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch)
    source = keys.JwksUrl("https://issuer.example/jwks")
    answers = await asyncio.gather(*(source.find("rsa-1") for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {keys.KeysUnreachable}
    assert len(asked) == 1


@hypothesis.settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(max_codepoint=255))
    | st.lists(st.binary(max_size=40), min_size=3, max_size=3).map(
        lambda parts: ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    )
)
def test_whatever_is_sent_is_refused_and_breaks_nothing(token: str) -> None:
    verifier = Verifier(keys.SharedSecret("s" * 32), issuer="omniscope", audience="omniscope-ml")
    with pytest.raises(Refusal) as refusal:
        asyncio.run(verifier.verify(token))
    assert refusal.value.status == 401


@hypothesis.settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "x5u"]), _JSON), _JSON)
def test_no_header_and_no_claims_break_it(header: dict[str, Any], claims: Any) -> None:
    """Signed with our own secret, so that only what is said in it is wrong."""
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in ({"alg": "HS256"} | header, claims)]
    signature = hmac.digest(b"s" * 32, b".".join(parts), hashlib.sha256)
    token = b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    verifier = Verifier(keys.SharedSecret("s" * 32), issuer="omniscope", audience="omniscope-ml")
    with pytest.raises(Refusal) as refusal:
        asyncio.run(verifier.verify(token))
    assert refusal.value.status == 401


async def test_an_issuer_that_does_not_answer_is_no_fault_of_the_token(settings, engine, issuer, signed) -> None:
    unreachable = settings.model_copy(update={"api_jwt_secret": None, "api_jwks": "https://127.0.0.1:1/jwks.json"})
    token = signed(key=issuer.rsa, algorithm="RS256", headers={"kid": "rsa-1"})
    async with client_of(create_app(unreachable, engine), token) as client:
        for _ in range(2):  # the second is answered without asking again
            answer = await client.get(JOBS)
            refused(answer, 503, "issuer_unreachable")
            assert answer.headers["retry-after"] == "5"


async def test_a_fetched_set_is_used(settings, engine, issuer, signed, monkeypatch) -> None:
    asked: list[str] = []

    def fetch(client: jwt.PyJWKClient) -> Any:
        asked.append(client.uri)
        return json.loads(issuer.path.read_text())

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch)
    trusting = settings.model_copy(update={"api_jwt_secret": None, "api_jwks": "https://issuer.example/jwks"})
    good = signed(key=issuer.rsa, algorithm="RS256", headers={"kid": "rsa-1"})
    unknown = signed(key=issuer.rsa, algorithm="RS256", headers={"kid": "nobody"})
    async with client_of(create_app(trusting, engine)) as client:
        assert (await client.get(JOBS, headers={"Authorization": f"Bearer {good}"})).status_code == 200
        assert (await client.get(JOBS, headers={"Authorization": f"Bearer {good}"})).status_code == 200
        assert asked == ["https://issuer.example/jwks"], "the set is kept for a while"
        refused(await client.get(JOBS, headers={"Authorization": f"Bearer {unknown}"}), 401, "token_invalid")


def test_both_key_sources_at_once_are_a_mistake(settings) -> None:
    with pytest.raises(SettingsError, match="API_JWT_SECRET and API_JWKS"):
        keys.source(settings.model_copy(update={"api_jwks": "https://issuer.example/jwks"}))


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"keys": []}', '{"keys": [{"kty": "magic"}]}'])
def test_a_set_that_is_none_stops_the_start(settings, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="API_JWKS"):
        keys.source(settings.model_copy(update={"api_jwt_secret": None, "api_jwks": str(path)}))
