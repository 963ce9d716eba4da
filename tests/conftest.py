"""What every test shares."""

from pathlib import Path

import events

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    # The package «Events» from PyPI installs the same name: make sure that ours is the one that is tested.
    assert Path(events.__file__).is_relative_to(ROOT), f"`events` is {events.__file__}, not ours"
