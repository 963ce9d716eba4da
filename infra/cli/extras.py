"""Which command needs which extra, so that a bare install can say what to install."""

from importlib.util import find_spec

from infra.cli.errors import CliError

#: A few packages of each extra: where one is missing, the extra is not installed.
_PROOF = {
    "api": ("starlette", "sqlalchemy", "alembic", "uvicorn", "jwt", "httpx"),
    "worker": ("faust", "obstore", "mlflow"),
}


def missing(extra: str) -> list[str]:
    """The packages that show that the extra is not (wholly) installed."""
    return [package for package in _PROOF[extra] if not _is_there(package)]


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # it is imported already, and has put a module without a spec in its own place, as Faust does
        return True


def require(command: str, *extras: str) -> None:
    """Makes sure that what the command needs is installed.

    Raises:
        CliError: naming the extra and the command that installs it.
    """
    absent = [extra for extra in extras if missing(extra)]
    if absent:
        told = ",".join(absent)
        raise CliError(
            f"omniscope-ml {command} needs the extra{'s' * (len(absent) > 1)} [{told}]: "
            f"pip install 'omniscope-ml[{told}]'"
        )
