"""Tracking: cameras' edge, the site's orchestrator, intruder detection."""
