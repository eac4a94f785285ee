"""`podstream-stream`: a client of the stream workload."""
