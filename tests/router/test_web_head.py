"""The head of a connection's first request: what is read, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstream_core.web_roles import role_of
from podstream_router.errors import BadRequest, HeadTooLarge, Refusal, UnsupportedVersion
from podstream_router.web.answers import refusal_bytes
from podstream_router.web.head import MAX_HEAD_BYTES, Head, NotHttp, read_head

SOCKET = (
    b"GET /client?x=1 HTTP/1.1\r\nHost: site\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_path_and_upgrade_of_a_websocket_are_read() -> None:
    head = read_head(SOCKET + b"\x81\x05hello")
    assert head is not None
    assert (head.method, head.url.path, head.url.query, head.is_upgrade) == (
        "GET",
        "/client",
        "x=1",
        True,
    )


def test_every_part_of_a_head_waits_for_the_rest() -> None:
    for size in range(1, len(SOCKET)):
        assert read_head(SOCKET[:size]) is None, SOCKET[:size]
    assert isinstance(read_head(SOCKET), Head)


def test_absolute_target_is_read_by_its_path() -> None:
    head = read_head(b"GET http://site:80/timelines?objectId=4 HTTP/1.0\r\n\r\n")
    assert head is not None
    assert (head.url.path, head.url.query) == ("/timelines", "objectId=4")


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET /client\r\n\r\n", BadRequest),
        (b"GET  /client HTTP/1.1\r\n\r\n", BadRequest),
        (b"GET /cli\x00ent HTTP/1.1\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost : site\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\n folded\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n", BadRequest),
        (b"GET http://[::1/ HTTP/1.1\r\n\r\n", BadRequest),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UnsupportedVersion),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES, HeadTooLarge),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", HeadTooLarge),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", NotHttp),
        (b"\x00\x00\x00\x05hello", NotHttp),
        (b'{"type": "offer"}\n', NotHttp),
    ],
)
def test_bad_heads_are_refused(data: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read_head(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_head_or_a_refusal(data: bytes) -> None:
    with contextlib.suppress(Refusal, NotHttp):
        read_head(data)


@pytest.mark.parametrize(
    ("path", "is_upgrade", "role"),
    [
        ("/client", True, "client"),
        ("/processor", True, "camera"),
        ("/socket.io/", True, "device"),
        ("/socket.io/", False, "device"),
        ("/client", False, "caller"),
        ("/timelines", False, "caller"),
        ("/detect_intruder", False, "caller"),
        ("/other", True, "caller"),
    ],
)
def test_roles_by_path(path: str, is_upgrade: bool, role: str) -> None:
    assert role_of(path, is_upgrade=is_upgrade) == role


def test_refusal_is_a_whole_http_answer() -> None:
    answer = refusal_bytes(BadRequest("no such thing"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == b'{"error":"BadRequest","message":"no such thing"}'
    assert refusal_bytes(BadRequest("no such thing"), with_body=False) == head + b"\r\n\r\n"
