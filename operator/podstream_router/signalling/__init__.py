"""Newline-JSON WebRTC signalling over TCP, as spoken by aiortc's `TcpSocketSignaling`."""

from podstream_router.signalling.listener import SignallingListener

__all__ = ["SignallingListener"]
