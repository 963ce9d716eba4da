"""How far an explanation is, told as a share of a stretch of the job; and its end when its time is up."""

import time

from events.errors import ReasonCode
from handlers.contract import JobRefused, Report


class Stretch:
    """The work between two percents of a job."""

    def __init__(self, report: Report, begin: float, end: float) -> None:
        self._report, self._begin, self._end = report, begin, end
        self._begun = time.monotonic()

    def tell(self, share: float, message: str) -> None:
        """`share` of the stretch is done, 0 to 1.

        Raises:
            JobRefused: `timed_out`, on the first word after a stop was asked for: half an explanation is none.
        """
        share = min(1.0, max(0.0, share))
        passed = time.monotonic() - self._begun
        eta = passed * (1 - share) / share if share else None
        self._report(self._begin + (self._end - self._begin) * share, message, eta_s=eta)
        if self._report.should_stop():
            raise JobRefused(
                ReasonCode.TIMED_OUT,
                "the explanation was stopped before it was done: allow more timeout_s, or ask for fewer samples",
            )

    def part(self, begin: float, end: float) -> "Stretch":
        """A stretch of this one, between two shares of it."""
        width = self._end - self._begin
        return Stretch(self._report, self._begin + width * begin, self._begin + width * end)
