"""Parts of the surroundings that a test needs and this machine may lack."""

import os
from typing import NoReturn

import pytest


def missing(what: str, remedy: str) -> NoReturn:
    """Skips the test for a person, saying what to do about it. In CI nothing is left out: there the test fails.

    Args:
        what: what is not there, as the beginning of a sentence.
        remedy: what would bring it.
    """
    reason = f"{what}: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (with CI=true nothing is skipped)", pytrace=False)
    pytest.skip(reason)
