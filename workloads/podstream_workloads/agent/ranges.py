"""Which part of a file a request asks for (RFC 9110, section 14): players seek by it."""

from aiohttp import web

from podstream_workloads.agent.errors import Refusal


def requested_part(request: web.Request, *, size: int, sha256: str) -> range | None:
    """The part to send; `None` where the whole file is asked for.

    A header that is no single range is ignored (section 14.2), and so is one for another version of
    the file (`If-Range`, section 13.1.5).

    Args:
        request: with the headers `Range` and `If-Range`, or without.
        size: bytes of the file.
        sha256: its checksum, in quotes its entity tag; empty where it may change.

    Raises:
        Refusal: 416, the range begins behind the end.
    """
    version = request.headers.get("If-Range")
    if version is not None and (not sha256 or version != f'"{sha256}"'):
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None and wanted.stop is None:
        return None
    part = range(size)[wanted]
    if not part:
        raise Refusal(416, "RangeNotSatisfiable", f"the file has {size} bytes")
    return part
