"""The command line of a worker whose handlers keep the ledger: `python -m soak.worker agent all --with-noop`."""

from events.topics import JobKind
from handlers.registry import HANDLERS, HandlerSpec
from infra.cli.main import main

from .recorded import MODULE

if __name__ == "__main__":
    HANDLERS[JobKind.NOOP] = HandlerSpec(f"{MODULE}:noop", preload=(MODULE, "handlers.noop"))
    # Nothing preloaded: workers and warm servers die all the time here, and few jobs are of this kind.
    HANDLERS[JobKind.AUTOML] = HandlerSpec(f"{MODULE}:automl")
    main()
