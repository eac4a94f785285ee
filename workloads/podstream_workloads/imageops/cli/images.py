"""The client of podstream.image.v1: one call, or an upload that can be continued."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import grpc

from podstream_workloads.imageops.cli.channel import Caller, connected
from podstream_workloads.imageops.cli.errors import CommandError, Exit, code_of
from podstream_workloads.imageops.cli.files import format_of, target_of, written
from podstream_workloads.imageops.cli.options import FORMATS, ClientOptions
from podstream_workloads.imageops.cli.progress import WORKING, Progress
from podstream_workloads.imageops.limits import CHUNK_BYTES
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 1.0
_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})
"""What an upload tries again after: the connection broke, or its last call has not ended yet."""
_TAKEN: Final = "Busy:"
"""How the router refuses a second connection: the one that broke may not have ended yet."""
_WINDOW_BYTES: Final = 1 << 20
"""Of an upload that is to be continued, so much is on the way at most: more than that never has to
be sent again. Without a bound all buffers between here and the pod would fill, several MiB."""
_KEPT_CHUNK_BYTES: Final = _WINDOW_BYTES // 4
_ASK_AGAIN_S: Final = 0.002
_BEGIN_TIMEOUT_S: Final = 10.0
"""For an upload to begin at the server, once its first chunks are sent."""
_RESULT_SUFFIX: Final = ".result"


class LocalPicture:
    """The input file: its size and digest, read in pieces."""

    def __init__(self, path: Path) -> None:
        """Read it once.

        Raises:
            CommandError: it cannot be read, or is empty.
        """
        self.path = path
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise CommandError(Exit.FILES, f"--input {path}: {error.strerror}") from error
        if not self.size:
            raise CommandError(Exit.FILES, f"--input {path}: the file is empty")

    def chunks(self, offset: int = 0, *, size: int = CHUNK_BYTES) -> Iterator[tuple[int, bytes]]:
        """Offsets and pieces of at most `size` bytes."""
        with self.path.open("rb") as file:
            file.seek(offset)
            while data := file.read(min(size, self.size - offset)):
                yield offset, data
                offset += len(data)


def run(options: ClientOptions) -> None:
    """Have the chain applied and write the result.

    Raises:
        CommandError: whatever ends the command early.
    """
    target = target_of(options)
    kind = format_of(str(target), options.format)
    output = pb.Output(format=FORMATS[kind][0], quality=options.quality, lossless=options.lossless)
    picture = LocalPicture(options.input)
    progress = Progress(options.progress, total=picture.size)
    try:
        with connected(options.target) as caller:
            if options.name:
                _Kept(caller, options, picture, progress).run(output, target)
            else:
                header = pb.ProcessHeader(
                    input=_input(options),
                    operations=options.chain,
                    output=output,
                    size=picture.size,
                    sha256=picture.sha256,
                    progress=True,
                )
                with written(target) as file:
                    _process(caller, picture, header, progress=progress, file=file)
    finally:
        progress.end()


def _process(
    caller: Caller,
    picture: LocalPicture,
    header: pb.ProcessHeader,
    *,
    progress: Progress,
    file: BinaryIO,
) -> None:
    """One call: the picture goes there while the connection lasts, the result comes into a file."""

    def requests() -> Iterator[pb.ProcessRequest]:
        yield pb.ProcessRequest(header=header)
        for offset, data in picture.chunks():
            yield pb.ProcessRequest(data=data)
            progress.update("upload", offset + len(data), picture.size)

    hasher, done, result = hashlib.sha256(), 0, pb.Result()
    for answer in caller.both("Process", requests(), pb.ProcessResponse):
        part = answer.WhichOneof("part")
        if part == "progress" and answer.progress.stage == pb.Progress.STAGE_OPERATING:
            progress.update(WORKING, answer.progress.done, answer.progress.total)
        elif part == "result":
            result = answer.result
        elif part == "data":
            file.write(answer.data)
            hasher.update(answer.data)
            done += len(answer.data)
            progress.update("download", done, result.size)
        elif part == "trailer":
            _require_whole(done, result.size, hasher.digest(), answer.trailer.sha256)
            return
    raise CommandError(Exit.SERVER, "the server's answer has no end")


class _Kept:
    """A picture that is uploaded under a name, worked on there, and fetched."""

    def __init__(
        self, caller: Caller, options: ClientOptions, picture: LocalPicture, progress: Progress
    ) -> None:
        self._caller = caller
        self._options = options
        self._name = options.name
        self._result = options.name + _RESULT_SUFFIX
        self._picture = picture
        self._progress = progress

    def run(self, output: pb.Output, target: Path) -> None:
        """Upload what is missing, apply the chain, fetch the result, drop both."""
        self._until_uploaded()
        kept = self._apply(output)
        with written(target) as file:
            self._download(kept, file)
        self._delete(self._result)
        self._delete(self._name)

    def _until_uploaded(self) -> None:
        is_restart = self._options.restart
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if is_restart:
                    self._delete(self._name)
                    is_restart = False
                self._delete(self._result)
                self._continue()
                return
            except grpc.RpcError as error:
                if not _is_passing(error) or attempt == _ATTEMPTS:
                    raise
                self._progress.note(f"{code_of(error).name}: trying again")
                time.sleep(_PAUSE_S * attempt)

    def _continue(self) -> None:
        """Send what the server does not have."""
        picture, begin = self._picture, 0
        known = self._find(self._name)
        if known is not None:
            if known.size != picture.size or (known.complete and known.sha256 != picture.sha256):
                raise self._taken()
            if known.complete:
                self._progress.note("the upload is complete already")
                return
            begin = known.committed_size
            self._progress.note(f"continuing at {begin} of {picture.size} bytes")

        lost: list[grpc.RpcError] = []

        def requests() -> Iterator[pb.UploadRequest]:
            yield pb.UploadRequest(name=self._name, size=picture.size, offset=begin)
            safe = begin
            for offset, data in picture.chunks(begin, size=_KEPT_CHUNK_BYTES):
                end = offset + len(data)
                try:
                    while end - safe > _WINDOW_BYTES:
                        safe = self._wait_for_more(safe)
                except grpc.RpcError as error:
                    lost.append(error)
                    return
                yield pb.UploadRequest(offset=offset, data=data)
                self._progress.update("upload", end, picture.size)
            yield pb.UploadRequest(finish=True, sha256=picture.sha256)

        try:
            self._caller.upload("Upload", requests(), pb.Object)
            if lost:
                raise lost[0]
        except grpc.RpcError as error:
            if known is not None and code_of(error) is grpc.StatusCode.INVALID_ARGUMENT:
                raise self._taken() from error
            raise

    def _wait_for_more(self, safe: int) -> int:
        """How much the server has, once that is more than is known.

        What was sent may be on its way before the upload begins there: then there is no object yet.

        Raises:
            grpc.RpcError: the server does not answer, or knows of no upload for too long.
        """
        request = pb.GetObjectRequest(name=self._name)
        until = time.monotonic() + _BEGIN_TIMEOUT_S
        while True:
            try:
                committed: int = self._caller.images("GetObject", request, pb.Object).committed_size
            except grpc.RpcError as error:
                if not _is_missing(error) or safe or time.monotonic() > until:
                    raise
                committed = 0
            if committed > safe:
                return committed
            time.sleep(_ASK_AGAIN_S)

    def _apply(self, output: pb.Output) -> pb.Object:
        request = pb.ApplyRequest(
            name=self._name,
            input=_input(self._options),
            operations=self._options.chain,
            output=output,
            target=self._result,
            progress=True,
        )
        found = pb.Object()
        for answer in self._caller.download("Apply", request, pb.ApplyResponse):
            if answer.WhichOneof("part") == "object":
                found = answer.object
            else:
                self._progress.update(WORKING, answer.progress.done, answer.progress.total)
        return found

    def _download(self, kept: pb.Object, file: BinaryIO) -> None:
        hasher, done = hashlib.sha256(), 0
        request = pb.DownloadRequest(name=self._result)
        for answer in self._caller.download("Download", request, pb.DownloadResponse):
            file.write(answer.data)
            hasher.update(answer.data)
            done += len(answer.data)
            self._progress.update("download", done, kept.size)
        _require_whole(done, kept.size, hasher.digest(), kept.sha256)

    def _find(self, name: str) -> pb.Object | None:
        try:
            found: Any = self._caller.images("GetObject", pb.GetObjectRequest(name=name), pb.Object)
        except grpc.RpcError as error:
            if _is_missing(error):
                return None
            raise
        return found if isinstance(found, pb.Object) else None

    def _delete(self, name: str) -> None:
        if self._find(name) is not None:
            request = pb.DeleteObjectRequest(name=name)
            self._caller.images("DeleteObject", request, pb.DeleteObjectResponse)

    def _taken(self) -> CommandError:
        return CommandError(
            Exit.REFUSED,
            f"--name {self._name} belongs to another picture: take another name, or --restart",
        )


def _is_passing(error: grpc.RpcError) -> bool:
    details: Any = getattr(error, "details", lambda: "")()
    return code_of(error) in _PASSING or str(details).startswith(_TAKEN)


def _is_missing(error: grpc.RpcError) -> bool:
    """Whether the session has no such object: it has answered, not the router for lack of it."""
    details: Any = getattr(error, "details", lambda: "")()
    is_its_answer = str(details).startswith("there is no object")
    return code_of(error) is grpc.StatusCode.NOT_FOUND and is_its_answer


def _input(options: ClientOptions) -> pb.Input:
    return pb.Input(file=pb.File(keep_depth=options.keep_depth))


def _require_whole(count: int, size: int, digest: bytes, expected: bytes) -> None:
    if count != size or digest != expected:
        raise CommandError(
            Exit.SERVER, f"the result has arrived damaged: {count} of {size} bytes; try again"
        )
