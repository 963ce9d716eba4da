"""A worker that dies while it removes a model, where DIE_AT says: `python -m support.dying_deleter agent noop`.

`marked`: a tombstone stands. `decided`: it is decided, and nothing has gone. `removed`: nothing is left but to tell.
"""

import os
from typing import Any

from infra.cli.main import main
from infra.jobs import tombstones

EXIT_CODE = 70

_AFTER = {"marked": "put_up", "decided": "end", "removed": "remove_files"}


def dying_after(name: str) -> Any:
    step = getattr(tombstones, name)

    async def and_die(*arguments: Any) -> None:
        await step(*arguments)
        os._exit(EXIT_CODE)

    return and_die


if __name__ == "__main__":
    at = _AFTER[os.environ["DIE_AT"]]
    setattr(tombstones, at, dying_after(at))
    main()
