"""Image operations without a client: `spec.imageOps.batch`, and what it has measured."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from podstream_core.api.base import ApiValue

SHOWN_ITEMS: Final = 10
"""Pictures in status, the first ones by name; all of them are in the artefact."""

_PATH: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"


class BatchFormat(StrEnum):
    """Kinds of results."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"


class ClaimPath(ApiValue, frozen=True, kw_only=True):
    """A folder of a PersistentVolumeClaim in the session's namespace."""

    claim_name: str
    path: Annotated[str, Meta(max_length=512, pattern=_PATH)] | None = None
    """Below the volume's root, which it is where none is given."""


class BatchInput(ApiValue, frozen=True, kw_only=True):
    """Where the pictures lie: every file of one ConfigMap or one folder."""

    config_map: str | None = None
    volume: ClaimPath | None = None


class ImageBatch(ApiValue, frozen=True, kw_only=True):
    """`spec.imageOps.batch`."""

    input: BatchInput
    operations: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=64)] = []
    """As `podstream-image --apply` takes them: `turn=1`, `resize=800x0`."""
    format: BatchFormat = BatchFormat.PNG
    quality: Annotated[int, Meta(ge=0, le=100)] = 0
    output: ClaimPath | None = None
    """Where results are written; without it they are only measured."""


class ImageBatchItem(ApiValue, frozen=True, kw_only=True):
    """One picture of a batch."""

    name: str
    size: int | None = None
    """Bytes of the result."""
    sha256: str | None = None
    """Of the result, hexadecimal."""
    milliseconds: float | None = None
    """From its reading to its result."""
    error: str | None = None


class ImageBatchResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.imageOps.batch`."""

    total: int = 0
    done: int = 0
    failed: int = 0
    bytes_in: int = 0
    """Of the pictures that are done or have failed."""
    bytes_out: int = 0
    seconds: float = 0.0
    """Of the whole run so far."""
    items: list[ImageBatchItem] = []
