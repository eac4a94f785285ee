"""gRPC: the first HEADERS frame names the session, then the connection is joined to its pod."""

from podstream_router.grpc.listener import GrpcListener

__all__ = ["GrpcListener"]
