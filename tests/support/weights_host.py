"""A stand-in on this machine for the servers that weights are fetched from."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Answer:
    """What is sent for a path. With `cut_at` the connection ends after so many bytes of what was promised."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


class WeightsHost:
    """`files` by path; whoever asks waits for `open`. `asked` lists the paths in order, `begun` is set at the first."""

    def __init__(self) -> None:
        self.files: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.begun = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.url = ""

    def put_on_hub(self, repository: str, body: bytes, *, told: str | None = None, config: bytes | None = None) -> None:
        """A repository as the hub has it: a small answer with the hash, which sends on to where the bytes are."""
        sha256 = hashlib.sha256(body).hexdigest() if told is None else told
        here = f"/{repository}/resolve/main"
        headers = {"Location": f"/cdn/{repository}", "X-Linked-ETag": f'"{sha256}"', "X-Linked-Size": str(len(body))}
        self.files[f"{here}/model.safetensors"] = Answer(status=302, headers=headers)
        self.files[f"/cdn/{repository}"] = Answer(body, headers={"ETag": f'"{"a" * 64}"'})
        if config is not None:
            self.files[f"{here}/config.json"] = Answer(config)


@contextmanager
def weights_host() -> Iterator[WeightsHost]:
    """The stand-in, listening at `url`."""
    host = WeightsHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            host.begun.set()
            host.open.wait(60)
            answer = host.files.get(self.path, Answer(b"not here", 404, {"X-Error-Code": "EntryNotFound"}))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut_at])

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                """Whoever asked was killed."""

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        host.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
