"""Tracking: cameras find and follow objects, an orchestrator relays and remembers them.

`orchestrator` is the server that processors and viewing clients talk to; it stands alone as
`python -m podstream_workloads.tracking`. The other packages are the two ends of what it relays.
"""
