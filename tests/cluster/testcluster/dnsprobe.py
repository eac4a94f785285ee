"""One DNS question over UDP: ``dnsprobe.py SERVER NAME`` exits with 0 if an address comes back.

A program of its own, because it has to run inside a node's network namespace.
"""

import secrets
import socket
import struct
import sys

TIMEOUT_S = 0.5
_TYPE_A, _CLASS_IN = 1, 1
_RECURSION_DESIRED = 0x0100
_HEADER = struct.Struct("!6H")


def question(name: str, *, query_id: int) -> bytes:
    """Return the packet that asks for the IPv4 addresses of ``name``."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    header = _HEADER.pack(query_id, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!2H", _TYPE_A, _CLASS_IN)


def is_answered(packet: bytes, *, query_id: int) -> bool:
    """Say whether a packet answers the question with at least one record and no error."""
    if len(packet) < _HEADER.size:
        return False
    found_id, flags, _, answers, _, _ = _HEADER.unpack_from(packet)
    return bool(found_id == query_id and flags & 0x8000 and not flags & 0x000F and answers)


def main(server: str, name: str) -> int:
    """Ask once; return the exit code."""
    query_id = secrets.randbelow(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(TIMEOUT_S)
        try:
            udp.sendto(question(name, query_id=query_id), (server, 53))
            packet = udp.recv(4096)
        except OSError:
            return 1
    return 0 if is_answered(packet, query_id=query_id) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
