"""Asking the read API as a program would, with a token of this house's own."""

import asyncio
from typing import Any

import httpx

from infra.api.tokens import issue
from infra.settings import Settings


async def ask_api(settings: Settings, path: str, until: Any = None) -> Any:
    """What the API answers; with `until`, asked again until that holds of a good answer."""
    token = issue(settings, "test", ["ml:read"], hours=1)
    address = f"http://127.0.0.1:{settings.api_port}"
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {token}"}) as client:
        while True:
            answer = await client.get(path)
            body = answer.json()
            if until is None or (answer.status_code == 200 and until(body)):
                return body
            await asyncio.sleep(0.05)  # a read API is polled: it has nothing to await
