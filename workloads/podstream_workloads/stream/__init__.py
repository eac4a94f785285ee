"""Workload `stream`: raw pictures that a client pushes over TCP."""
