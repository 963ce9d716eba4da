"""An agent that dies between deciding how a job ended and telling it: `python -m support.dying_agent agent noop`."""

import os
from typing import Any

from infra.cli.main import main
from infra.jobs import arbiter

EXIT_CODE = 70


async def die(*_: Any, **__: Any) -> None:
    os._exit(EXIT_CODE)


if __name__ == "__main__":
    arbiter.tell = die
    main()
