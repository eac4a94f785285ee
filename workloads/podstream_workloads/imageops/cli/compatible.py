"""The client of `NLImageService`: what the original's client does, flag by flag."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.cli.channel import Caller, connected
from podstream_workloads.imageops.cli.errors import CommandError, Exit
from podstream_workloads.imageops.cli.files import (
    encode_picture,
    format_of,
    read_picture,
    target_of,
    written,
)
from podstream_workloads.imageops.cli.options import ClientOptions, Service
from podstream_workloads.imageops.wire import image_pb2

_GRAY_AXES = 2


def run(options: ClientOptions) -> None:
    """Rotate, then filter, then write; the order makes no difference to the result.

    Raises:
        CommandError: whatever ends the command early.
    """
    target = target_of(options)
    format_of(str(target))
    picture = read_picture(options.input)
    with connected(options.target) as caller:
        if options.rotation or not options.mean:
            picture = _rotate(caller, options, picture)
        if options.mean:
            answer = image_pb2.NLImage if options.service is Service.NL else image_pb2.Image
            path = f"/{options.service.value}/MeanFilter"
            picture = _array(caller.unary(path, _message(picture, answer), answer))
    data = encode_picture(picture, target=target)
    with written(target) as file:
        file.write(data)


def _rotate(caller: Caller, options: ClientOptions, picture: NDArray[Any]) -> NDArray[Any]:
    request: Any
    answer: Any
    if options.service is Service.NL:
        answer, request = image_pb2.NLImage, image_pb2.NLImageRotateRequest
    else:
        answer, request = image_pb2.Image, image_pb2.ImageRotateRequest
    message = request(rotation=options.rotation, image=_message(picture, answer))
    return _array(caller.unary(f"/{options.service.value}/RotateImage", message, answer))


def _message(picture: NDArray[Any], kind: Any) -> Any:
    height, width = picture.shape[:2]
    is_color = picture.ndim > _GRAY_AXES
    return kind(color=is_color, data=picture.tobytes(), width=width, height=height)


def _array(image: Any) -> NDArray[Any]:
    shape = (image.height, image.width, 3) if image.color else (image.height, image.width)
    data = np.frombuffer(image.data, np.uint8)
    if data.size != int(np.prod(shape)) or not data.size:
        raise CommandError(
            Exit.SERVER,
            f"the server's answer has {data.size} bytes for {image.width}x{image.height}"
            f"{' in color' if image.color else ''}",
        )
    return data.reshape(shape)
