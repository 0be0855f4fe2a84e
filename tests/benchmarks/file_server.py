"""An HTTP server on this machine that gives one file, in the ways good and bad servers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server gives, and what it was asked."""

    content: bytes
    etag: str | None = '"one"'
    date: str | None = None
    ranges: bool = True
    """Whether Range is honoured."""
    cut_after: int | None = None
    """Bytes after which the connection is closed."""
    length: bool = True
    """Whether the size is told."""
    shift: int = 0
    """How far a partial answer begins from where it should."""
    status: int = 200
    location: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(served: Served) -> Iterator[Served]:
    """Serve at `served.url` inside the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(dict(self.headers))
            if served.status != 200:
                self.send_response(served.status)
                if served.location:
                    self.send_header("Location", served.location)
                self.end_headers()
                return
            start = 0
            wanted = self.headers.get("Range")
            same = self.headers.get("If-Range") in (None, served.etag, served.date)
            if wanted and served.ranges and same:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(served.content) and start:
                self.send_response(416)
                self.end_headers()
                return
            start += served.shift if start else 0
            body = served.content[start:]
            self.send_response(206 if start else 200)
            if start:
                total = len(served.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            for name, value in (("ETag", served.etag), ("Last-Modified", served.date)):
                if value:
                    self.send_header(name, value)
            if served.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if served.cut_after is None else body[: served.cut_after])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/thing.bin"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
