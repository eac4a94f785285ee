"""The image operations workload: two gRPC services, worker processes, a decoder's front end."""
