import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstream_router.stun import BINDING_REQUEST, read_header, read_local_ufrag
from router.stun_messages import binding_request, indication


def test_request_names_the_receiver() -> None:
    data = binding_request("receiver/+1")
    header = read_header(data)
    assert header is not None
    assert header.kind == BINDING_REQUEST
    assert header.transaction == data[8:20]
    assert read_local_ufrag(data) == "receiver/+1"


def test_message_without_user_name_names_nobody() -> None:
    assert read_local_ufrag(indication()) is None


def test_user_name_without_colon_names_nobody() -> None:
    data = bytearray(binding_request("abcd"))
    data[data.index(b"abcd:") + 4] = ord("x")  # the random transaction may hold a colon
    assert read_local_ufrag(bytes(data)) is None


REQUEST = binding_request("abcd")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(REQUEST[:19], id="short"),
        pytest.param(REQUEST[:-4], id="cut"),
        pytest.param(REQUEST + b"1234", id="too-long"),
        pytest.param(b"\x80" + REQUEST[1:], id="rtp"),
        pytest.param(REQUEST[:4] + b"\x00" * 4 + REQUEST[8:], id="no-magic-cookie"),
    ],
)
def test_anything_else_is_no_stun(data: bytes) -> None:
    assert read_header(data) is None


@given(st.binary(max_size=200))
def test_any_attributes_are_read_without_fault(attributes: bytes) -> None:
    read_local_ufrag(REQUEST[:20] + attributes)
