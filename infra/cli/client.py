"""The read API, from the outside: how the commands ask, and what they say when nobody answers."""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import quote

import typer

from infra.cli.errors import CliError, ExitCode
from infra.cli.extras import require

if TYPE_CHECKING:
    import httpx

    from infra.settings import Settings

Api = Annotated[
    str | None,
    typer.Option("--api", envvar="OMNISCOPE_API", help="Address of the read API.  [default: from API_HOST, API_PORT]"),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most this many, newest first.")]

_TIMEOUT_S = 10.0
_PAGE = 100
_PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.1


def api_address(settings: "Settings") -> str:
    """Where this installation's API is reached from this machine."""
    host = settings.api_host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - nothing is bound here
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.api_port}" if ":" in host else f"http://{host}:{settings.api_port}"


class Gone(CliError):
    """What was asked for was there once, and has been deleted."""


class ApiClient:
    """A connection to the read API. Use it as a context manager.

    Args:
        address: None: as the settings say.
        timeout_s: for connecting and for each read.
    """

    def __init__(self, settings: "Settings", address: str | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        require("reading the API", "api")
        import httpx

        self.address = (address or api_address(settings)).rstrip("/")
        self._settings = settings
        self._http: httpx.Client = httpx.Client(base_url=self.address, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def status(self, job_id: str) -> dict[str, Any]:
        return self.get(f"/api/ml/jobs/{quote(job_id, safe='')}/status")

    def results(self, model_id: str) -> dict[str, Any]:
        return self.get(f"/api/ml/models/{quote(model_id, safe='')}/results")

    def explanation(self, explanation_id: str) -> dict[str, Any]:
        return self.get(f"/api/ml/explanations/{quote(explanation_id, safe='')}")

    def results_of(self, job: dict[str, Any]) -> dict[str, Any]:
        """The results of the model that a completed job made."""
        return self._soon(lambda: self.results(job["model_id"]))

    def explanation_of(self, job: dict[str, Any]) -> dict[str, Any]:
        """The explanation that a completed job made."""
        return self._soon(lambda: self.explanation(job["explanation_id"]))

    def _soon(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What a job has made: the tables may know it a moment after the job."""
        given_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return ask()
            except CliError as error:
                if error.code is not ExitCode.NOT_FOUND or time.monotonic() > given_up:
                    raise
            time.sleep(_LOOK_AGAIN_S)

    def pages(self, path: str, limit: int, **wanted: str | None) -> list[dict[str, Any]]:
        """The first `limit` items of a list, read page by page."""
        found: list[dict[str, Any]] = []
        asked = {name: value for name, value in wanted.items() if value is not None}
        while len(found) < limit:
            page = self.get(path, limit=str(min(_PAGE, limit - len(found))), **asked)
            found += page["items"]
            if not page["next"]:
                break
            asked["cursor"] = page["next"]
        return found

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """The answer's JSON.

        Raises:
            CliError: with the API's own sentence; UNREACHABLE when nobody answers, NOT_FOUND for a 404.
            Gone: for a 410.
        """
        import httpx

        try:
            answer = self._http.get(path, params=parameters, headers=self._headers())
        except httpx.TransportError as error:
            raise CliError(
                f"no API answers at {self.address} ({error or type(error).__name__}): "
                "start it (omniscope-ml up), or correct API_HOST and API_PORT or --api",
                ExitCode.UNREACHABLE,
            ) from error
        if answer.is_success:
            body: dict[str, Any] = answer.json()
            return body
        raise _refused(answer)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(self._settings)}"}


def token(settings: "Settings") -> str:
    """OMNISCOPE_TOKEN, else one signed here with this installation's secret.

    Raises:
        infra.settings.SettingsError: there is no secret to sign with.
    """
    told = os.environ.get("OMNISCOPE_TOKEN", "").strip()
    if told:
        return told
    from infra.api.tokens import issue

    return issue(settings, subject="omniscope-ml", hours=1)


def _refused(answer: "httpx.Response") -> CliError:
    try:
        told = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        told = f"the API at {answer.url.host} answered {answer.status_code}"
    if answer.status_code in (401, 403):
        return CliError(f"{told}; set OMNISCOPE_TOKEN to a fresh token (omniscope-ml token)", ExitCode.FAILED)
    if answer.status_code == 410:
        return Gone(told)
    codes = {404: ExitCode.NOT_FOUND, 422: ExitCode.USAGE, 400: ExitCode.USAGE, 503: ExitCode.UNREACHABLE}
    return CliError(told, codes.get(answer.status_code, ExitCode.FAILED))
