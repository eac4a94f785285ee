"""Cameras' edge: from pictures to followed boxes, and their way to the site's orchestrator.

`Camera` is the whole; its parts are modules of their own. What is imported from here needs OpenCV
and PyAV; detectors alone need neither PyAV nor aiohttp.
"""
