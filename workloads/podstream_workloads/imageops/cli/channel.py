"""The connection to a server, and calls on it by plain paths: no generated stubs are needed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpc

from podstream_workloads.imageops.cli.errors import of_rpc
from podstream_workloads.imageops.cli.options import Target

_UNLIMITED: Final = -1
_IMAGES: Final = "/podstream.image.v1.Images/"


class Caller:
    """Calls with the metadata and the deadline of a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        # The server bounds its messages; a client that refuses an answer helps nobody.
        options = [
            ("grpc.max_receive_message_length", _UNLIMITED),
            ("grpc.max_send_message_length", _UNLIMITED),
            # A session has one connection: it is this channel's alone.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if target.tls:
            credentials = grpc.ssl_channel_credentials(target.roots)
            self._channel = grpc.secure_channel(target.address, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(target.address, options=options)

    def close(self) -> None:
        """Close the connection; calls that run end."""
        self._channel.close()

    def unary(self, path: str, request: Any, answer: Any) -> Any:
        """One message there and back.

        Raises:
            grpc.RpcError: the call failed.
        """
        make = self._channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        return make(request, **self._terms())

    def images(self, method: str, request: Any, answer: Any) -> Any:
        """A unary call of podstream.image.v1. Raises as `unary`."""
        return self.unary(_IMAGES + method, request, answer)

    def download(self, method: str, request: Any, answer: Any) -> Any:
        """One message there, many back."""
        make = self._channel.unary_stream(
            _IMAGES + method, type(request).SerializeToString, answer.FromString
        )
        return make(request, **self._terms())

    def upload(self, method: str, requests: Iterable[Any], answer: Any) -> Any:
        """Many messages there, one back. Raises as `unary`."""
        make = self._channel.stream_unary(_IMAGES + method, _serialize, answer.FromString)
        return make(iter(requests), **self._terms())

    def both(self, method: str, requests: Iterable[Any], answer: Any) -> Any:
        """Many messages both ways."""
        make = self._channel.stream_stream(_IMAGES + method, _serialize, answer.FromString)
        return make(iter(requests), **self._terms())

    def _terms(self) -> Mapping[str, Any]:
        return {"timeout": self._target.timeout_s, "metadata": self._target.metadata}


@contextmanager
def connected(target: Target) -> Iterator[Caller]:
    """A connection for the block; failed calls end it as `CommandError`."""
    caller = Caller(target)
    try:
        yield caller
    except grpc.RpcError as error:
        raise of_rpc(error) from error
    finally:
        caller.close()


def _serialize(message: Any) -> bytes:
    return bytes(message.SerializeToString())
