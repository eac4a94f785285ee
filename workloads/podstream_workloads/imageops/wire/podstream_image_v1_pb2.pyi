from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Space(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPACE_UNSPECIFIED: _ClassVar[Space]
    SPACE_GRAY: _ClassVar[Space]
    SPACE_RGB: _ClassVar[Space]
    SPACE_BGR: _ClassVar[Space]
    SPACE_HSV: _ClassVar[Space]
    SPACE_LAB: _ClassVar[Space]
    SPACE_YCRCB: _ClassVar[Space]

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_RAW: _ClassVar[Format]
    FORMAT_PNG: _ClassVar[Format]
    FORMAT_JPEG: _ClassVar[Format]
    FORMAT_WEBP: _ClassVar[Format]
    FORMAT_TIFF: _ClassVar[Format]
    FORMAT_BMP: _ClassVar[Format]
    FORMAT_GIF: _ClassVar[Format]

class Border(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BORDER_UNSPECIFIED: _ClassVar[Border]
    BORDER_EXISTING: _ClassVar[Border]
    BORDER_REFLECT_101: _ClassVar[Border]
    BORDER_REFLECT: _ClassVar[Border]
    BORDER_REPLICATE: _ClassVar[Border]
    BORDER_CONSTANT: _ClassVar[Border]

class Interpolation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERPOLATION_UNSPECIFIED: _ClassVar[Interpolation]
    INTERPOLATION_NEAREST: _ClassVar[Interpolation]
    INTERPOLATION_LINEAR: _ClassVar[Interpolation]
    INTERPOLATION_CUBIC: _ClassVar[Interpolation]
    INTERPOLATION_AREA: _ClassVar[Interpolation]
    INTERPOLATION_LANCZOS: _ClassVar[Interpolation]
SPACE_UNSPECIFIED: Space
SPACE_GRAY: Space
SPACE_RGB: Space
SPACE_BGR: Space
SPACE_HSV: Space
SPACE_LAB: Space
SPACE_YCRCB: Space
FORMAT_UNSPECIFIED: Format
FORMAT_RAW: Format
FORMAT_PNG: Format
FORMAT_JPEG: Format
FORMAT_WEBP: Format
FORMAT_TIFF: Format
FORMAT_BMP: Format
FORMAT_GIF: Format
BORDER_UNSPECIFIED: Border
BORDER_EXISTING: Border
BORDER_REFLECT_101: Border
BORDER_REFLECT: Border
BORDER_REPLICATE: Border
BORDER_CONSTANT: Border
INTERPOLATION_UNSPECIFIED: Interpolation
INTERPOLATION_NEAREST: Interpolation
INTERPOLATION_LINEAR: Interpolation
INTERPOLATION_CUBIC: Interpolation
INTERPOLATION_AREA: Interpolation
INTERPOLATION_LANCZOS: Interpolation

class Raw(_message.Message):
    __slots__ = ("width", "height", "space", "bits")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    space: Space
    bits: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., space: _Optional[_Union[Space, str]] = ..., bits: _Optional[int] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("format", "keep_depth")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    KEEP_DEPTH_FIELD_NUMBER: _ClassVar[int]
    format: Format
    keep_depth: bool
    def __init__(self, format: _Optional[_Union[Format, str]] = ..., keep_depth: _Optional[bool] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("raw", "file")
    RAW_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    raw: Raw
    file: File
    def __init__(self, raw: _Optional[_Union[Raw, _Mapping]] = ..., file: _Optional[_Union[File, _Mapping]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("format", "quality", "lossless")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LOSSLESS_FIELD_NUMBER: _ClassVar[int]
    format: Format
    quality: int
    lossless: bool
    def __init__(self, format: _Optional[_Union[Format, str]] = ..., quality: _Optional[int] = ..., lossless: _Optional[bool] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("turn", "rotate", "mean", "gaussian", "resize", "crop", "flip", "gray", "convert")
    TURN_FIELD_NUMBER: _ClassVar[int]
    ROTATE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    GAUSSIAN_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    FLIP_FIELD_NUMBER: _ClassVar[int]
    GRAY_FIELD_NUMBER: _ClassVar[int]
    CONVERT_FIELD_NUMBER: _ClassVar[int]
    turn: Turn
    rotate: Rotate
    mean: Mean
    gaussian: Gaussian
    resize: Resize
    crop: Crop
    flip: Flip
    gray: Gray
    convert: Convert
    def __init__(self, turn: _Optional[_Union[Turn, _Mapping]] = ..., rotate: _Optional[_Union[Rotate, _Mapping]] = ..., mean: _Optional[_Union[Mean, _Mapping]] = ..., gaussian: _Optional[_Union[Gaussian, _Mapping]] = ..., resize: _Optional[_Union[Resize, _Mapping]] = ..., crop: _Optional[_Union[Crop, _Mapping]] = ..., flip: _Optional[_Union[Flip, _Mapping]] = ..., gray: _Optional[_Union[Gray, _Mapping]] = ..., convert: _Optional[_Union[Convert, _Mapping]] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("quarters",)
    QUARTERS_FIELD_NUMBER: _ClassVar[int]
    quarters: int
    def __init__(self, quarters: _Optional[int] = ...) -> None: ...

class Rotate(_message.Message):
    __slots__ = ("degrees", "interpolation", "fill")
    DEGREES_FIELD_NUMBER: _ClassVar[int]
    INTERPOLATION_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    degrees: float
    interpolation: Interpolation
    fill: int
    def __init__(self, degrees: _Optional[float] = ..., interpolation: _Optional[_Union[Interpolation, str]] = ..., fill: _Optional[int] = ...) -> None: ...

class Mean(_message.Message):
    __slots__ = ("width", "height", "border")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BORDER_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    border: Border
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., border: _Optional[_Union[Border, str]] = ...) -> None: ...

class Gaussian(_message.Message):
    __slots__ = ("sigma", "border")
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    BORDER_FIELD_NUMBER: _ClassVar[int]
    sigma: float
    border: Border
    def __init__(self, sigma: _Optional[float] = ..., border: _Optional[_Union[Border, str]] = ...) -> None: ...

class Resize(_message.Message):
    __slots__ = ("width", "height", "interpolation")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INTERPOLATION_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    interpolation: Interpolation
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., interpolation: _Optional[_Union[Interpolation, str]] = ...) -> None: ...

class Crop(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Flip(_message.Message):
    __slots__ = ("horizontal", "vertical")
    HORIZONTAL_FIELD_NUMBER: _ClassVar[int]
    VERTICAL_FIELD_NUMBER: _ClassVar[int]
    horizontal: bool
    vertical: bool
    def __init__(self, horizontal: _Optional[bool] = ..., vertical: _Optional[bool] = ...) -> None: ...

class Gray(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Convert(_message.Message):
    __slots__ = ("space",)
    SPACE_FIELD_NUMBER: _ClassVar[int]
    space: Space
    def __init__(self, space: _Optional[_Union[Space, str]] = ...) -> None: ...

class ProcessRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ProcessHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ProcessHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProcessHeader(_message.Message):
    __slots__ = ("input", "operations", "output", "size", "sha256", "progress")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    input: Input
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    output: Output
    size: int
    sha256: bytes
    progress: bool
    def __init__(self, input: _Optional[_Union[Input, _Mapping]] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., progress: _Optional[bool] = ...) -> None: ...

class ProcessResponse(_message.Message):
    __slots__ = ("progress", "result", "data", "trailer")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    result: Result
    data: bytes
    trailer: Trailer
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., data: _Optional[bytes] = ..., trailer: _Optional[_Union[Trailer, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("stage", "done", "total")
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STAGE_UNSPECIFIED: _ClassVar[Progress.Stage]
        STAGE_RECEIVING: _ClassVar[Progress.Stage]
        STAGE_OPERATING: _ClassVar[Progress.Stage]
    STAGE_UNSPECIFIED: Progress.Stage
    STAGE_RECEIVING: Progress.Stage
    STAGE_OPERATING: Progress.Stage
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    stage: Progress.Stage
    done: int
    total: int
    def __init__(self, stage: _Optional[_Union[Progress.Stage, str]] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("width", "height", "space", "bits", "format", "size")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    space: Space
    bits: int
    format: Format
    size: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., space: _Optional[_Union[Space, str]] = ..., bits: _Optional[int] = ..., format: _Optional[_Union[Format, str]] = ..., size: _Optional[int] = ...) -> None: ...

class Trailer(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    def __init__(self, sha256: _Optional[bytes] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("name", "offset", "data", "size", "finish", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    data: bytes
    size: int
    finish: bool
    sha256: bytes
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., size: _Optional[int] = ..., finish: _Optional[bool] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Object(_message.Message):
    __slots__ = ("name", "size", "committed_size", "complete", "sha256", "expires_in_seconds", "result")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_SIZE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    committed_size: int
    complete: bool
    sha256: bytes
    expires_in_seconds: int
    result: Result
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., committed_size: _Optional[int] = ..., complete: _Optional[bool] = ..., sha256: _Optional[bytes] = ..., expires_in_seconds: _Optional[int] = ..., result: _Optional[_Union[Result, _Mapping]] = ...) -> None: ...

class GetObjectRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("name", "input", "operations", "output", "target", "progress")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    input: Input
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    output: Output
    target: str
    progress: bool
    def __init__(self, name: _Optional[str] = ..., input: _Optional[_Union[Input, _Mapping]] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., target: _Optional[str] = ..., progress: _Optional[bool] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("progress", "object")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    object: Object
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., object: _Optional[_Union[Object, _Mapping]] = ...) -> None: ...

class DownloadRequest(_message.Message):
    __slots__ = ("name", "offset", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    limit: int
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class DownloadResponse(_message.Message):
    __slots__ = ("offset", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class DeleteObjectRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteObjectResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_pixels", "max_message_bytes", "max_upload_bytes", "memory_bytes", "max_calls", "timeout_seconds", "max_operations", "slo_ms")
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_UPLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    SLO_MS_FIELD_NUMBER: _ClassVar[int]
    max_pixels: int
    max_message_bytes: int
    max_upload_bytes: int
    memory_bytes: int
    max_calls: int
    timeout_seconds: float
    max_operations: int
    slo_ms: float
    def __init__(self, max_pixels: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_upload_bytes: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., max_calls: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., max_operations: _Optional[int] = ..., slo_ms: _Optional[float] = ...) -> None: ...
