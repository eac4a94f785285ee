"""Reads a finished file of a session from its pod, piece by piece."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from podstream_core import names
from podstream_core.agentapi import ErrorBody
from podstream_router.agent.transport import DIAL_TIMEOUT_S, KeysUnknown, Transport, cause_of
from podstream_router.errors import PodFailed, RangeNotSatisfiable, TryAgain, UnknownArtefact
from podstream_router.routes import PodRoute

TIMEOUT_S: Final = 600.0
"""For a whole file, as the agent allows."""
CHUNK_BYTES: Final = 128 * 1024
_OK: Final = 200
_PARTIAL: Final = 206
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_BEHIND_THE_END: Final = 416
_MAX_REFUSAL_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file that is being read."""

    size: int
    """Bytes that come."""
    sha256: str
    """Of the whole file."""
    part: str
    """`Content-Range` where only a part comes, as asked for."""
    chunks: AsyncIterator[bytes]
    """Exactly `size` bytes; raises `TryAgain` where the pod goes away before."""


@asynccontextmanager
async def open_artefact(
    transport: Transport, pod: PodRoute, *, name: str, wanted: Mapping[str, str]
) -> AsyncIterator[Artefact]:
    """Ask for a file; what it holds is read while the block runs.

    Args:
        transport: the way to pods.
        pod: has the file.
        name: of the file.
        wanted: `Range` and `If-Range` of the client, those that it has sent.

    Raises:
        TryAgain: the agent does not answer.
        UnknownArtefact: it has no such file.
        RangeNotSatisfiable: the part that is wanted lies behind the file's end.
        PodFailed: it does not accept this router, or does not keep the contract.
    """
    for token in transport.control_tokens(pod):
        # Only what the pod does is translated: what the block raises is its own.
        try:
            response = await transport.http.get(
                transport.control_url(pod, f"/results/{quote(name, safe='')}"),
                headers={**wanted, "Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=DIAL_TIMEOUT_S),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _silent(error) from error
        async with response:
            if response.status == _UNAUTHORIZED:
                continue
            if response.status not in (_OK, _PARTIAL):
                await _refuse(response, name)
            size = response.content_length
            if size is None:
                raise PodFailed("the session's pod sends a file without its size")
            sha256 = response.headers.get(names.SHA256_HEADER, "")
            part = response.headers.get("Content-Range", "")
            yield Artefact(size, sha256, part, _chunks(response))
            return
    raise KeysUnknown


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise _silent(error) from error


def _silent(error: Exception) -> TryAgain:
    return TryAgain(f"the pod does not answer: {cause_of(error)}")


async def _refuse(response: aiohttp.ClientResponse, name: str) -> None:
    try:
        content = await response.content.read(_MAX_REFUSAL_BYTES)
    except (aiohttp.ClientError, OSError) as error:
        raise _silent(error) from error
    if response.status == _NOT_FOUND:
        raise UnknownArtefact(f"the session has no file {name!r}: its results list what there is")
    try:
        said = msgspec.json.decode(content, type=ErrorBody)
    except msgspec.DecodeError:
        said = ErrorBody(error="Unknown", message="the pod gave no reason")
    if response.status == _BEHIND_THE_END:
        raise RangeNotSatisfiable(said.message)
    raise PodFailed(f"the session's pod answered {response.status} {said.error}: {said.message}")
