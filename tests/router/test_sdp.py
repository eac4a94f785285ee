import re
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from fakes.fake_agent import description
from podstream_router.sdp import (
    MediaAddress,
    SdpError,
    check_ice,
    rewrite_candidates,
    strip_candidates,
    summarise,
)

LOCAL = "127.7.7.7"
ADDRESSES = (MediaAddress("192.0.2.1", 3478), MediaAddress("198.51.100.7", 30478))


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RTCPeerConnection]:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [LOCAL])
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    connection.createDataChannel("RTCchannel")
    yield connection
    await connection.close()


async def offer_of(peer: RTCPeerConnection) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


async def test_stripped_offer_holds_no_address_of_the_client(peer: RTCPeerConnection) -> None:
    offer = await offer_of(peer)
    assert LOCAL in offer

    stripped = strip_candidates(offer)

    assert LOCAL not in stripped
    assert "a=candidate" not in stripped
    assert "a=end-of-candidates" not in stripped
    assert re.findall(r"^m=\w+ (\d+)", stripped, re.MULTILINE) == ["9", "9"]


async def test_stripping_changes_nothing_but_addresses(peer: RTCPeerConnection) -> None:
    offer = await offer_of(peer)

    def rest(text: str) -> list[str]:
        dropped = ("m=", "c=", "a=candidate", "a=end-of-candidates", "a=rtcp:")
        return [line for line in text.splitlines() if not line.startswith(dropped)]

    assert rest(strip_candidates(offer)) == rest(offer)


async def test_peer_accepts_a_stripped_offer_and_its_answer_is_rewritten(
    peer: RTCPeerConnection,
) -> None:
    pod = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    stripped = strip_candidates(await offer_of(peer))
    await pod.setRemoteDescription(RTCSessionDescription(stripped, "offer"))
    await pod.setLocalDescription(await pod.createAnswer())

    answer = rewrite_candidates(pod.localDescription.sdp, addresses=ADDRESSES)
    await pod.close()

    assert LOCAL not in answer
    parsed = SessionDescription.parse(answer)
    assert len(parsed.media) == 2
    for media in parsed.media:
        assert (media.host, media.port) == ("192.0.2.1", 3478)
        assert media.ice_candidates_complete
        assert [(item.ip, item.port, item.component) for item in media.ice_candidates] == [
            ("192.0.2.1", 3478, 1),
            ("198.51.100.7", 30478, 1),
        ]


def test_priorities_follow_the_order_of_the_addresses() -> None:
    text = rewrite_candidates(description("u" * 23), addresses=ADDRESSES)
    candidates = [line for line in text.splitlines() if line.startswith("a=candidate")]
    assert candidates == [
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706175 198.51.100.7 30478 typ host",
    ]


def test_ipv6_address_is_written_with_its_family() -> None:
    text = rewrite_candidates(description("u" * 23), addresses=[MediaAddress("2001:db8::1", 3478)])
    assert "c=IN IP6 2001:db8::1\r\n" in text
    assert " 2001:db8::1 3478 typ host\r\n" in text


def test_rejected_section_stays_rejected_without_candidates() -> None:
    text = description("u" * 23).replace("m=video 20000", "m=video 0")
    rewritten = rewrite_candidates(text, addresses=ADDRESSES)
    assert "m=video 0 " in rewritten
    assert "a=candidate" not in rewritten
    assert "m=video 0 " in strip_candidates(text)


def test_bundled_section_without_a_port_of_its_own_gets_candidates() -> None:
    text = description("u" * 23).replace("m=video 20000", "m=video 0")
    text = text.replace("a=mid:0", "a=mid:0\r\na=bundle-only")
    assert rewrite_candidates(text, addresses=ADDRESSES).count("a=candidate") == 2


def test_summary_names_fragments_kinds_and_codecs() -> None:
    summary = summarise(description("ufrag123"))
    assert summary.ufrags == ("ufrag123",)
    assert [(item.kind, item.rejected, item.codecs) for item in summary.sections] == [
        ("video", False, ("VP8",))
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "v=0", id="empty"),
        pytest.param("hello", "v=0", id="no-sdp"),
        pytest.param("v=0\r\ns=-\r\n", "m= sections", id="no-media"),
        pytest.param("v=0\r\nm=video x RTP/AVP 0\r\n", "line 2", id="port-is-no-number"),
        pytest.param("v=0\r\nnonsense\r\nm=video 9 RTP/AVP 0\r\n", "line 2", id="odd-line"),
        pytest.param("v=0\r\ns=\x00\r\nm=video 9 RTP/AVP 0\r\n", "line 2", id="control-character"),
        pytest.param("v=0\r\ns=" + "x" * 5000 + "\r\n", "line 2", id="endless-line"),
        pytest.param("v=0\r\n" + "a=x\r\n" * 3000, "2000 lines", id="too-many-lines"),
        pytest.param("v=0\r\n" + "m=video 9 RTP/AVP 0\r\n" * 40, "40 m=", id="too-many-sections"),
        pytest.param("v=0\r\n" + "a" * 70_000, "characters", id="too-long"),
    ],
)
def test_malformed_description_is_refused(text: str, fault: str) -> None:
    for read in (strip_candidates, summarise):
        with pytest.raises(SdpError, match=re.escape(fault)):
            read(text)


@pytest.mark.parametrize("attribute", ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"])
def test_description_without_ice_or_dtls_cannot_connect(attribute: str) -> None:
    lines = description("u" * 23).split("\r\n")
    text = "\r\n".join(line for line in lines if not line.startswith(attribute))
    with pytest.raises(SdpError, match=attribute.rstrip(":")):
        check_ice(text)


@given(st.lists(st.text(max_size=40), max_size=30))
def test_any_text_is_read_or_refused(lines: list[str]) -> None:
    text = "v=0\r\n" + "\r\n".join(lines)
    try:
        stripped = strip_candidates(text)
    except SdpError:
        return
    assert strip_candidates(stripped) == stripped
