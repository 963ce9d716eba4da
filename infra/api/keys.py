"""What tokens are checked with. Each source fixes its algorithms, so no token can choose how it is checked."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import jwt
import structlog
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from infra.settings import Settings, SettingsError

from . import tokens

log = structlog.get_logger(__name__)

_FETCH_TIMEOUT_S = 5.0
_LIFESPAN_S = 300.0
_PAUSE_S = 5.0
_ASYMMETRIC = ("RS256", "ES256")


class Key(NamedTuple):
    """A key and the one algorithm it is for."""

    value: Any
    algorithm: str


class UnknownKey(LookupError):
    """The token names no key, or one that is not ours."""


class KeysUnreachable(ConnectionError):
    """The keys cannot be fetched now: no token can be judged."""


class Keys(Protocol):
    """Where keys are found by the `kid` of a token's header."""

    async def find(self, kid: str | None) -> Key:
        """The key.

        Raises:
            UnknownKey, KeysUnreachable
        """


def source(settings: Settings) -> Keys:
    """The key source that is configured.

    Raises:
        SettingsError: both are, or the one that is cannot be used.
    """
    if settings.api_jwks is None:
        return SharedSecret(tokens.secret(settings))
    if settings.api_jwt_secret is not None:
        raise SettingsError("API_JWT_SECRET and API_JWKS are both set: keep the one that your tokens are signed with")
    if urlsplit(settings.api_jwks).scheme in ("http", "https"):
        return JwksUrl(settings.api_jwks)
    return JwksFile(Path(settings.api_jwks.removeprefix("file://")).expanduser())


class SharedSecret:
    """HS256 with the secret that `omniscope-ml token` signs with."""

    def __init__(self, secret: str) -> None:
        self._key = Key(secret, tokens.ALGORITHM)

    async def find(self, kid: str | None) -> Key:
        return self._key


class JwksFile:
    """RS256 or ES256 with the public keys of a file, read again when it has changed.

    Raises:
        SettingsError: the file is not there or holds no usable key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read()

    async def find(self, kid: str | None) -> Key:
        await asyncio.to_thread(self._refresh)
        return _chosen(self._keys, kid)

    def _refresh(self) -> None:
        try:
            if self._path.stat().st_mtime_ns != self._mtime:
                self._read()
        except (OSError, SettingsError) as error:
            # A file that is being replaced: what was good a moment ago still is.
            log.warning("jwks_not_read_again", error=str(error))

    def _read(self) -> None:
        try:
            self._mtime = self._path.stat().st_mtime_ns
            self._keys = jwt.PyJWKSet.from_dict(json.loads(self._path.read_bytes())).keys
        except (OSError, ValueError, AttributeError, PyJWTError) as error:
            raise SettingsError(f"API_JWKS: {self._path} holds no usable JWK set ({error})") from error


class JwksUrl:
    """RS256 or ES256 with public keys fetched from an address, in a thread and for five minutes at a time."""

    def __init__(self, url: str) -> None:
        if url.startswith("http://"):
            log.warning("jwks_without_tls", advice="API_JWKS should be https: who can change it can forge tokens")
        self._client = jwt.PyJWKClient(url, lifespan=_LIFESPAN_S, timeout=_FETCH_TIMEOUT_S)
        self._again_at = 0.0
        self._turn = asyncio.Lock()

    async def find(self, kid: str | None) -> Key:
        # While the issuer is down the requests wait for one attempt, and not for one each.
        async with self._turn:
            if monotonic() < self._again_at:
                raise KeysUnreachable("the token issuer did not answer a moment ago")
            try:
                return _chosen(await asyncio.to_thread(self._fetch, kid), kid)
            except PyJWKClientConnectionError as error:
                self._again_at = monotonic() + _PAUSE_S
                raise KeysUnreachable("the token issuer does not answer") from error

    def _fetch(self, kid: str | None) -> list[jwt.PyJWK]:
        if not kid:
            return []
        try:
            return [self._client.get_signing_key(kid)]
        except PyJWKClientConnectionError:
            raise
        except (PyJWTError, ValueError) as error:
            raise UnknownKey("the issuer has no such key") from error


def _chosen(keys: list[jwt.PyJWK], kid: str | None) -> Key:
    for key in keys:
        if kid and key.key_id == kid and key.public_key_use in (None, "sig") and key.algorithm_name in _ASYMMETRIC:
            return Key(key.key, str(key.algorithm_name))
    raise UnknownKey("the token's kid names none of the keys")
