"""A real Kubernetes of one or more nodes on one machine, in namespaces of its own.

Owns building its programs and base images, starting, checking, loading and removing it.
Python's standard library only: it runs on a bare machine before any virtual environment exists.
Run it as ``python3 -m testcluster`` with ``tests/cluster`` on ``PYTHONPATH``.
"""
