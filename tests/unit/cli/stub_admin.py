"""A scripted admin port: answers what a test says, and remembers what it was asked."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    authorization: str | None
    body: Any


@dataclass(slots=True)
class StubAdmin:
    """Answers by method and target; what is not scripted is 404."""

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def say(self, method: str, target: str, body: Mapping[str, Any] | str, status: int = 200) -> None:
        self.answers[method, target] = (status, body)


@contextmanager
def stub_admin() -> Iterator[StubAdmin]:
    stub = StubAdmin()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            stub.asked.append(Asked(self.command, self.path, self.headers.get("Authorization"), body))
            status, said = stub.answers.get((self.command, self.path), (404, "not found"))
            content = said if isinstance(said, str) else json.dumps(said)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_PUT = _answer  # noqa: N815  names the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's signature
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
