"""The API's own tokens and the one secret behind them."""

import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from infra.api import tokens
from infra.settings import Settings, SettingsError


@pytest.fixture
def fresh(settings: Settings) -> Settings:
    """No secret is configured and none was made yet."""
    return settings.model_copy(update={"api_jwt_secret": None})


#: Waits at the line for a word on its input, then prints the secret of the data directory it was given.
AT_THE_LINE = """
import sys
from infra.api import tokens
from infra.settings import Settings
settings = Settings(data_dir=sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(tokens.secret(settings))
"""


def test_the_secret_is_made_once_for_its_owner_alone(fresh: Settings) -> None:
    made = tokens.secret(fresh)
    assert len(made) >= 32
    assert tokens.secret(fresh) == made
    assert stat.S_IMODE(fresh.secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(fresh.data_dir.stat().st_mode) == 0o700
    assert [path.name for path in fresh.data_dir.iterdir()] == [fresh.secret_file.name], "no draft is left behind"


def test_processes_that_start_together_have_one_secret(fresh: Settings) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", AT_THE_LINE, str(fresh.data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    found = {racer.communicate("go\n")[0].strip() for racer in racers}
    assert len(found) == 1
    assert found == {tokens.secret(fresh)}


def test_whoever_comes_second_takes_the_first_ones(fresh: Settings, monkeypatch) -> None:
    """Both have seen that there is no file; one has been faster."""
    fresh.make_data_dir()
    monkeypatch.setattr(Path, "exists", lambda path: False)
    first, second = tokens.secret(fresh), tokens.secret(fresh)
    assert first == second


def test_the_configured_secret_goes_first(settings: Settings) -> None:
    assert tokens.secret(settings) == settings.api_jwt_secret
    assert not settings.secret_file.exists()


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_damaged_secret_is_said_to_be(fresh: Settings, content: str) -> None:
    fresh.make_data_dir()
    fresh.secret_file.write_text(content)
    with pytest.raises(SettingsError, match="shorter than 32 bytes"):
        tokens.secret(fresh)


def test_a_secret_that_cannot_be_kept_names_the_way_out(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = settings.model_copy(update={"api_jwt_secret": None, "data_dir": tmp_path / "file" / "below"})
    with pytest.raises(SettingsError, match="set API_JWT_SECRET"):
        tokens.secret(nowhere)


def test_a_token_says_who_what_and_until_when(settings: Settings) -> None:
    token = tokens.issue(settings, "ada", ["ml:read", "ml:other"], hours=2)
    claims = jwt.decode(token, tokens.secret(settings), algorithms=["HS256"], audience=settings.api_jwt_audience)
    assert (claims["sub"], claims["scope"], claims["iss"]) == ("ada", "ml:read ml:other", settings.api_jwt_issuer)
    assert claims["exp"] - claims["iat"] == 2 * 3600


@pytest.mark.parametrize("hours", [0, -1, 1e9, float("nan"), float("inf")])
def test_a_token_is_good_for_a_sensible_time(settings: Settings, hours: float) -> None:
    with pytest.raises(ValueError, match="hours"):
        tokens.issue(settings, "ada", hours=hours)


def test_where_somebody_else_issues_tokens_we_do_not(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="API_JWKS"):
        tokens.issue(settings.model_copy(update={"api_jwks": "https://issuer.example/jwks"}), "ada")
