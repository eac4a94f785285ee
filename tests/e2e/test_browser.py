"""Headless Chromium plays a session by WHEP: pictures decoded, the ball visible, results scored."""

import http.server
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from e2e.sessions import circle, session
from podstream_dev import clients

_PAGE = Path(__file__).with_name("browser.html").read_bytes()
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--no-first-run",
)


@contextmanager
def page_server() -> Iterator[tuple[str, "queue.Queue[dict[str, Any]]"]]:
    """Serves the page on loopback and collects what it reports."""
    reports: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(_PAGE)

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", reports
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_chromium_plays_and_scores_a_session(codec: str, tmp_path: Path) -> None:
    spec = {"circle": circle(frames=60, codec=codec), "lingerSeconds": 0}
    with session(spec, prefix="browser") as made, page_server() as (url, reports):
        made.wait_phase("Ready")
        query = urlencode({"whep": made.endpoint(), "token": made.token(), "frames": 50})
        browser = subprocess.Popen(
            [str(clients.chromium()), *_FLAGS, f"--user-data-dir={tmp_path}", f"{url}?{query}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            report = reports.get(timeout=60)
            assert "error" not in report, report["error"]
            made.wait_phase("Completed")
        finally:
            browser.terminate()
            browser.wait(timeout=20)
        assert (report["width"], report["height"]) == (320, 240)
        assert report["framesDecoded"] >= 50
        seen = report["seen"]
        # The default ball has a radius of 20 px: pi r² = 1257 pixels.
        assert 900 < sum(ball["n"] for ball in seen) / len(seen) < 1600
        assert len({(round(ball["x"]), round(ball["y"])) for ball in seen}) > 30, "it does not move"
        assert made.circle["codec"] == codec
        assert made.circle["framesScored"] >= 60
        assert made.circle["rmsePx"] < 2
