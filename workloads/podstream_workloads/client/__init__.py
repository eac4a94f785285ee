"""The headless client: plays a session, finds the ball, says where it is."""
