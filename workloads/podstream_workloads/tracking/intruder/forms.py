"""Multipart forms with one picture in them, read in memory and never beyond a bound."""

from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

_PARTS: Final = 16
_TEXT_BYTES: Final = 4096
"""Of a field that is no file."""
_FORM: Final = "multipart/form-data"


class FormRefused(Exception):
    """The form cannot be used; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Form:
    """What a form holds."""

    picture: bytes | None = None
    """Content of the file field that was asked for; `None` where it is missing or no file."""
    filename: str = ""
    texts: dict[str, str] = field(default_factory=dict)


async def read_form(request: web.Request, *, picture: str, max_bytes: int) -> Form:
    """Read a form whose file field is called `picture`; other files in it are passed over.

    Raises:
        FormRefused: no multipart form, damaged, or over `max_bytes` in all.
    """
    form = Form()
    if request.content_type != _FORM:
        return form
    left = max_bytes
    try:
        reader = await request.multipart()
        for _ in range(_PARTS):
            part = await reader.next()
            if part is None:
                return form
            if not isinstance(part, aiohttp.BodyPartReader):
                raise FormRefused(400, "the form cannot be read")
            data = bytearray()
            while chunk := await part.read_chunk(64 * 1024):
                left -= len(chunk)
                if left < 0:
                    raise FormRefused(413, f"more than {max_bytes} bytes")
                data += chunk
            if part.name == picture and part.filename is not None:
                form.picture, form.filename = bytes(data), part.filename
            elif part.name and part.filename is None:
                form.texts[part.name] = bytes(data[:_TEXT_BYTES]).decode("utf-8", "replace")
    except (ValueError, AssertionError, aiohttp.ClientPayloadError, web.HTTPException) as error:
        raise FormRefused(400, "the form cannot be read") from error
    raise FormRefused(400, f"more than {_PARTS} fields")
