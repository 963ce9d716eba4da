"""Settings that would go wrong later are refused when they are read."""

import pytest

from infra.settings import SettingsError, load


@pytest.mark.parametrize("folder", ["a?b", "e%41f"])
def test_a_data_directory_that_an_address_would_misread_is_refused(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", folder)
    with pytest.raises(SettingsError, match=r"DATA_DIR.*without"):
        load()


def test_blanks_and_letters_of_any_alphabet_are_welcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "dätä x#y")
    assert load().data_dir.name == "dätä x#y"
