"""One module a command: `run(options, api=..., console=...)` does it and returns the exit code."""
