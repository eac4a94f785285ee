"""A TCP relay that counts what clients send and can reset both sides, as a broken network does."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_RESET = struct.pack("ii", 1, 0)  # linger on, for 0 s: closing sends RST
_READ_BYTES = 64 * 1024


class CuttingProxy:
    """Relays connections to one address."""

    def __init__(self, target: tuple[str, int], *, server: socket.socket | None = None) -> None:
        """Relay.

        Args:
            target: host and port.
            server: a socket that listens; otherwise one on a free port of 127.0.0.1.
        """
        self._target = target
        self._server = server or socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.from_clients = 0
        """Bytes that clients have sent over all connections."""
        self.cut_at: int | None = None
        """Once so many bytes have come from clients, `on_cut` is called and all is reset."""
        self.on_cut: Callable[[], None] = lambda: None
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close everything."""
        self._server.close()
        self._reset()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                pod = socket.create_connection(self._target, timeout=30)
                pod.settimeout(None)
                self._open += [client, pod]
                for source, sink, counts in ((client, pod, True), (pod, client, False)):
                    way = (source, sink, counts)
                    threading.Thread(target=self._relay, args=way, daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_READ_BYTES):
                if counts:
                    self.from_clients += len(data)
                    if self.cut_at is not None and self.from_clients >= self.cut_at:
                        self.cut_at = None
                        self.on_cut()
                        self._reset()
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _reset(self) -> None:
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Another thread reads from it: closing alone would wait for that.
                sock.shutdown(socket.SHUT_RD)
            sock.close()
        self._open = []


@contextmanager
def cutting_proxy(
    target: tuple[str, int], *, server: socket.socket | None = None
) -> Iterator[CuttingProxy]:
    """A relay for the block."""
    made = CuttingProxy(target, server=server)
    try:
        yield made
    finally:
        made.close()
