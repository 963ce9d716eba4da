"""What a person reads when a command does not work: one sentence on stderr, and an exit code that means something."""

import os
from enum import IntEnum

#: A module of ours that cannot be imported is no matter of extras.
_OURS = ("events", "handlers", "schemas", "infra")


class ExitCode(IntEnum):
    """How a command ended, for scripts."""

    OK = 0
    FAILED = 1  # the job failed, the request was refused, something is wrong
    USAGE = 2  # the command line or a setting makes no sense
    UNREACHABLE = 3  # no broker or no API answers
    NOT_FOUND = 4
    INTERRUPTED = 130


class CliError(Exception):
    """A command cannot go on. The message is a sentence a person can act on."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def debugging() -> bool:
    """Whether tracebacks are wanted: `--debug`, which sets OMNISCOPE_DEBUG."""
    return os.environ.get("OMNISCOPE_DEBUG", "") not in ("", "0")


def explain(error: BaseException) -> tuple[str, ExitCode]:
    """The sentence and the exit code for whatever went wrong."""
    # Imported here: a command that works pays for none of it.
    from events.errors import BrokerUnreachable, OmniScopeError
    from infra.kafka.embedded.server import BrokerError
    from infra.settings import SettingsError

    match error:
        case CliError():
            return str(error), error.code
        case SettingsError():
            return str(error), ExitCode.USAGE
        case BrokerUnreachable():
            return _with_variable(str(error)), ExitCode.UNREACHABLE
        case OmniScopeError():
            return f"{error.message} ({error.reason})", ExitCode.FAILED
        case ModuleNotFoundError() if error.name and error.name.split(".")[0] not in _OURS:
            return missing_module(error.name), ExitCode.FAILED
        case BrokerError():
            return str(error), ExitCode.FAILED
        case OSError() if error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror}", ExitCode.FAILED
        case _:
            return f"{error or type(error).__name__} ({type(error).__name__}; --debug shows where)", ExitCode.FAILED


def _with_variable(sentence: str) -> str:
    """The vocabulary is told an address and knows no environment: which variable holds it is said here."""
    if "KAFKA_BOOTSTRAP_SERVERS" in sentence:
        return sentence
    return f"{sentence} (set KAFKA_BOOTSTRAP_SERVERS, or EMBEDDED_KAFKA_PORT for the embedded one)"


def missing_module(name: str) -> str:
    return f"the Python package {name} is not installed: pip install 'omniscope-ml[all]'"
