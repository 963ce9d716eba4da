"""The read API: a Starlette application over the projected tables. It writes nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from infra.settings import Settings
from infra.storage.database import open_engine
from schemas import openapi

from . import problems
from .auth import Verifier
from .middleware import SecurityHeaders, Tracing
from .routes import about, datasets, explanations, jobs, models
from .version import VERSION

ENDPOINTS = (*about.ENDPOINTS, *jobs.ENDPOINTS, *models.ENDPOINTS, *explanations.ENDPOINTS, *datasets.ENDPOINTS)


def create_app(settings: Settings, engine: AsyncEngine | None = None) -> Starlette:
    """The application. With `engine` it reads from there and leaves closing it to whoever made it;
    else its lifespan opens the configured database and closes it again.

    Raises:
        SettingsError: there is nothing usable to check tokens with.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if engine is not None:
            yield
            return
        app.state.engine = open_engine(settings.database)
        try:
            yield
        finally:
            await app.state.engine.dispose()

    app = Starlette(
        routes=[endpoint.route() for endpoint in ENDPOINTS],
        middleware=[Middleware(SecurityHeaders), Middleware(Tracing)],
        exception_handlers={problems.Refusal: problems.on_refusal, HTTPException: problems.on_http_exception},
        lifespan=lifespan,
    )
    # A redirect would repeat the Host header of whoever asks; a wrong address is simply not found.
    app.router.redirect_slashes = False
    app.state.verifier = Verifier.of(settings)
    app.state.document = openapi.document((endpoint.operation for endpoint in ENDPOINTS), version=VERSION)
    if engine is not None:
        app.state.engine = engine
    return app
