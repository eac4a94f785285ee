"""Publishers and viewers of a stream by WebRTC."""
