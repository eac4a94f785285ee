from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NLImage(_message.Message):
    __slots__ = ("color", "data", "width", "height")
    COLOR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    color: bool
    data: bytes
    width: int
    height: int
    def __init__(self, color: _Optional[bool] = ..., data: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class NLImageRotateRequest(_message.Message):
    __slots__ = ("rotation", "image")
    class Rotation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[NLImageRotateRequest.Rotation]
        NINETY_DEG: _ClassVar[NLImageRotateRequest.Rotation]
        ONE_EIGHTY_DEG: _ClassVar[NLImageRotateRequest.Rotation]
        TWO_SEVENTY_DEG: _ClassVar[NLImageRotateRequest.Rotation]
    NONE: NLImageRotateRequest.Rotation
    NINETY_DEG: NLImageRotateRequest.Rotation
    ONE_EIGHTY_DEG: NLImageRotateRequest.Rotation
    TWO_SEVENTY_DEG: NLImageRotateRequest.Rotation
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    rotation: NLImageRotateRequest.Rotation
    image: NLImage
    def __init__(self, rotation: _Optional[_Union[NLImageRotateRequest.Rotation, str]] = ..., image: _Optional[_Union[NLImage, _Mapping]] = ...) -> None: ...

class NLCustomImageEndpointRequest(_message.Message):
    __slots__ = ("image",)
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    image: NLImage
    def __init__(self, image: _Optional[_Union[NLImage, _Mapping]] = ...) -> None: ...

class NLCustomImageEndpointResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Image(_message.Message):
    __slots__ = ("color", "data", "width", "height")
    COLOR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    color: bool
    data: bytes
    width: int
    height: int
    def __init__(self, color: _Optional[bool] = ..., data: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class ImageRotateRequest(_message.Message):
    __slots__ = ("rotation", "image")
    class Rotation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[ImageRotateRequest.Rotation]
        NINETY_DEG: _ClassVar[ImageRotateRequest.Rotation]
        ONE_EIGHTY_DEG: _ClassVar[ImageRotateRequest.Rotation]
        TWO_SEVENTY_DEG: _ClassVar[ImageRotateRequest.Rotation]
    NONE: ImageRotateRequest.Rotation
    NINETY_DEG: ImageRotateRequest.Rotation
    ONE_EIGHTY_DEG: ImageRotateRequest.Rotation
    TWO_SEVENTY_DEG: ImageRotateRequest.Rotation
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    rotation: ImageRotateRequest.Rotation
    image: Image
    def __init__(self, rotation: _Optional[_Union[ImageRotateRequest.Rotation, str]] = ..., image: _Optional[_Union[Image, _Mapping]] = ...) -> None: ...
