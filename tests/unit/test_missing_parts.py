"""A part that is not here: skipped for a person, a failure in CI, and the reason is told in both."""

import pytest
from support.parts import missing


@pytest.mark.parametrize("ci", ["", "false"])
def test_a_person_is_told_why_the_test_is_skipped(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match=r"no broker here: install one"):
        missing("no broker here", "install one")


def test_in_ci_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"no broker here: install one"):
        missing("no broker here", "install one")
