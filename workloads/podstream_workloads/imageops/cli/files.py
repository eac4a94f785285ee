"""Picture files of this machine: what is sent, and where results go."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.cli.errors import CommandError, Exit
from podstream_workloads.imageops.cli.options import FORMATS, ClientOptions, is_folder
from podstream_workloads.imageops.codec import decode, encode
from podstream_workloads.imageops.headers import (
    BadPicture,
    HeaderLimits,
    PictureTooLarge,
    inspect,
)
from podstream_workloads.imageops.headers.window import BytesSource
from podstream_workloads.imageops.operations.apply import apply_chain
from podstream_workloads.imageops.operations.upright import upright
from podstream_workloads.imageops.operations.values import Space
from podstream_workloads.imageops.output import Output, OutputFormat

_MAX_PIXELS: Final = 1 << 30
_TURNS: Final = ("", "rot90", "rot180", "rot270")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as existing clients send it: gray (2 axes) or RGB, 8 bits, upright, no alpha.

    Raises:
        CommandError: it cannot be read, or is no picture.
    """
    try:
        data = path.read_bytes()
        header = inspect(BytesSource(data), limits=HeaderLimits(max_pixels=_MAX_PIXELS))
        picture, space = decode(np.frombuffer(data, np.uint8), header=header, keep_depth=False)
    except OSError as error:
        raise CommandError(Exit.FILES, f"--input {path}: {error.strerror}") from error
    except (BadPicture, PictureTooLarge) as error:
        raise CommandError(Exit.FILES, f"--input {path}: {error}") from error
    picture, _ = apply_chain(picture, upright(header.orientation), space=space)
    return np.ascontiguousarray(picture)


def encode_picture(picture: NDArray[Any], *, target: Path) -> bytes:
    """A picture as a file of the kind that the target's ending says.

    Raises:
        CommandError: it cannot be encoded so.
    """
    kind = OutputFormat(format_of(str(target)))
    try:
        return bytes(encode(picture, Output(format=kind)))
    except (cv2.error, ValueError) as error:
        raise CommandError(Exit.FILES, f"--output {target}: {error}") from error


def shape_of(picture: NDArray[Any]) -> Space:
    """What a picture's values are."""
    return Space.GRAY if picture.ndim == 2 else Space.RGB  # noqa: PLR2004 - rows and columns


def format_of(output: str, given: str = "") -> str:
    """The result's format, by a flag or by the output's ending.

    Raises:
        CommandError: the ending is none of a picture.
    """
    if given:
        return given
    ending = Path(output).suffix.lower()
    for name, (_, endings) in FORMATS.items():
        if ending in endings:
            return name
    known = ", ".join(ending for _, endings in FORMATS.values() for ending in endings)
    raise CommandError(Exit.USAGE, f"--output {output}: the ending is none of {known}")


def target_of(options: ClientOptions) -> Path:
    """Where the result goes: the output itself, or a file in the folder that it names.

    In a folder the name tells what was done, as in `photo_Meaned_rot90.png`.
    """
    if not is_folder(options.output):
        return Path(options.output)
    parts = [options.input.stem]
    parts += ["Meaned"] if options.mean else []
    parts += [_TURNS[options.rotation]] if options.rotation else []
    parts += [str(operation.WhichOneof("kind")) for operation in options.operations]
    ending = FORMATS[options.format][1][0] if options.format else options.input.suffix
    return Path(options.output) / f"{'_'.join(parts)}{ending}"


@contextmanager
def written(target: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block has ended well; else nothing is left.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it may outlive the block
            dir=target.parent, prefix=f".{target.name}.", delete=False
        )
    except OSError as error:
        raise CommandError(Exit.FILES, f"--output {target}: {error.strerror}") from error
    try:
        with file:
            yield file  # type: ignore[misc]  # the wrapper has the same methods
        _publish(file.name, target)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise


def _publish(name: str, target: Path) -> None:
    try:
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except OSError as error:
        raise CommandError(Exit.FILES, f"--output {target}: {error.strerror}") from error
