"""The headless client: plays a session's stream and says where it sees the ball."""
