import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kubectl.fake_api import FakeApi, completed, invoke, session_body
from podstream_kubectl.errors import ExitCode

NAMED: dict[str, Any] = {"recording": {"properties": {"enabled": {}}}, "state": {}}


def openapi(stream: dict[str, Any]) -> dict[str, Any]:
    """What the API server publishes of a StreamSession with these members of spec.stream."""
    spec = {"properties": {"stream": {"properties": stream}}}
    name = "dev.podstream.v1alpha1.StreamSession"
    return {"components": {"schemas": {name: {"properties": {"spec": spec}}}}}


def camera(**status: Any) -> dict[str, Any]:
    return session_body("camera", spec={"stream": {}}, **{"phase": "Connected", **status})


def test_end_sets_the_deadline_to_the_time_that_has_passed() -> None:
    body = session_body(phase="Connected")
    created = datetime.now(UTC) - timedelta(seconds=100)
    body["metadata"]["creationTimestamp"] = created.isoformat()
    api = FakeApi(body)
    code, out, err = invoke(api, "end", "ball")
    assert code is ExitCode.OK
    assert out == "session ball ends\n"
    assert "by its deadline" in err, "there is no way to the router"
    ((_, name, patch),) = api.patches
    assert name == "ball"
    assert patch == {"spec": {"activeDeadlineSeconds": pytest.approx(100, abs=2)}}


def with_token(body: dict[str, Any]) -> FakeApi:
    body["status"]["access"] = {"secretName": "the-secret"}
    secret = {
        "kind": "Secret",
        "metadata": {"name": "the-secret", "namespace": "lab"},
        "data": {"token": base64.b64encode(b"secret-token").decode()},
    }
    return FakeApi(body, secret)


def test_end_goes_through_the_router_where_it_answers() -> None:
    """The pod then keeps the session's files for a while."""
    api = with_token(session_body(phase="Connected"))
    with file_server(b"{}") as (url, asked):
        code, out, err = invoke(api, "end", "ball", "--url", url)
    assert (code, out, err) == (ExitCode.OK, "session ball ends\n", "")
    assert asked == [("/api/v1/sessions/lab/ball/end", "Bearer secret-token")]
    assert api.patches == []


def test_end_falls_back_to_the_deadline() -> None:
    api = with_token(session_body(phase="Connected"))
    code, _, err = invoke(api, "end", "ball", "--url", "http://127.0.0.1:9")
    assert code is ExitCode.OK
    assert "the router does not answer" in err
    assert "secret-token" not in err
    assert len(api.patches) == 1


def test_end_of_a_session_that_has_ended_changes_nothing() -> None:
    api = FakeApi(completed())
    code, out, _ = invoke(api, "end", "ball")
    assert code is ExitCode.OK
    assert "has ended already" in out
    assert api.patches == []


@pytest.mark.parametrize(
    ("arguments", "patch"),
    [
        (["start", "camera"], {"stream": {"state": "Running"}}),
        (["stop", "camera"], {"stream": {"state": "Stopped"}}),
        (["record", "start", "camera"], {"stream": {"recording": {"enabled": True}}}),
        (["record", "stop", "camera"], {"stream": {"recording": {"enabled": False}}}),
    ],
)
def test_control_patches_one_member(arguments: list[str], patch: dict[str, Any]) -> None:
    api = FakeApi(camera())
    api.paths["/openapi/v3"] = openapi(NAMED)
    code, _, err = invoke(api, *arguments)
    assert code is ExitCode.OK, err
    assert [item[2] for item in api.patches] == [{"spec": patch}]


@pytest.mark.parametrize(
    ("stream", "arguments", "missing"),
    [
        pytest.param({}, ["stop", "camera"], "spec.stream.state", id="state"),
        pytest.param({}, ["record", "start", "camera"], "spec.stream.recording,", id="recording"),
        pytest.param(
            {"recording": {}}, ["record", "stop", "camera"], "recording.enabled", id="enabled"
        ),
    ],
)
def test_a_member_that_the_crd_lacks_is_named(
    stream: dict[str, Any], arguments: list[str], missing: str
) -> None:
    """The API server would prune it from the patch in silence."""
    api = FakeApi(camera())
    api.paths["/openapi/v3"] = openapi(stream)
    code, _, err = invoke(api, *arguments)
    assert code is ExitCode.REFUSED
    assert missing in err
    assert "upgrade podstream" in err
    assert api.patches == []


