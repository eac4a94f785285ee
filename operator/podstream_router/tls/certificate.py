"""Owns the certificate that clients see; read anew when its files change.

A mounted Secret changes by one rename of a folder, so certificate and key always fit each other.
Looking at two files costs microseconds; it is done at each handshake, and no task has to watch.
"""

import logging
import ssl
from pathlib import Path
from typing import Final

from podstream_router.settings import SettingsError

logger = logging.getLogger(__name__)

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
"""Names of a Secret of type kubernetes.io/tls."""
ALPN: Final = "h2"
"""Of gRPC listeners, whose clients have to name it."""
HTTP_ALPN: Final = "http/1.1"
"""Of HTTP listeners, whose clients may name it."""
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; HTTP/2 forbids the others (RFC 9113, appendix A)."""

_Stamp = tuple[tuple[int, ...], ...]


class Certificate:
    """A folder with `tls.crt` and `tls.key`."""

    def __init__(self, folder: Path, *, required: bool = False) -> None:
        """Read the certificate.

        Args:
            folder: where the Secret is mounted.
            required: whether clients have to use TLS; otherwise they may.

        Raises:
            SettingsError: certificate or key cannot be read, or do not fit each other.
        """
        self._folder = folder
        self.required = required
        try:
            self._stamp = self._look()
            self._contexts = self._load()
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"PODSTREAM_TLS_DIR={folder}: the certificate cannot be used ({error}); mount a "
                "Secret of type kubernetes.io/tls there"
            ) from error

    def context(self, alpn: str = ALPN) -> ssl.SSLContext:
        """For the next handshake; the last good certificate where a new one cannot be used.

        Args:
            alpn: the protocol that is offered, `ALPN` or `HTTP_ALPN`.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return self._contexts[alpn]
        # Before the files are read: what cannot be used is said once, not at each handshake.
        self._stamp = stamp
        try:
            self._contexts = self._load()
        except (OSError, ValueError) as error:
            logger.warning("new TLS certificate cannot be used", extra={"cause": str(error)})
        else:
            logger.info("TLS certificate read anew", extra={"folder": str(self._folder)})
        return self._contexts[alpn]

    def _look(self) -> _Stamp:
        """Tells one state of the files from another; that one is missing is a state, too."""
        return tuple(_stamp_of(self._folder / name) for name in (CERTIFICATE_FILE, KEY_FILE))

    def _load(self) -> dict[str, ssl.SSLContext]:
        """A server's contexts, by the protocol that they offer.

        Raises:
            OSError: a file cannot be read, or is no certificate or key (`ssl.SSLError`).
        """
        return {alpn: self._load_for(alpn) for alpn in (ALPN, HTTP_ALPN)}

    def _load_for(self, alpn: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols([alpn])
        context.load_cert_chain(
            self._folder / CERTIFICATE_FILE, self._folder / KEY_FILE, password=_no_password
        )
        return context


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _no_password() -> str:
    """Without this, OpenSSL would ask for the password of an encrypted key on the terminal."""
    raise ValueError("the key is encrypted")
