"""The first bytes of a gRPC connection, as frames of a well-kept library make them."""

import os

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from podstream_router.grpc.opening import PREFACE, BadOpening, Opening

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/images.Service/Rotate"),
    (":authority", "ball.lab.example.org:50051"),
    ("content-type", "application/grpc"),
    ("podstream-session", "lab/ball"),
]
SETTINGS = SettingsFrame(0, settings={4: 4 << 20, 5: 16384}).serialize()
ACK = SettingsFrame(0, flags=["ACK"]).serialize()
WINDOW = WindowUpdateFrame(0, window_increment=1 << 20).serialize()


def headers(
    fields: list[tuple[str, str]] = HEADERS, *, flags: tuple[str, ...] = ("END_HEADERS",)
) -> bytes:
    frame = HeadersFrame(1, data=Encoder().encode(fields), flags=list(flags))
    return frame.serialize()


def opened(*parts: bytes) -> Opening:
    opening = Opening()
    for part in parts:
        opening.feed(part)
    return opening


def test_the_request_is_read_and_all_but_the_acknowledgement_is_replayed() -> None:
    opening = opened(PREFACE + SETTINGS + WINDOW + ACK + headers())
    assert opening.is_over
    assert opening.request is not None
    assert opening.request.authority == "ball.lab.example.org:50051"
    assert opening.request.metadata["podstream-session"] == "lab/ball"
    assert opening.rest() == PREFACE + SETTINGS + WINDOW + headers()


def test_an_acknowledgement_after_the_headers_is_swallowed_too() -> None:
    opening = opened(PREFACE + SETTINGS + headers() + b"\0\0\x05\0\1\0\0\0\1hello")
    assert not opening.is_over
    assert opening.replay() == PREFACE + SETTINGS + headers() + b"\0\0\x05\0\1\0\0\0\1hello"
    opening.feed(ACK + ACK + b"\0\0\1")
    assert opening.is_over
    assert opening.rest() == ACK + b"\0\0\1", "the second one answers the pod"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_bytes_may_come_in_any_pieces(sizes: list[int]) -> None:
    whole = PREFACE + SETTINGS + ACK + WINDOW + headers() + os.urandom(5)
    opening, at, replayed = Opening(), 0, b""
    for size in sizes:
        opening.feed(whole[at : at + size])
        replayed += opening.replay()
        at += size
    opening.feed(whole[at:])
    assert opening.is_over
    assert replayed + opening.rest() == PREFACE + SETTINGS + WINDOW + headers() + whole[-5:]


def test_headers_may_be_padded_prioritised_and_continued() -> None:
    block = Encoder().encode([*HEADERS, ("x-long", "y" * 300)])
    first = HeadersFrame(
        3,
        data=block[:40],
        flags=["PADDED", "PRIORITY"],
        pad_length=7,
        depends_on=0,
        stream_weight=15,
    )
    second = ContinuationFrame(3, data=block[40:200])
    last = ContinuationFrame(3, data=block[200:], flags=["END_HEADERS"])
    frames = first.serialize() + second.serialize() + last.serialize()
    opening = opened(PREFACE + SETTINGS + frames + ACK)
    assert opening.request is not None
    assert opening.request.stream_id == 3
    assert opening.request.metadata["x-long"] == "y" * 300
    assert opening.rest() == PREFACE + SETTINGS + frames


def big_frame() -> bytes:
    return b"\x01\0\0\0\0\0\0\0\1"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", "HTTP/1.1", id="http1"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "TLS", id="tls"),
        pytest.param(b"hello", "no HTTP/2", id="junk"),
        pytest.param(PREFACE + big_frame(), "a frame of 65536 bytes", id="big-frame"),
        pytest.param(
            PREFACE + headers([(":method", "GET"), *HEADERS[1:]]), "no gRPC call", id="get"
        ),
        pytest.param(
            PREFACE + HeadersFrame(1, data=b"\xff" * 9, flags=["END_HEADERS"]).serialize(),
            "cannot be decoded",
            id="hpack",
        ),
        pytest.param(
            PREFACE + headers(flags=()) + WINDOW,
            "another frame inside of headers",
            id="interleaved",
        ),
        pytest.param(
            PREFACE
            + headers([*HEADERS, ("x", "y" * 15_000), ("z", "y" * 9_000)][:7], flags=())
            + ContinuationFrame(1, data=b"a" * 9_000).serialize(),
            "headers above",
            id="long-headers",
        ),
    ],
)
def test_what_is_no_grpc_is_named(data: bytes, cause: str) -> None:
    with pytest.raises(BadOpening, match=cause):
        opened(data)


def test_a_client_that_never_calls_is_bounded() -> None:
    opening = opened(PREFACE)
    with pytest.raises(BadOpening, match="no request within"):
        opening.feed(SettingsFrame(0).serialize() * 10_000)


def test_a_request_whose_data_come_along_is_read() -> None:
    """A whole window of data behind the headers was taken for a client that never calls."""
    data = b"".join(DataFrame(1, bytes(16_384)).serialize() for _ in range(4))
    opening = Opening()
    opening.feed(PREFACE + SettingsFrame(0).serialize())
    opening.feed(headers() + data)
    assert opening.request is not None
    assert opening.rest().endswith(data)


@given(st.binary(max_size=200))
def test_junk_is_refused_or_awaited_but_never_crashes(data: bytes) -> None:
    opening = Opening()
    try:
        opening.feed(PREFACE + data)
    except BadOpening:
        return
    assert opening.request is None or opening.request.path
