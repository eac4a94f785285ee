"""What the pod of a tracking session can be, one class per member of `spec.tracking`.

Each is made only for its own member, so a site's pod imports no OpenCV.
"""
