"""A fit's checkpoints: written now and then, found again by the attempt that comes after a killed one."""

import logging
import pickle
import time
import warnings
from typing import Any

import torch

from handlers.contract import Outputs, Report

log = logging.getLogger(__name__)

#: Seconds between two checkpoints, and how many times its own cost at least.
_EVERY_S = 2.0
_TIMES_ITS_COST = 20
#: What reading bytes may end in that are no checkpoint: torch tells of some damages by whatever its parser ran into.
UNREADABLE = (
    OSError,
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)


class Checkpoints:
    """Keeps what the fit called `name` needs to go on: one file, replaced as a whole, tensors and plain data alone.

    `of`: what the fit is of, as text; a checkpoint of something else (another version's network) is passed over.
    """

    def __init__(self, out: Outputs, name: str, of: str, report: Report) -> None:
        self.path = out.keep / f"{name}.ckpt"
        self.of = of
        # What is half written must not lie where it may be copied from.
        self._half_written = out.directory / f"{name}.ckpt"
        self._report = report
        self._next = 0.0

    def found(self) -> dict[str, Any] | None:
        """What an attempt before has left in `path`; None where there is nothing that can be used."""
        if not self.path.exists():
            return None
        try:
            with warnings.catch_warnings():  # of bytes that look strange to it
                warnings.simplefilter("ignore")
                told = torch.load(self.path, weights_only=True, map_location="cpu")
            if not isinstance(told, dict) or told.get("of") != self.of or "ended" not in told["lesson"]:
                raise ValueError("it is no checkpoint of this fit")
        except UNREADABLE as error:
            log.warning("a checkpoint cannot be used", extra={"error": repr(error)})
            self.path.unlink()
            return None
        return told

    def after_epoch(self, trainer: Any, ended: dict[str, Any] | None) -> None:
        """Saves if it is time; of a fit that has ended, what it came to and no more."""
        begun = time.monotonic()
        if begun < self._next and ended is None:
            return
        if ended is None:
            trainer.save_checkpoint(self._half_written)
        else:
            torch.save({"lesson": ended, "of": self.of}, self._half_written)
        self._half_written.replace(self.path)
        self._report.checkpoint()
        now = time.monotonic()
        self._next = now + max(_EVERY_S, _TIMES_ITS_COST * (now - begun))
