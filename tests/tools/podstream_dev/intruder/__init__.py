"""The demo of intruder detection: a site with cameras and an alarm, its edge, and the cloud.

`drawn.py` and the tests' faces run inside the cluster's pods; everything else on this machine.
"""
