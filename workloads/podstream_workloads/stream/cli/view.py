"""Looks on at a session: raw frames over HTTP into files or a window."""

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from podstream_workloads.stream.frames import CHANNELS, Frame

CONNECT_TIMEOUT_S: Final = 10.0
_OK: Final = 200
_WINDOW: Final = "podstream"
_QUIT: Final = (ord("q"), 27)
"""Keys that end a window: q and Escape."""


class ViewError(Exception):
    """There is nothing to see; the message names cause and fix."""


@contextmanager
def open_view(url: str, *, token: str | None) -> Iterator[http.client.HTTPResponse]:
    """The session's raw frames, back to back, for the block.

    Args:
        url: of the session, `http://HOST:8080/s/NAMESPACE/NAME`.
        token: the session's or its view token; not needed where access is Public.

    Raises:
        ViewError: the session cannot be reached, or does not show itself.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ViewError(f"{url!r} is no URL of a session: http://HOST:8080/s/NAMESPACE/NAME")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=CONNECT_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/frames", headers=headers)
            assert connection.sock is not None
            connection.sock.settimeout(None)  # the session waits for its pod, and for frames
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise ViewError(f"cannot connect to {url}: {error}. Check host and port") from error
        if response.status != _OK:
            raise ViewError(_refusal(response))
        yield response
    finally:
        connection.close()


def frames_of(response: http.client.HTTPResponse, width: int, height: int) -> Iterator[Frame]:
    """Cut what comes into frames, until the session ends.

    Raises:
        ViewError: the connection broke, or ended within a frame.
    """
    size = width * height * CHANNELS
    while True:
        try:
            data = response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise ViewError(f"the connection broke: {error}") from error
        if not data:
            return
        if len(data) < size:
            raise ViewError(
                f"the stream ended {len(data)} bytes into a frame: are {width}x{height} its size?"
            )
        yield np.frombuffer(data, np.uint8).reshape(height, width, CHANNELS)


def save(frames: Iterator[Frame], folder: Path, *, count: int) -> int:
    """Write frames as 000001.png, 000002.png, ...; return how many.

    PNG keeps every bit.

    Args:
        frames: to be written.
        folder: made where it does not exist.
        count: at most so many; 0 for no limit.

    Raises:
        ViewError: a file cannot be written.
    """
    number = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ViewError(f"{folder} cannot be made: {error.strerror}") from error
    for number, frame in enumerate(islice(frames, count or None), start=1):
        path = folder / f"{number:06d}.png"
        if not cv2.imwrite(str(path), frame):
            raise ViewError(f"{path} cannot be written: check the disk and the folder's rights")
    return number


def show(frames: Iterator[Frame], *, count: int) -> int:
    """Show frames in a window until they end or q is pressed; return how many.

    Raises:
        ViewError: this OpenCV has no windows, or there is no display.
    """
    shown = 0
    try:
        for frame in islice(frames, count or None):
            cv2.imshow(_WINDOW, frame)
            shown += 1
            if cv2.waitKey(1) & 0xFF in _QUIT:
                break
    except cv2.error as error:
        raise ViewError(
            "no window can be opened: pip install 'podstream[desktop]' and uninstall "
            "opencv-python-headless, or use --out DIR"
        ) from error
    return shown


def _refusal(response: http.client.HTTPResponse) -> str:
    body = response.read(16_384)
    try:
        said = json.loads(body)
        return f"the router refuses ({response.status} {said['error']}): {said['message']}"
    except (ValueError, KeyError, TypeError):
        return f"the router refuses: HTTP {response.status}"
