"""How far an explanation is, told as a share of a stretch of the job; and the soft stop."""

import time

from handlers.contract import Report


class Stopped(Exception):
    """A soft stop was asked for in the midst of something."""


class Stretch:
    """The work between two percents of a job."""

    def __init__(self, report: Report, begin: float, end: float) -> None:
        self._report, self._begin, self._end = report, begin, end
        self._begun = time.monotonic()

    def tell(self, share: float, message: str) -> None:
        """`share` of the stretch is done, 0 to 1.

        Raises:
            Stopped: on the first word after a soft stop was asked for.
        """
        share = min(1.0, max(0.0, share))
        passed = time.monotonic() - self._begun
        eta = passed * (1 - share) / share if share else None
        self._report(self._begin + (self._end - self._begin) * share, message, eta_s=eta)
        if self._report.should_stop():
            raise Stopped

    def part(self, begin: float, end: float) -> "Stretch":
        """A stretch of this one, between two shares of it."""
        width = self._end - self._begin
        return Stretch(self._report, self._begin + width * begin, self._begin + width * end)
