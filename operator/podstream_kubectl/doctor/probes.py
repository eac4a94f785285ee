"""Tries addresses from this machine, as a client would."""

import socket
import urllib.error
import urllib.request
from typing import Final, Protocol

TIMEOUT_S: Final = 3.0
_GREETING: Final = "podstream router"
_READ_BYTES: Final = 400


class Probes(Protocol):
    """What can be tried."""

    def http(self, url: str) -> str:
        """Why no router of podstream answers at this URL; empty where one does."""

    def tcp(self, host: str, port: int) -> str:
        """Why nothing accepts connections there; empty where something does."""


class Network:
    """The real network."""

    def http(self, url: str) -> str:
        """Ask for `/`, without any token."""
        request = urllib.request.Request(f"{url}/", headers={"Accept": "text/plain"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
                text = reply.read(_READ_BYTES).decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return f"another server answers there ({error.code} {error.reason})"
        except (urllib.error.URLError, OSError, ValueError) as error:
            return str(getattr(error, "reason", error)) or type(error).__name__
        return "" if text.startswith(_GREETING) else "another server answers there"

    def tcp(self, host: str, port: int) -> str:
        """Connect and hang up."""
        try:
            with socket.create_connection((host, port), timeout=TIMEOUT_S):
                return ""
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
