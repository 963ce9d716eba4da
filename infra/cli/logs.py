"""How services log: a line each on stderr, structlog's news and other libraries' alike.

`time LEVEL logger: what happened key=value`
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_OURS = ("events", "handlers", "schemas", "infra")


def log_to_stderr() -> None:
    """Our own news from LOG_LEVEL (INFO) on, other libraries' from WARNING on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    level = logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            _as_line,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _as_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    happened, trace = event.pop("event"), event.pop("exception", "")
    told = "".join(f" {key}={value}" for key, value in event.items())
    return f"{happened}{told}" + (f"\n{trace}" if trace else "")
