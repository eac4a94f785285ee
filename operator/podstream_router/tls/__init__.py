"""TLS of clients' connections: the certificate, and the stage that takes TLS off and puts it on."""

from podstream_router.tls.certificate import HTTP_ALPN, Certificate
from podstream_router.tls.stage import TlsFailed, plain_side, speaks_tls

__all__ = ["HTTP_ALPN", "Certificate", "TlsFailed", "plain_side", "speaks_tls"]
