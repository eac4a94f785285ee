"""A client that knows nothing but an address, as grpcurl: all it has comes by server reflection."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


@dataclass(frozen=True)
class Method:
    """One unary method of a service."""

    request: Any
    """Class of its messages."""
    call: Any


def services(channel: grpc.Channel) -> set[str]:
    """Names of all services that the server tells."""
    return set(ProtoReflectionDescriptorDatabase(channel).get_services())


def unary_methods(channel: grpc.Channel, service: str) -> dict[str, Method]:
    """The methods of a service, by name; messages are made from the server's descriptors alone."""
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    found: Any = pool.FindServiceByName(service)
    methods = {}
    for item in found.methods:
        request = message_factory.GetMessageClass(item.input_type)
        answer = message_factory.GetMessageClass(item.output_type)
        call: Any = channel.unary_unary(
            f"/{service}/{item.name}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        methods[item.name] = Method(request, call)
    return methods
