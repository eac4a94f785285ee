"""The command that makes galleries."""
