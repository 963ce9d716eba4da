"""Which version answers."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("omniscope-ml")
    except PackageNotFoundError:  # a source tree that nobody has installed
        return "0+source"


VERSION = _installed()
