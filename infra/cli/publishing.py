"""How the commands publish: the same Publisher that everybody else uses."""

import getpass
import socket
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from infra.cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from pydantic import BaseModel

    from events import Publisher
    from events.publisher import Receipt
    from infra.settings import Settings

_TIMEOUT_S = 15.0


def publisher(settings: "Settings") -> "AbstractAsyncContextManager[Publisher]":
    """A publisher on the configured broker, named for this machine."""
    from events import Publisher
    from infra.kafka.connection import client_settings

    known = client_settings(settings)
    return Publisher(
        known.pop("bootstrap_servers"),
        source=f"omniscope-ml-cli/{socket.gethostname()}",
        timeout_s=_TIMEOUT_S,
        ssl_context=known.pop("ssl_context", None),
        security=known,
    )


async def send(settings: "Settings", request: "BaseModel") -> "Receipt":
    """Publishes a request; returns once the broker has it."""
    async with publisher(settings) as broker:
        return await broker.request(request)


def whoami() -> str:
    """Who asks, as this machine knows it: goes into `created_by`, which is a claim and no proof."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "unknown"


def build(model: "type[BaseModel]", data: dict[str, Any]) -> Any:
    """A request from what was said on the command line; what was not said is left to the defaults.

    Raises:
        CliError: naming the field and what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate({name: value for name, value in data.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "request"
        raise CliError(f"{field}: {first['msg']}", ExitCode.USAGE) from None
