"""The gRPC services: the compatible one and podstream's own, over the same engine."""
