"""Cameras' edge: from pictures to followed boxes, and their way to the site's orchestrator."""