def test_control_of_a_session_without_a_stream_is_refused() -> None:
    api = FakeApi(session_body(phase="Connected"))
    api.paths["/openapi/v3"] = openapi(NAMED)
    code, _, err = invoke(api, "stop", "ball")
    assert code is ExitCode.REFUSED
    assert "no stream workload (circle)" in err


def test_view_prints_the_address_and_keeps_the_token_back() -> None:
    body = session_body(
        phase="Ready",
        access={"secretName": "ball-access"},
        endpoints=[{"protocol": "WHEP", "url": "http://h.example:8080/s/lab/ball/whep"}],
    )
    secret = {
        "kind": "Secret",
        "metadata": {"name": "ball-access", "namespace": "lab"},
        "data": {"token": base64.b64encode(b"secret-token").decode()},
    }
    api = FakeApi(body, secret)
    code, out, err = invoke(api, "view", "ball")
    assert code is ExitCode.OK
    assert out == "http://h.example:8080/ui/#/sessions/lab/ball\n"
    assert "secret-token" not in out + err
    _, out, _ = invoke(api, "view", "ball", "--token", "-o", "json")
    assert json.loads(out)["token"] == "secret-token"


@contextmanager
def file_server(content: bytes) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A router with one file, and what it was asked."""
    asked: list[tuple[str, str | None]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            assert self.rfile.read(int(self.headers["Content-Length"])) == b"{}"
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def recorded(name: str, *, content: bytes) -> dict[str, Any]:
    item = {
        "name": name,
        "frames": 30,
        "seconds": 1.0,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return camera(results={"final": True, "stream": {"recordings": [item]}})


def test_recordings_are_listed_and_downloaded_with_their_checksum(tmp_path: Path) -> None:
    content = b"frames" * 1000
    api = FakeApi(recorded("a.avi", content=content))
    code, out, _ = invoke(api, "record", "list", "camera")
    assert code is ExitCode.OK
    assert out.splitlines()[1].split()[:4] == ["a.avi", "30", "1.0", "6000"]
    with file_server(content) as (url, asked):
        code, out, err = invoke(api, "record", "get", "camera", "-d", str(tmp_path), "--url", url)
    assert code is ExitCode.OK, err
    assert (tmp_path / "a.avi").read_bytes() == content
    assert asked == [("/s/lab/camera/results/stream-a.avi", None)]


def test_a_damaged_recording_is_not_kept(tmp_path: Path) -> None:
    api = FakeApi(recorded("a.avi", content=b"what was recorded"))
    (tmp_path / "a.avi").write_bytes(b"what was recorded")
    with file_server(b"something else") as (url, _):
        code, _, err = invoke(api, "record", "get", "camera", "-d", str(tmp_path), "--url", url)
    assert code is ExitCode.REFUSED
    assert "came damaged" in err
    assert list(tmp_path.iterdir()) == [tmp_path / "a.avi"]
    assert (tmp_path / "a.avi").read_bytes() == b"what was recorded", "the good one stays"


def test_an_address_may_end_with_a_slash(tmp_path: Path) -> None:
    content = b"what was recorded"
    with file_server(content) as (url, asked):
        flags = ("-d", str(tmp_path), "--url", f"{url}/")
        code, _, err = invoke(
            FakeApi(recorded("a.avi", content=content)), "record", "get", "camera", *flags
        )
    assert code is ExitCode.OK, err
    assert asked == [("/s/lab/camera/results/stream-a.avi", None)]


def test_a_recordings_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    api = FakeApi(recorded("../a.avi", content=b""))
    code, _, err = invoke(
        api, "record", "get", "camera", "-d", str(tmp_path), "--url", "http://127.0.0.1:9"
    )
    assert code is ExitCode.REFUSED
    assert "no plain file name" in err
