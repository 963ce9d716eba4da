"""The API's own tokens: one shared secret per installation, and a way to sign with it."""

import os
import secrets
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from infra.settings import Settings, SettingsError

ALGORITHM = "HS256"
READ = "ml:read"
"""The scope that reading asks for."""

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key at least as long as the hash."""

MAX_HOURS = 24 * 366


def issue(settings: Settings, subject: str, scopes: Iterable[str] = (READ,), hours: float = 12.0) -> str:
    """A signed token for `subject`, good for `hours` from now.

    Raises:
        SettingsError: the tokens of this installation come from elsewhere (API_JWKS).
        ValueError: `hours` is not more than 0 and at most a year.
    """
    if settings.api_jwks is not None:
        raise SettingsError("API_JWKS is set: tokens come from whoever holds its private keys, not from here")
    if not 0 < hours <= MAX_HOURS:
        raise ValueError(f"a token is good for more than 0 and at most {MAX_HOURS} hours")
    now = datetime.now(UTC)
    claims = {
        "iss": settings.api_jwt_issuer,
        "aud": settings.api_jwt_audience,
        "sub": subject,
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + timedelta(hours=hours),
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, secret(settings), algorithm=ALGORITHM)


def secret(settings: Settings) -> str:
    """API_JWT_SECRET, or else the secret kept in the data directory, which the first caller makes.

    Raises:
        SettingsError: the secret is too short, or its file cannot be read or made.
    """
    kept = settings.api_jwt_secret or _kept(settings)
    if len(kept.encode()) < MIN_SECRET_BYTES:
        where = "API_JWT_SECRET" if settings.api_jwt_secret else f"the secret in {settings.secret_file}"
        raise SettingsError(f"{where} is shorter than {MIN_SECRET_BYTES} bytes: use a longer one")
    return kept


def _kept(settings: Settings) -> str:
    path = settings.secret_file
    try:
        if not path.exists():
            settings.make_data_dir()
            _create(path, secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the secret in {path} cannot be read or made ({error}): set API_JWT_SECRET") from error


def _create(path: Path, text: str) -> None:
    """Writes the file whole or not at all, for its owner alone; whoever comes second leaves the first one's."""
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link is made only where nothing is, and shows the whole file at once.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
