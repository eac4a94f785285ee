"""What every part of podstream stands on: API values, tokens, ports, names.

Imports no kopf, kubernetes, OpenCV or aiortc.
"""
