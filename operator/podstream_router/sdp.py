"""Rewrites session descriptions so that all media passes the router (RFC 8866, RFC 8839).

What goes to a pod loses every address of the client: a pod that knew them would check them
directly, and media would bypass the router. What comes from a pod gets the router's addresses in
place of the pod's. Everything else, fingerprints and ICE passwords included, passes unchanged: the
encryption stays end to end.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_SDP_BYTES: Final = 64 * 1024
_MAX_LINES: Final = 2000
_MAX_LINE_CHARS: Final = 4096
_MAX_SECTIONS: Final = 32
_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*\Z")
_MEDIA: Final = re.compile(
    r"m=(?P<kind>[a-z]+) (?P<port>\d{1,5})(?P<rest>(?:/\d+)? \S+(?: \S+)+)\Z"
)
_RTPMAP: Final = re.compile(r"a=rtpmap:\d+ (?P<name>[^/\s]+)/")
_CANDIDATES: Final = ("a=candidate:", "a=end-of-candidates", "a=remote-candidates:")
_HOST_TYPE_PREFERENCE: Final = 126  # RFC 8445 section 5.1.2.2
_NO_PORT: Final = 9  # "discard", as in RFC 8840 section 4.1.1
_NO_ADDRESS: Final = "0.0.0.0"


class SdpError(ValueError):
    """A session description is malformed; the message says where."""


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where clients reach the router's media port."""

    host: str
    """IP address."""
    port: int


@dataclass(frozen=True, slots=True)
class Section:
    """One m= section."""

    kind: str
    """audio, video or application."""
    rejected: bool
    """Port 0 without `a=bundle-only`."""
    codecs: tuple[str, ...]
    """Encoding names, upper case, in order, each once."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the router wants to know of a description."""

    ufrags: tuple[str, ...]
    """Distinct ICE user name fragments, in order."""
    sections: tuple[Section, ...]


def parse(sdp: str) -> list[list[str]]:
    """Split a description into its session part and its m= sections, as lists of lines.

    Raises:
        SdpError: the text is no session description, or is out of bounds.
    """
    if len(sdp) > MAX_SDP_BYTES:
        raise SdpError(f"longer than {MAX_SDP_BYTES} characters")
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > _MAX_LINES:
        raise SdpError(f"more than {_MAX_LINES} lines")
    if lines[0] != "v=0":
        raise SdpError("does not start with v=0")
    parts: list[list[str]] = [[]]
    for number, line in enumerate(lines, start=1):
        if len(line) > _MAX_LINE_CHARS or not _LINE.match(line):
            raise SdpError(f"line {number} is not of the form <letter>=<text>")
        if line.startswith("m="):
            if not _MEDIA.match(line):
                raise SdpError(f"line {number} is no usable m= line")
            parts.append([])
        parts[-1].append(line)
    if not 1 < len(parts) <= _MAX_SECTIONS + 1:
        raise SdpError(f"has {len(parts) - 1} m= sections; 1 to {_MAX_SECTIONS} are possible")
    return parts


def summarise(sdp: str) -> Summary:
    """Read fragments, media kinds and codecs.

    Raises:
        SdpError: malformed.
    """
    parts = parse(sdp)
    ufrags = (
        line.removeprefix("a=ice-ufrag:")
        for part in parts
        for line in part
        if line.startswith("a=ice-ufrag:")
    )
    return Summary(tuple(dict.fromkeys(ufrags)), tuple(_section(part) for part in parts[1:]))


def check_ice(sdp: str) -> Summary:
    """Summarise a description that must be able to connect.

    Raises:
        SdpError: malformed, or without ICE credentials or DTLS fingerprint.
    """
    summary = summarise(sdp)
    if not summary.ufrags:
        raise SdpError("has no a=ice-ufrag: WebRTC needs ICE")
    for attribute in ("a=ice-pwd:", "a=fingerprint:"):
        if f"\n{attribute}" not in sdp:
            raise SdpError(f"has no {attribute.rstrip(':')}: WebRTC needs ICE and DTLS")
    return summary


def strip_candidates(sdp: str) -> str:
    """Remove every address of the sender, as the pod may see it.

    Raises:
        SdpError: malformed.
    """
    parts = [[_without_address(line) for line in _without_candidates(part)] for part in parse(sdp)]
    return _join(parts)


def rewrite_candidates(sdp: str, *, addresses: Sequence[MediaAddress]) -> str:
    """Put the router's addresses in place of the sender's, the most preferred first.

    Every accepted m= section gets one host candidate per address; ICE component 1 only, because
    RTP and RTCP share the port.

    Raises:
        SdpError: malformed.
        ValueError: no address is given.
    """
    if not addresses:
        raise ValueError("no address to advertise")
    session, *sections = parse(sdp)
    first = addresses[0]
    parts = [[_with_address(line, first) for line in _without_candidates(session)]]
    for section in sections:
        lines = _without_candidates(section)
        if _section(section).rejected:
            parts.append(lines)
            continue
        lines = [_with_address(line, first) for line in lines]
        candidates = [
            f"a=candidate:{index} 1 udp {_priority(index)} {item.host} {item.port} typ host"
            for index, item in enumerate(addresses, start=1)
        ]
        parts.append([*lines, *candidates, "a=end-of-candidates"])
    return _join(parts)


def _section(part: Sequence[str]) -> Section:
    head = _MEDIA.match(part[0])
    assert head is not None, "parse() admits no other section"
    codecs = (match["name"].upper() for line in part if (match := _RTPMAP.match(line)))
    rejected = int(head["port"]) == 0 and "a=bundle-only" not in part
    return Section(head["kind"], rejected, tuple(dict.fromkeys(codecs)))


def _priority(index: int) -> int:
    """RFC 8445 section 5.1.2.1, local preferences falling from 65535."""
    return (_HOST_TYPE_PREFERENCE << 24) | ((65536 - index) << 8) | (256 - 1)


def _without_candidates(part: Sequence[str]) -> list[str]:
    return [line for line in part if not line.startswith(_CANDIDATES)]


def _without_address(line: str) -> str:
    return _with_address(line, MediaAddress(_NO_ADDRESS, _NO_PORT))


def _with_address(line: str, address: MediaAddress) -> str:
    """Replace the address in a line that holds one; a port of 0 keeps its meaning."""
    family = "IP6" if ipaddress.ip_address(address.host).version == 6 else "IP4"  # noqa: PLR2004
    if line.startswith("c="):
        return f"c=IN {family} {address.host}"
    if line.startswith("a=rtcp:"):
        return f"a=rtcp:{address.port} IN {family} {address.host}"
    head = _MEDIA.match(line)
    if head is not None and int(head["port"]):
        return f"m={head['kind']} {address.port}{head['rest']}"
    return line


def _join(parts: Sequence[Sequence[str]]) -> str:
    return "".join(f"{line}\r\n" for part in parts for line in part)
