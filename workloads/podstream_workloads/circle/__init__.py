"""Circle workload: a ball streamed over WebRTC, scored against its true position."""
