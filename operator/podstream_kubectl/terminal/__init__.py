"""Plays a stream's pictures in a terminal, two pixels a character."""

from podstream_kubectl.terminal.player import play

__all__ = ["play"]
