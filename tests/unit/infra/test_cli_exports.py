"""What another terminal is told: enough to find this house, and no secret."""

import shlex
from pathlib import Path

import pytest

from infra.cli.exports import exports
from infra.cli.up import announce
from infra.settings import Settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults_need_no_word() -> None:
    assert exports(Settings()) == []


def test_what_differs_is_a_line_that_a_shell_reads_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = {
        "DATA_DIR": str(tmp_path / "my data"),
        "EMBEDDED_KAFKA_PORT": "19092",
        "API_PORT": "18001",
        "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    read = [shlex.split(line) for line in exports(Settings())]
    assert dict(words[1].split("=", 1) for words in read) == wanted
    assert {words[0] for words in read} == {"export"}


def test_a_secret_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_JWT_SECRET", "s" * 40)
    (line,) = exports(Settings())
    assert line.startswith("# set API_JWT_SECRET")
    assert "sss" not in line


def test_up_tells_them_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("API_PORT", "18001")
    announce(Settings())
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("In another terminal:") + 1].strip() == "export API_PORT=18001"
