"""A small read API that answers what a test tells it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class FakeApi:
    """Answers each path with its list of (status, body) in turn; the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, str]] = []

    def next(self, path: str) -> tuple[int, Any]:
        waiting = self.answers.get(path, [(404, {"detail": f"nothing is known of {path}", "status": 404})])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def fake_api() -> Iterator[tuple[FakeApi, int]]:
    """The API and its port on 127.0.0.1."""
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.path, self.headers["Authorization"]))
            status, body = fake.next(urlsplit(self.path).path)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
