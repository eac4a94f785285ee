"""Decodes and encodes pictures with OpenCV. Run it in a worker process.

Decoded pictures are gray or RGB: alpha is dropped, palettes are resolved, the first frame is
taken. Values have 8 bits; 16 are kept where the caller wants them. Metadata never gets through.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.headers import BadPicture, Header
from podstream_workloads.imageops.operations.values import Space
from podstream_workloads.imageops.output import DEFAULT_QUALITY, Output, OutputFormat

Picture = NDArray[Any]

_LOSSLESS_WEBP: Final = 101
_EXTENSIONS: Final = {
    OutputFormat.PNG: ".png",
    OutputFormat.JPEG: ".jpg",
    OutputFormat.WEBP: ".webp",
    OutputFormat.TIFF: ".tiff",
}


def decode(data: NDArray[np.uint8], *, header: Header, keep_depth: bool) -> tuple[Picture, Space]:
    """Decode a file that `inspect` has let through; not turned upright yet.

    Args:
        data: the file.
        header: what it claims.
        keep_depth: keep 16 bits a value; otherwise the upper 8 are taken.

    Raises:
        BadPicture: the decoder cannot read it, or found another picture than the header claims.
    """
    flags = cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_GRAYSCALE if header.is_gray else cv2.IMREAD_COLOR_RGB
    if keep_depth:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        decoded = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise BadPicture(f"the {header.format.value} cannot be decoded: {error.err}") from error
    if decoded is None:
        raise BadPicture(f"the {header.format.value} cannot be decoded: its data is damaged")
    picture = np.asarray(decoded)
    if picture.shape[:2] != (header.height, header.width):
        raise BadPicture("the decoder found another size than the header claims")
    if picture.dtype not in (np.uint8, np.uint16):
        raise BadPicture(f"values of type {picture.dtype} are not accepted")
    return picture, Space.GRAY if header.is_gray else Space.RGB


def encode(picture: Picture, output: Output) -> NDArray[np.uint8]:
    """Encode a gray or RGB picture that `require_encodable` has let through, as a flat array.

    Raises:
        ValueError: the encoder refused.
    """
    kind = output.format
    if kind is OutputFormat.RAW:
        raw: NDArray[np.uint8] = np.ascontiguousarray(picture).reshape(-1).view(np.uint8)
        return raw
    if picture.ndim > 2:  # noqa: PLR2004 - has channels
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        is_encoded, file = cv2.imencode(_EXTENSIONS[kind], picture, _parameters(output))
    except cv2.error as error:
        raise ValueError(f"cannot be encoded as {kind.value}: {error.err}") from error
    if not is_encoded:
        raise ValueError(f"cannot be encoded as {kind.value}")
    flat: NDArray[np.uint8] = np.asarray(file, np.uint8).reshape(-1)
    return flat


def _parameters(output: Output) -> list[int]:
    quality = output.quality or DEFAULT_QUALITY.get(output.format, 0)
    if output.format is OutputFormat.JPEG:
        return [cv2.IMWRITE_JPEG_QUALITY, quality]
    if output.format is OutputFormat.WEBP:
        return [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP if output.lossless else quality]
    # PNG without a level: an explicit one is two to three times slower and hardly smaller.
    return []
