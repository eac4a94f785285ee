"""A server that speaks as much S3 as one upload needs, and fails as it is told to.

It keeps whole objects of one bucket, and refuses what does not have the checksum that it says.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "films"


@dataclass(frozen=True)
class Stored:
    """An object and what came with it."""

    data: bytes
    sha256: str
    """Of its metadata."""
    content_type: str


@dataclass
class S3:
    """The server's state, and what it answers."""

    url: str = ""
    key_id: str = "AKID"
    refusal: tuple[int, str] | None = None
    """Status and error code of every answer, where it is to fail."""
    objects: dict[str, Stored] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    attempts: int = 0
    """Requests."""

    def judge(self, path: str, authorization: str) -> tuple[int, str]:
        """Status and error code for a request; 200 where it is in order."""
        self.attempts += 1
        if self.refusal is not None:
            return self.refusal
        if f"Credential={self.key_id}/" not in authorization:
            return 403, "InvalidAccessKeyId"
        if not path.startswith(f"/{BUCKET}/"):
            return 404, "NoSuchBucket"
        return 200, ""


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve on a free port of the loopback."""
    state = S3()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            status, code = state.judge(self.path, self.headers.get("Authorization", ""))
            if status == 200 and self.path not in state.objects:
                status, code = 404, "NoSuchKey"
            self.answer(status, code)

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            status, code = state.judge(self.path, self.headers.get("Authorization", ""))
            said = base64.b64decode(self.headers.get("x-amz-checksum-sha256", ""))
            if status == 200 and said != hashlib.sha256(data).digest():
                status, code = 400, "BadDigest"
            if status == 200:
                state.objects[self.path] = Stored(
                    data, self.headers["x-amz-meta-sha256"], self.headers["Content-Type"]
                )
                state.order.append(self.path)
            self.answer(status, code)

        def answer(self, status: int, code: str) -> None:
            text = f"<Error><Code>{code}</Code><Message>as told</Message></Error>" if code else ""
            self.send_response(status)
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", "Mon, 09 Mar 2026 08:05:06 GMT")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
