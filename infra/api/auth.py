"""Who may read: a bearer JWT (RFC 6750, RFC 8725) with an expiry, our issuer and audience, and the scope."""

from dataclasses import dataclass
from typing import Any

import jwt
from jwt import exceptions as refused
from starlette.requests import Request

from infra.settings import Settings

from . import keys
from .problems import Refusal
from .tokens import READ

_REALM = 'Bearer realm="omniscope-ml"'
_LEEWAY_S = 10
_SENTENCES: dict[type[refused.PyJWTError], str] = {
    refused.ExpiredSignatureError: "the token has expired: get a new one",
    refused.ImmatureSignatureError: "the token is not valid yet: compare the clocks",
    refused.InvalidAudienceError: "the token's aud is not this API's (API_JWT_AUDIENCE)",
    refused.InvalidIssuerError: "the token's iss is not the one trusted here (API_JWT_ISSUER)",
    refused.InvalidKeyError: "the key that signed the token is too short or of the wrong kind",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the token speaks for, and what it allows."""

    subject: str | None
    scopes: frozenset[str]


class Verifier:
    """Judges tokens. What it checks is fixed by the settings, never by the token."""

    def __init__(self, source: keys.Keys, *, issuer: str, audience: str) -> None:
        self._keys = source
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def of(cls, settings: Settings) -> "Verifier":
        """As configured.

        Raises:
            SettingsError: the key source cannot be used.
        """
        return cls(keys.source(settings), issuer=settings.api_jwt_issuer, audience=settings.api_jwt_audience)

    async def verify(self, token: str) -> Caller:
        """The caller.

        Raises:
            Refusal: 401 says what is wrong with the token, 503 that nobody can tell now.
        """
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims = self._claims(token, key)
        except keys.KeysUnreachable as error:
            raise Refusal(
                503, "issuer_unreachable", f"{error}: try again shortly", headers={"Retry-After": "5"}
            ) from error
        except keys.UnknownKey as error:
            raise _invalid(str(error)) from error
        except refused.MissingRequiredClaimError as error:
            raise _invalid(f"the token lacks the claim {error.claim}") from error
        except refused.PyJWTError as error:
            raise _invalid(_SENTENCES.get(type(error), "this is no token that was signed for this API")) from error
        return Caller(claims.get("sub"), _scopes(claims))

    def _claims(self, token: str, key: keys.Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )


async def authorize(request: Request, scope: str = READ) -> Caller:
    """The caller of this request, who may do what `scope` names.

    Raises:
        Refusal: 401, 403 or 503.
    """
    verifier: Verifier = request.app.state.verifier
    caller = await verifier.verify(_token(request))
    request.state.caller = caller
    if scope not in caller.scopes:
        raise Refusal(
            403,
            "scope_missing",
            f"the token does not carry the scope {scope}",
            headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
        )
    return caller


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(
            401,
            "token_missing",
            "send the header «Authorization: Bearer TOKEN»; `omniscope-ml token` prints one, unless API_JWKS is set",
            headers={"WWW-Authenticate": _REALM},
        )
    return token.strip()


def _invalid(detail: str) -> Refusal:
    return Refusal(401, "token_invalid", detail, headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'})


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    # RFC 8693 has one string with spaces; some issuers send a list.
    told = claims.get("scope", "")
    return frozenset(told.split() if isinstance(told, str) else map(str, told) if isinstance(told, list) else ())
