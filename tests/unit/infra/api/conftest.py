"""The application on a temporary database, and a client that is let in."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from support.clients import client_of
from support.rows import database

from infra.api import tokens
from infra.api.app import create_app
from infra.settings import Settings

SECRET = "a secret that is long enough for HS256"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("API_JWKS", "API_JWT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return Settings(data_dir=tmp_path / "data", api_jwt_secret=SECRET)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with database(tmp_path) as opened:
        yield opened


@pytest.fixture
def app(settings: Settings, engine: AsyncEngine) -> Starlette:
    return create_app(settings, engine)


@pytest.fixture
async def client(app: Starlette, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, tokens.issue(settings, "ada")) as opened:
        yield opened


@pytest.fixture
async def stranger(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with client_of(app, None) as opened:
        yield opened


@pytest.fixture
def claims(settings: Settings) -> Callable[..., dict[str, Any]]:
    """Good claims, with changes; a claim that is None is left out."""

    def make(**changes: Any) -> dict[str, Any]:
        good = {
            "iss": settings.api_jwt_issuer,
            "aud": settings.api_jwt_audience,
            "sub": "ada",
            "scope": "ml:read",
            "exp": datetime.now(UTC) + timedelta(minutes=5),
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    return make


@pytest.fixture
def signed(claims: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    def sign(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
        return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)

    return sign
