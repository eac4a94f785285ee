"""Keeps frames as video files, in a thread of its own that ingest never waits for."""
