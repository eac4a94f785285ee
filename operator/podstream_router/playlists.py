"""HLS playlists on their way through the router (RFC 8216, section 4)."""

import re
from typing import Final
from urllib.parse import urlencode

from podstream_router.http import TOKEN_QUERY

_ATTRIBUTE: Final = re.compile(r'URI="([^"]*)"')


def with_token(text: str, token: str) -> str:
    """A playlist whose URIs, those of segments and those in tags, carry a token.

    Args:
        text: a media playlist with relative URIs without a query.
        token: the client's.
    """
    query = urlencode({TOKEN_QUERY: token})
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(_ATTRIBUTE.sub(rf'URI="\1?{query}"', line))
        else:
            lines.append(f"{line}?{query}" if line else line)
    return "\n".join(lines) + "\n"
