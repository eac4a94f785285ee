"""Works through the pictures of `spec.imageOps.batch`, one after the other, without a client."""

import csv
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from podstream_core.api import SHOWN_ITEMS, ImageBatch, ImageBatchItem, ImageBatchResults
from podstream_workloads.imageops.chain import ChainTextError, parse_chain
from podstream_workloads.imageops.limits import CHUNK_BYTES
from podstream_workloads.imageops.output import Output, OutputFormat
from podstream_workloads.imageops.service.engine import Answer, Engine, FileForm, Request
from podstream_workloads.imageops.service.errors import CallError, translate
from podstream_workloads.imageops.service.messages import operations_of
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.workers.process import Cancellation

logger = logging.getLogger(__name__)

TABLE_NAME: Final = "batch.csv"
_COLUMNS: Final = ("name", "bytesIn", "size", "sha256", "width", "height", "milliseconds", "error")
_MAX_ERROR: Final = 200
_NAME_BYTES: Final = 100
"""Of a picture's name in status; the table has it whole."""


class BatchError(Exception):
    """The batch cannot be begun; the message says what to change."""


@dataclass(frozen=True, slots=True)
class BatchFolders:
    """Where the batch reads and writes."""

    input: Path
    output: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    bytes_in: int = 0
    size: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    milliseconds: float = 0.0
    error: str = ""

    @property
    def item(self) -> ImageBatchItem:
        name = self.name.encode()[:_NAME_BYTES].decode(errors="ignore")
        if self.error:
            return ImageBatchItem(name=name, error=self.error)
        return ImageBatchItem(
            name=name, size=self.size, sha256=self.sha256, milliseconds=self.milliseconds
        )


class _Work:
    """Deadline and cancellation of one picture: none but the service's own and the end."""

    def __init__(self, cancellation: Cancellation) -> None:
        self.cancellation = cancellation

    def remaining_s(self, *, at_most: float) -> float:
        return at_most


class BatchRun:
    """One run; `run` blocks on a thread, everything else may be called from another one."""

    def __init__(
        self,
        batch: ImageBatch,
        *,
        folders: BatchFolders,
        engine: Engine,
        table: Path,
        on_change: Callable[[], None],
    ) -> None:
        """Read what is wanted and find the pictures.

        Raises:
            BatchError: an operation cannot be read, or there are no pictures.
        """
        self._engine = engine
        self._folders = folders
        self._table = table
        self._on_change = on_change
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._figures = ImageBatchResults()
        self._begun = time.monotonic()
        try:
            texts = [item for text in batch.operations for item in parse_chain(text)]
            self._operations = operations_of(texts)
        except (ChainTextError, CallError) as error:
            raise BatchError(f"spec.imageOps.batch.operations: {error}") from error
        self._output = Output(format=OutputFormat(batch.format.value), quality=batch.quality)
        self._pictures = _pictures_of(folders.input)
        self._figures = ImageBatchResults(total=len(self._pictures))
        self._names: set[str] = set()

    def results(self) -> ImageBatchResults:
        """The figures so far."""
        with self._lock:
            return self._figures

    def stop(self) -> None:
        """End the run early."""
        self._cancellation.set()

    def run(self) -> bool:
        """Work through all pictures; whether it came to the end.

        Raises:
            OSError: the table or the output's folder cannot be written.
        """
        if self._folders.output is not None:
            self._folders.output.mkdir(parents=True, exist_ok=True)
        with self._table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for path in self._pictures:
                row = self._work(path)
                if self._cancellation.is_set:
                    return False
                writer.writerow([getattr(row, _snake(column)) for column in _COLUMNS])
                self._count(row)
        return True

    def _work(self, path: Path) -> _Row:
        begun = time.monotonic()
        size = 0
        try:
            # Links inside a ConfigMap lead to its own files; others are nobody's business here.
            if not path.resolve().is_relative_to(self._folders.input.resolve()):
                raise CallError(Rejection.INVALID, "it links to a file outside the input")
            size = path.stat().st_size
            answer = self._perform(path, size)
            try:
                digest = self._keep(path, answer)
            finally:
                self._engine.segments.give(answer.segment)
        except Exception as error:
            known = _known(path, error)
            self._engine.statistics.rejected(known.reason)
            return _Row(name=path.name, bytes_in=size, error=str(known)[:_MAX_ERROR])
        return _Row(
            name=path.name,
            bytes_in=size,
            size=answer.done.size,
            sha256=digest,
            width=answer.done.width,
            height=answer.done.height,
            milliseconds=round((time.monotonic() - begun) * 1000, 3),
        )

    def _perform(self, path: Path, size: int) -> Answer:
        engine = self._engine
        limit = engine.limits.max_upload_bytes
        if not 0 < size <= limit:
            reason = Rejection.TOO_LARGE if size else Rejection.INVALID
            raise CallError(reason, f"{size} bytes: 1 to {limit} are allowed")
        request = Request(form=FileForm(), operations=self._operations, output=self._output)
        with engine.admission.reserve(size) as reservation:
            source = engine.segments.take(size)
            try:
                with path.open("rb") as file:
                    offset = 0
                    while offset < size and (data := file.read(min(CHUNK_BYTES, size - offset))):
                        source.write(offset, data)
                        offset += len(data)
                return engine.perform(
                    request,
                    source=source,
                    size=offset,
                    reservation=reservation,
                    call=_Work(self._cancellation),
                )
            finally:
                engine.segments.give(source)

    def _keep(self, path: Path, answer: Answer) -> str:
        """Write the result where one is wanted; return its digest, hexadecimal."""
        target = self._target(path)
        if target is None:
            return _copy(answer, None)
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as file:
                digest = _copy(answer, file)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return digest

    def _target(self, path: Path) -> Path | None:
        folder = self._folders.output
        if folder is None:
            return None
        ending = f".{self._output.format.value}"
        # a.png and a.jpg would both become a.webp: the second one keeps its ending before it.
        name = path.stem + ending if path.stem + ending not in self._names else path.name + ending
        self._names.add(name)
        return folder / name

    def _count(self, row: _Row) -> None:
        with self._lock:
            old = self._figures
            items = [*old.items, row.item] if len(old.items) < SHOWN_ITEMS else old.items
            self._figures = msgspec.structs.replace(
                old,
                done=old.done + (not row.error),
                failed=old.failed + bool(row.error),
                bytes_in=old.bytes_in + row.bytes_in,
                bytes_out=old.bytes_out + row.size,
                seconds=round(time.monotonic() - self._begun, 3),
                items=items,
            )
        self._on_change()


def _copy(answer: Answer, file: BinaryIO | None) -> str:
    """Digest of a result, which goes into the file on the way."""
    hasher, size = hashlib.sha256(), answer.done.size
    for offset in range(0, size, CHUNK_BYTES):
        data = answer.segment.read(offset, min(CHUNK_BYTES, size - offset))
        hasher.update(data)
        if file is not None:
            file.write(data)
    return hasher.hexdigest()


def _pictures_of(folder: Path) -> list[Path]:
    try:
        found = sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError as error:
        raise BatchError(f"spec.imageOps.batch.input: {folder}: {error.strerror}") from error
    if not found:
        raise BatchError("spec.imageOps.batch.input has no files")
    return found


def _known(path: Path, error: Exception) -> CallError:
    if isinstance(error, OSError):
        return CallError(Rejection.FAILED, error.strerror or str(error))
    known = translate(error)
    if known is None:
        logger.error("%s has failed", path.name, exc_info=error)
        return CallError(Rejection.FAILED, "internal error; the session's log says more")
    return known


def _snake(column: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in column)
